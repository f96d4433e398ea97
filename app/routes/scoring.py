"""/score and /next: how likely a model finds names, and what it expects next."""

from collections.abc import Sequence
from functools import partial
from operator import attrgetter
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response
from pydantic_core import to_json

from app.dependencies import Service, ServiceDep, get_quota, resolve_source
from app.names.scoring import ByStyle, Scorer, add_by_style, next_batch
from app.names.sources import Variant
from app.responses import NextAnswer, ScoreAnswer
from app.schemas import NextQuery, ScoreRequest
from app.streaming import run_until_disconnect
from app.web.errors import CLIENT_GONE, responses
from app.web.negotiation import JSON
from app.web.strict_json import StrictRoute
from models import OptionError
from models.blends import Source

router = APIRouter(tags=["names"], route_class=StrictRoute, generate_unique_id_function=attrgetter("name"))
# Cost of a scored name, in characters that are sampled in that time, and that of the search for its nearest name.
NAME_COST, NEAREST_COST = 100, 400
# With `by_style`: the most names times values of styles, and the names that are scored at a time.
MAX_STYLED_SCORES, STYLED_NAMES = 5000, 16
# Seconds that the shortest request takes in a thread.
THREAD_SECONDS = 0.0002
EXAMPLES = {
    "human": {"summary": "How human are these?", "value": {"names": ["Marnabella", "Anna", "Xqzt"]}},
    "blend": {"summary": "By a blend", "value": {"dataset": {"human": 1, "animal": 1}, "names": ["Foxanna"]}},
}


@router.post(
    "/score", summary="Score names", response_model=ScoreAnswer, responses=responses(400, 404, 413, 415, 422, 503)
)
async def score(
    request: Annotated[ScoreRequest, Body(openapi_examples=EXAMPLES)], service: ServiceDep, connection: Request
) -> Response:
    """Return how likely each name is, character by character, and with `nearest` the nearest name of the list.

    The log-probabilities of a name's characters and its end add up to its `log_prob`. If the model does not know a
    character, `log_prob` is null and `reason` says so.
    """
    source, variants = await resolve_source(request, service), list[Variant]()
    if request.by_style:
        variants = service.sources.variants(request.dataset, request.model, request.style)
        _refuse_many(request, len(variants))
    if quota := get_quota(connection):
        await quota.charge((NAME_COST * (1 + len(variants)) + NEAREST_COST * request.nearest) * len(request.names))
    body = await _score(request, source, variants, service, connection)
    return Response(body, media_type=JSON) if body is not None else Response(status_code=CLIENT_GONE)


def _refuse_many(request: ScoreRequest, values: int) -> None:
    """Raise `OptionError` for more names than the service scores under that many values of styles."""
    most = MAX_STYLED_SCORES // max(values, 1)
    if len(request.names) > most:
        raise OptionError(
            f"There are {len(request.names)} names and {values} values of styles.",
            field="names",
            allowed=f"a list of at most {most} names with by_style: the model knows {values} values of styles",
        )


async def _score(
    request: ScoreRequest, source: Source, variants: Sequence[Variant], service: Service, connection: Request
) -> bytes | None:
    """Return the answer, made in chunks, or None if the client left."""
    admission = service.admission

    async def work() -> bytes:
        # Bytes, not objects: those of a thousand long names would make the garbage collector stop all threads.
        scores: list[bytes] = []
        names, done = list(map(source.generator.vocabulary.normalize, request.names)), 0
        seconds = service.cost_model.scoring_seconds(request, source) * (1 + len(variants))
        with await admission.admit(seconds) as admitted:
            by_style: list[ByStyle] = [{} for _ in request.names] if variants else []
            for variant in variants:
                for start in range(0, len(request.names), STYLED_NAMES):
                    some = slice(start, start + STYLED_NAMES)
                    await admitted.run(partial(add_by_style, by_style[some], names[some], variant))
            while done < len(request.names):
                batch = request.model_copy(update={"names": next_batch(request.names, done)})
                found = by_style[done : done + len(batch.names)]
                scores.append(await admitted.run(partial(_scores_json, service.scorer, batch, source, found)))
                done += len(batch.names)
            head = ScoreAnswer(dataset=source.dataset, model=source.model, scores=[]).model_dump_json().encode()
            return head.removesuffix(b"]}") + b",".join(scores) + b"]}"

    return await run_until_disconnect(connection.receive, work)


def _scores_json(scorer: Scorer, request: ScoreRequest, source: Source, by_style: Sequence[ByStyle]) -> bytes:
    """Return the scores as JSON, with commas between them and no brackets around them."""
    return to_json(scorer.score(request, source, by_style).scores)[1:-1]


@router.get("/next", summary="Next characters", responses=responses(404, 422, 503))
async def next_characters(query: Annotated[NextQuery, Query()], service: ServiceDep) -> NextAnswer:
    """Return the probability of each character after a prefix, and of the end.

    Example: `/next?prefix=mar&temperature=0.8`
    """
    source = await resolve_source(query, service)
    # Its characters are evaluated one after the other.
    seconds = THREAD_SECONDS + (1 + len(query.prefix)) / service.cost_model.speed(source)
    with await service.admission.admit(seconds) as admitted:
        return await admitted.run(partial(service.scorer.next, query, source))
