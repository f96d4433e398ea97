"""/generate: new names."""

import threading
from functools import partial
from operator import attrgetter
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Body, Query, Request, Response

from app.answers import ANSWERS, EXAMPLES
from app.bodies import StrictRoute
from app.departure import unless_gone
from app.dependencies import Service, accepted, service
from app.drawing import budget, draw, draw_if_quick, seeded
from app.errors import CLIENT_GONE
from app.limits import check
from app.name_lines import NameLines
from app.negotiation import JSON
from app.schemas import GenerateAnswer, GenerateQuery, GenerateRequest
from app.streaming import NameResponse
from models import Version

router = APIRouter(tags=["names"], route_class=StrictRoute, generate_unique_id_function=attrgetter("name"))


# These two take the connection instead of dependencies: each of those costs as much as drawing a few names.
@router.post("/generate", summary="Invent names", response_model=GenerateAnswer, responses=ANSWERS)
async def generate(
    request: Annotated[GenerateRequest, Body(openapi_examples=EXAMPLES)], connection: Request
) -> Response:
    """Draw names from a model.

    Candidate *i* of a seed is a promise: it depends on the model's version, the sampling options, the seed and *i*
    alone. A request with a seed and a concrete version gives the same names on any machine, and a page that starts at
    `next_offset` goes on without gap or overlap.

    `unique`, `novel` and `max_length` refuse candidates; where the budget of attempts runs out, `complete` is false.

    `Accept` chooses the form. As `application/x-ndjson`, `text/plain` or `text/csv` up to a million names come as a
    stream. NDJSON ends with a record of how it ended; a text or CSV stream that fell short closes the connection
    without its last chunk, which clients report as an error.
    """
    return await _answer(request, connection, {"Vary": "Accept"})


@router.get("/generate", summary="Invent names, by a link", response_model=GenerateAnswer, responses=ANSWERS)
async def generate_by_link(query: Annotated[GenerateQuery, Query()], connection: Request) -> Response:
    """The same as POST with the fields in the query, so that a link can be shared. Without a seed it is not to be
    cached.

    Example: `/generate?dataset=animal&count=5&seed=7`
    """
    headers = {"Vary": "Accept"} if query.seed is not None else {"Vary": "Accept", "Cache-Control": "no-store"}
    return await _answer(query, connection, headers)


async def _answer(request: GenerateQuery, connection: Request, headers: dict[str, str]) -> Response:
    media, running = accepted(connection), service(connection)
    version = running.registry.resolve(request.dataset, request.model)
    request = seeded(request, running.entropy)
    if media != JSON:
        lines = NameLines(request, version, media, running.settings.max_stream_attempts, running.memory)
        return NameResponse(lines, running.threads, headers)
    check(request, media)
    most = budget(request, running.settings.max_attempts)
    answer = draw_if_quick(request, version, most, running.memory)
    answer = answer or await _draw_in_thread(request, version, most, running, connection)
    if answer is None:
        return Response(status_code=CLIENT_GONE)
    # Made here, the answer is not validated and copied once more.
    return Response(answer.model_dump_json(), media_type=JSON, headers=headers)


async def _draw_in_thread(
    request: GenerateQuery, version: Version, most: int, running: Service, connection: Request
) -> GenerateAnswer | None:
    """Return the answer, or None where the client did not wait for it."""
    gone = threading.Event()
    work = partial(draw, request, version, most, running.memory, gone.is_set)
    return await unless_gone(
        connection.receive, partial(anyio.to_thread.run_sync, work, limiter=running.threads), gone.set
    )
