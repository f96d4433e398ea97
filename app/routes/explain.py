"""/score and /next: what a model makes of names, and what it expects next."""

from functools import partial
from operator import attrgetter
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response
from pydantic_core import to_json

from app.access.purse import PURSE, Purse
from app.bodies import StrictRoute
from app.connection.departure import unless_gone
from app.dependencies import Running, Service, source_of
from app.errors import responses
from app.naming.explaining import Explainer, piece_of
from app.negotiation import JSON
from app.replies import NextAnswer, ScoreAnswer
from app.schemas import NextQuery, ScoreRequest
from models.blends import Source

router = APIRouter(tags=["names"], route_class=StrictRoute, generate_unique_id_function=attrgetter("name"))
# What judging a name costs, in characters that could be drawn in that time: its nearest in the list is looked for.
JUDGED = 500
# Seconds of a thread that the shortest request takes.
TRIP = 0.0002
EXAMPLES = {
    "human": {"summary": "How human are these?", "value": {"names": ["Marnabella", "Anna", "Xqzt"]}},
    "blend": {"summary": "By a blend", "value": {"dataset": {"human": 1, "animal": 1}, "names": ["Foxanna"]}},
}


@router.post(
    "/score", summary="Judge names", response_model=ScoreAnswer, responses=responses(400, 404, 413, 415, 422, 503)
)
async def score(
    request: Annotated[ScoreRequest, Body(openapi_examples=EXAMPLES)], running: Running, connection: Request
) -> Response:
    """Tell how likely a model finds names, character by character, and which name of its list is nearest.

    The log-probabilities of a name's characters and its end add up to its `log_prob`. Where a name has a character that
    the model does not know, `log_prob` is null and `reason` says so.
    """
    source = await source_of(request, running)
    purse: Purse | None = connection.scope.get(PURSE)
    if purse is not None:
        await purse.charge(JUDGED * len(request.names))
    return Response(await _judge(request, source, running, connection), media_type=JSON)


async def _judge(request: ScoreRequest, source: Source, running: Service, connection: Request) -> bytes:
    """Return the answer, which is worked on in pieces, or nothing where the client did not wait for it."""
    admission, explainer = running.admission, running.explainer

    async def work() -> bytes:
        # Bytes, not objects: those of a thousand long names would make the garbage collector stop all threads.
        told: list[bytes] = []
        done = 0
        with admission.take_on(running.costs.scoring_seconds(request, source)) as ticket:
            while done < len(request.names):
                some = request.model_copy(update={"names": piece_of(request.names, done)})
                told.append(await ticket.run(partial(_written, explainer, some, source)))
                done += len(some.names)
            head = ScoreAnswer(dataset=source.dataset, model=source.model, scores=[]).model_dump_json().encode()
            return head.removesuffix(b"]}") + b",".join(told) + b"]}"

    return await unless_gone(connection.receive, work, admission.leave) or b""


def _written(explainer: Explainer, request: ScoreRequest, source: Source) -> bytes:
    """Return the scores as JSON, with commas between them and nothing around them."""
    return to_json(explainer.score(request, source).scores)[1:-1]


@router.get("/next", summary="What comes next?", responses=responses(404, 422, 503))
async def next_characters(query: Annotated[NextQuery, Query()], running: Running) -> NextAnswer:
    """Tell the probability of each character that may follow a prefix, and of the end, at a temperature.

    Example: `/next?prefix=mar&temperature=0.8`
    """
    source = await source_of(query, running)
    # A character after the other.
    seconds = TRIP + (1 + len(query.prefix)) / running.costs.speed(source)
    with running.admission.take_on(seconds) as ticket:
        return await ticket.run(partial(running.explainer.next, query, source))
