"""/lab/wavenet: what a wavenet computes on its way to the next character, for the page that shows it."""

from operator import attrgetter
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from app.access.purse import PURSE, Purse
from app.bodies import StrictRoute
from app.dependencies import Running, Service
from app.errors import responses
from app.negotiation import JSON
from app.replies import CharacterChance
from app.schemas import Piece, Reference
from models import OptionError, UnknownCharacter, Version
from models.checkpoint import WEIGHTS
from models.inference.pair_tree import FAN, PairTree, pair_tree
from models.inference.projection import project
from models.spelling import fold

router = APIRouter(tags=["lab"], route_class=StrictRoute, generate_unique_id_function=attrgetter("name"))
ARCHITECTURE = "wavenet"
# In characters that could be drawn in the time.
CHARACTERS = 500
# Bytes of weights that a thread reads, checks and multiplies with in a second, and seconds of all else.
BYTES, SECONDS = 5e7, 0.003
# Finer than any eye, and well within 32-bit floats.
DECIMALS = 6


class WavenetQuery(BaseModel):
    """A name and a wavenet, from a query string."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: Reference | None = Field(
        None, description="Which data set's wavenet. Default: `human`.", examples=["animal"]
    )
    model: Reference = Field(
        ARCHITECTURE,
        description="A wavenet of /models: `wavenet`, `wavenet@3`, `human/wavenet@3`.",
        examples=["wavenet"],
    )
    name: Piece = Field(
        "", description="What stands before the character that is predicted; nothing: a name's start.", examples=["mar"]
    )


class Place(BaseModel):
    """One character of the window, and its row of the embedding; "." stands before a name."""

    character: str
    values: list[float] = Field(description="n_embd numbers.")


class Node(BaseModel):
    """One node: what it computed, and of which places of the window."""

    first: int
    last: int
    values: list[float] = Field(description="n_hidden activations.")


class Point(BaseModel):
    """A character in the plane of the two principal components of all embeddings' directions."""

    character: str
    x: float
    y: float
    nearest: str = Field(description="The character at the smallest angle, in all dimensions.")


class EmbeddingMap(BaseModel):
    """The directions of all characters' embeddings in two dimensions: each scaled to length 1 first."""

    explained: list[float] = Field(description="The share of the variance that each axis holds.")
    points: list[Point]


class WavenetAnswer(BaseModel):
    """A wavenet's tree over the last characters of a name, from the embedding to the prediction."""

    dataset: str
    model: str = Field(description="The concrete version.")
    name: str = Field(description="In lower case, as the model sees it.")
    unseen: str = Field(description="The beginning of the name, which the window does not reach.")
    activation: str
    window: list[Place] = Field(description="block_size places, the oldest first.")
    layers: list[list[Node]] = Field(description="Each joins the nodes of the one before it two by two.")
    characters: list[CharacterChance] = Field(description="What may come next, the most probable first.")
    embedding: EmbeddingMap


@router.get(
    "/lab/wavenet",
    summary="How a wavenet sees a name",
    response_model=WavenetAnswer,
    responses=responses(404, 422, 503),
)
async def see_wavenet(query: Annotated[WavenetQuery, Query()], running: Running, connection: Request) -> Response:
    """Tell what every node of a wavenet's tree of pairs puts out for a name, what it expects next at temperature 1, and
    where its embedding puts the characters.

    Example: `/lab/wavenet?model=human/wavenet@3&name=mar`
    """
    version = _wavenet(running, query)
    try:
        ids = version.generator.vocabulary.encode(fold(query.name))
    except UnknownCharacter as error:
        raise UnknownCharacter(str(error), field="name", allowed=error.allowed) from None
    purse: Purse | None = connection.scope.get(PURSE)
    if purse is not None:
        await purse.charge(CHARACTERS)
    with running.admission.take_on(SECONDS + version.manifest.files[WEIGHTS].size / BYTES) as ticket:
        # A wide and tall tree is a megabyte: that is written in the thread, too.
        content = await ticket.run(lambda: _seen(version, ids).model_dump_json().encode())
    return Response(content, media_type=JSON)


def _wavenet(running: Service, query: WavenetQuery) -> Version:
    """Return the version that is meant. Raises `OptionError` where it is no wavenet, and what `resolve` does."""
    now = running.registry.now
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
    name = "".join(itos[i] for i in ids)
    return WavenetAnswer(
        dataset=version.dataset,
        model=version.reference,
        name=name,
        unseen=name[: -config.block_size],
        activation=config.activation,
        window=[Place(character=itos[i], values=_told(row)) for i, row in zip(tree.window, tree.embedded, strict=True)],
        layers=_nodes(tree),
        characters=_chances(tree.logits, itos),
        embedding=_map(arrays["embedding.weight"], itos),
    )


def _nodes(tree: PairTree) -> list[list[Node]]:
    spans = (FAN ** (depth + 1) for depth in range(len(tree.layers)))
    return [
        [Node(first=k * span, last=(k + 1) * span - 1, values=_told(row)) for k, row in enumerate(layer)]
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
    return EmbeddingMap(explained=_told(seen.explained), points=points)


def _told(numbers: NDArray[np.float64]) -> list[float]:
    # Minus nothing is nothing.
    rounded: list[float] = (numbers.round(DECIMALS) + 0.0).tolist()
    return rounded
