"""/generate: new names."""

from operator import attrgetter
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response
from starlette.exceptions import HTTPException

from app.access.purse import PURSE, Purse
from app.bodies import StrictRoute
from app.caching import as_cut, is_concrete, is_known, next_link, policy, validator
from app.connection.departure import unless_gone
from app.connection.streaming import NameResponse
from app.dependencies import Service, accepted, service, source_of
from app.documentation.answers import ANSWERS, EXAMPLES, UNCHANGED
from app.errors import CLIENT_GONE, NOT_MODIFIED, VERSION_NOT_SUPPORTED
from app.headers import values
from app.load.pieces import next_piece
from app.naming.drawing import Cost, budget, draw_if_quick, expected_characters, is_small, seeded, stream_of
from app.naming.limits import check
from app.naming.name_batch import NameBatch
from app.naming.name_lines import NameLines
from app.naming.writing import Written, written
from app.negotiation import JSON
from app.replies import GenerateAnswer
from app.schemas import GenerateLink, GenerateQuery, GenerateRequest
from models.blends import Source

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

    `prefix`, `min_length` and `excludes` condition what is drawn. All other constraints refuse candidates, one after
    the other in the order of `refused`, and never change one; where the budget of attempts runs out, `complete` is
    false.

    `Accept` chooses the form. As `application/x-ndjson`, `text/plain` or `text/csv` up to a million names come as a
    stream. NDJSON ends with a record of how it ended; a text or CSV stream that fell short closes the connection
    without its last chunk, which clients report as an error.
    """
    return await _answer(request, connection, {"Vary": "Accept"})


@router.get(
    "/generate", summary="Invent names, by a link", response_model=GenerateAnswer, responses={**ANSWERS, **UNCHANGED}
)
async def generate_by_link(query: Annotated[GenerateLink, Query()], connection: Request) -> Response:
    """The same as POST with the fields in the query, so that a link can be shared.

    Example: `/generate?dataset=animal&count=5&seed=7`

    With a seed the answer has an `ETag`, and is the same for ever where the model is named by number
    (`model=human/lstm@4`). Without a seed it is not to be cached. A `Link` header leads to the next page.
    """
    if query.seed is None:
        return await _answer(query, connection, {"Vary": "Accept", "Cache-Control": "no-store"})
    running = service(connection)
    source = await source_of(query, running)
    limits = f"{running.settings.max_attempts} {running.settings.max_stream_attempts}"
    tag = validator(query, source, f"{accepted(connection)} {limits} {running.decency.digest}")
    headers = {"Vary": "Accept", "ETag": tag, "Cache-Control": policy(is_concrete(query, source))}
    if is_known(tag, values(connection.scope, b"if-none-match")):
        # "*" is any answer: there must be one.
        _must_be_possible(query, source, accepted(connection), running)
        return Response(status_code=NOT_MODIFIED, headers=headers)
    return await _answer(query, connection, headers)


def _must_be_possible(request: GenerateQuery, source: Source, media: str, running: Service) -> None:
    """Raise `OptionError` or `UnknownCharacter` where `_answer` would."""
    check(request, media)
    most = running.settings.max_attempts if media == JSON else running.settings.max_stream_attempts
    stream_of(request, source, budget(request, most), running.decency)


async def _answer(request: GenerateQuery, connection: Request, headers: dict[str, str]) -> Response:
    media, running = accepted(connection), service(connection)
    if media != JSON and connection.scope["http_version"] == "1.0":
        raise HTTPException(VERSION_NOT_SUPPORTED)
    source = await source_of(request, running)
    request = seeded(request, running.entropy)
    purse: Purse | None = connection.scope.get(PURSE)
    if purse is not None:
        await purse.reserve(expected_characters(request, source))
    if media != JSON:
        lines = NameLines(request, source, media, running.settings.max_stream_attempts, running.memory, running.decency)
        return NameResponse(lines, running, headers, purse)
    check(request, media)
    most, cost = budget(request, running.settings.max_attempts), Cost()
    try:
        answer, cut = await _draw(request, source, most, running, connection, cost)
    finally:
        if purse is not None:
            await purse.settle(cost.charged)
    if answer is None:
        running.metrics.drew(source.reference, 0, 0, cost.characters)
        return Response(status_code=CLIENT_GONE)
    running.metrics.drew(source.reference, answer.names, answer.attempts, cost.characters)
    if answer.attempts > answer.names:
        running.metrics.sifted(answer.refused)
    headers = as_cut(headers) if cut else headers
    if connection.method == "GET" and (link := next_link(connection.url.path, request, source, answer.next_offset)):
        headers["Link"] = link
    # Made here, the answer is not validated and copied once more.
    return Response(answer.json, media_type=JSON, headers=headers)


async def _draw(
    request: GenerateQuery, source: Source, most: int, running: Service, connection: Request, cost: Cost
) -> tuple[Written | None, bool]:
    """Return the answer, None where the client did not wait for it, and whether the deadline cut it. Raises
    `Overloaded`.
    """
    answer = await _draw_in_place(request, source, most, running, cost)
    if answer is not None:
        return answer, False
    first = running.costs.first_piece(request, source)
    batch = NameBatch(request, source, most, running.memory, running.decency, first)
    try:
        return await _draw_in_turns(batch, most, running, connection), batch.stopped
    finally:
        cost.add(batch.cost)


async def _draw_in_place(
    request: GenerateQuery, source: Source, most: int, running: Service, cost: Cost
) -> Written | None:
    """Return the answer where it is small, or None. Raises `Overloaded`."""
    admission = running.admission
    if not admission.idle and is_small(request, source):
        await admission.small()
    began = admission.clock()
    answer = draw_if_quick(request, source, most, running.memory, running.decency, cost)
    admission.spent(admission.clock() - began)
    return None if answer is None else written(answer)


async def _draw_in_turns(batch: NameBatch, most: int, running: Service, connection: Request) -> Written | None:
    """Return the answer, or None where the client did not wait for it; at the deadline, what there is. Raises
    `Overloaded`.
    """
    admission, costs = running.admission, running.costs
    until = admission.clock() + running.settings.deadline_seconds

    async def work() -> Written:
        with admission.take_on(costs.seconds(batch.request, batch.source, most)) as ticket:
            while not batch.finished:
                await next_piece(batch, ticket, costs)
                if not batch.stopped and not batch.finished and admission.clock() > until:
                    admission.tally.cut += 1
                    running.metrics.cut.inc()
                    batch.stop()
            if batch.written is None:
                return await ticket.run(batch.answer)
            return batch.written

    return await unless_gone(connection.receive, work, admission.leave)
