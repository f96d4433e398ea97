"""/lab/graph and /lab/wavenet: the numbers behind the lab page."""

from operator import attrgetter
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Body, Query, Request, Response
from numpy.typing import NDArray

from app.dependencies import Service, ServiceDep, get_quota
from app.responses import CharacterChance
from app.routes.lab_schemas import (
    ARCHITECTURE,
    EXAMPLES,
    EmbeddingMap,
    GraphAnswer,
    GraphRequest,
    Node,
    Place,
    Point,
    WavenetAnswer,
    WavenetQuery,
)
from app.streaming import run_until_disconnect
from app.web.errors import CLIENT_GONE, responses
from app.web.negotiation import JSON
from app.web.strict_json import StrictRoute
from models import OptionError, UnknownCharacter, Version
from models.autograd.expression import evaluate
from models.autograd.graph_data import graph_data
from models.inference.pair_tree import FAN, PairTree, pair_tree, project
from models.spelling import fold
from models.store.checkpoint import WEIGHTS

router = APIRouter(tags=["lab"], route_class=StrictRoute, generate_unique_id_function=attrgetter("name"))
# The largest graph takes 20 ms, most of it for the layout; and its cost in characters that are sampled in that time.
GRAPH_SECONDS, GRAPH_COST = 0.02, 2000
# Bytes of weights that a thread reads, checks and multiplies with in a second, seconds of all else, and the cost.
WEIGHT_BYTES_PER_SECOND, WAVENET_SECONDS, WAVENET_COST = 5e7, 0.003, 500
# Finer than any eye, and well within 32-bit floats.
DECIMALS = 6


@router.post(
    "/lab/graph",
    summary="Evaluate an expression graph",
    response_model=GraphAnswer,
    responses=responses(400, 413, 415, 422, 503),
)
async def graph(
    request: Annotated[GraphRequest, Body(openapi_examples=EXAMPLES)], service: ServiceDep, connection: Request
) -> Response:
    """Compute an expression and, by backpropagation, the derivative of its last statement.

    The answer is the graph: every value with its gradient and its place in a drawing, and the backward pass step by
    step. An expression that cannot be read or computed is 422; the error has the `position` of the character.
    """
    if quota := get_quota(connection):
        await quota.charge(GRAPH_COST)
    admission = service.admission

    async def work() -> bytes:
        with await admission.admit(GRAPH_SECONDS) as admitted:
            return await admitted.run(lambda: graph_of(request.expression).model_dump_json().encode())

    body = await run_until_disconnect(connection.receive, work)
    return Response(body, media_type=JSON) if body is not None else Response(status_code=CLIENT_GONE)


def graph_of(expression: str) -> GraphAnswer:
    """Return the graph of an expression. Raises `ExpressionError`."""
    return GraphAnswer.model_validate(graph_data(evaluate(expression)))


@router.get(
    "/lab/wavenet",
    summary="Activations of a WaveNet for a name",
    response_model=WavenetAnswer,
    responses=responses(404, 422, 503),
)
async def see_wavenet(query: Annotated[WavenetQuery, Query()], service: ServiceDep, connection: Request) -> Response:
    """Return the nodes of a WaveNet's tree for a name, and the map of its characters.

    The answer has the output of every node, the probabilities of the next character at temperature 1, and the embedding
    in two dimensions.

    Example: `/lab/wavenet?model=human/wavenet@3&name=mar`
    """
    version = _wavenet(service, query)
    try:
        ids = version.generator.vocabulary.encode(fold(version.generator.vocabulary.spelled(query.name)))
    except UnknownCharacter as error:
        raise UnknownCharacter(str(error), field="name", allowed=error.allowed) from None
    if quota := get_quota(connection):
        await quota.charge(WAVENET_COST)
    seconds = WAVENET_SECONDS + version.manifest.files[WEIGHTS].size / WEIGHT_BYTES_PER_SECOND
    with await service.admission.admit(seconds) as admitted:
        # A wide tree is a megabyte of JSON, so the thread serializes it.
        content = await admitted.run(lambda: _seen(version, ids).model_dump_json().encode())
    return Response(content, media_type=JSON)


def _wavenet(service: Service, query: WavenetQuery) -> Version:
    """Return the version of the query. Raises `OptionError` if it is no wavenet, and what `resolve` does."""
    now = service.registry.now
    version = now.resolve(query.dataset, query.model)
    if version.manifest.architecture != ARCHITECTURE:
        wavenets = [each.reference for each in now.versions() if each.manifest.architecture == ARCHITECTURE]
        raise OptionError(
            f"{version.reference} is no wavenet: there is no tree of pairs in it.",
            field="model",
            allowed="a model whose architecture is wavenet: the others have no tree of pairs",
            nearest=wavenets,
        )
    return version


def _seen(version: Version, ids: list[int]) -> WavenetAnswer:
    arrays, config, itos = version.arrays(), version.manifest.config, version.generator.vocabulary.itos
    tree = pair_tree(config, arrays, ids)
    name, unseen = ("".join(itos[i] for i in some) for some in (ids, ids[: -config.block_size]))
    return WavenetAnswer(
        dataset=version.dataset,
        model=version.reference,
        name=name,
        unseen=unseen,
        activation=config.activation,
        window=[
            Place(character=itos[i], values=_rounded(row)) for i, row in zip(tree.window, tree.embedded, strict=True)
        ],
        layers=_layers(tree),
        characters=_chances(tree.logits, itos),
        embedding=_map(arrays["embedding.weight"], itos),
    )


def _layers(tree: PairTree) -> list[list[Node]]:
    spans = (FAN ** (depth + 1) for depth in range(len(tree.layers)))
    return [
        [Node(first=k * span, last=(k + 1) * span - 1, values=_rounded(row)) for k, row in enumerate(layer)]
        for span, layer in zip(spans, tree.layers, strict=True)
    ]


def _chances(logits: NDArray[np.float64], itos: tuple[str, ...]) -> list[CharacterChance]:
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    order = np.argsort(-shares, kind="stable")
    return [CharacterChance(character=itos[i], probability=round(float(shares[i]), DECIMALS)) for i in order]


def _map(weight: np.ndarray, itos: tuple[str, ...]) -> EmbeddingMap:
    seen = project(weight)
    points = [
        Point(character=symbol, x=x, y=y, nearest=itos[near])
        for symbol, (x, y), near in zip(itos, seen.points.round(DECIMALS).tolist(), seen.nearest, strict=True)
    ]
    return EmbeddingMap(explained=_rounded(seen.explained), points=points)


def _rounded(numbers: NDArray[np.float64]) -> list[float]:
    # Adding 0 turns -0.0 into 0.0.
    rounded: list[float] = (numbers.round(DECIMALS) + 0.0).tolist()
    return rounded
