"""/generate: new names."""

from operator import attrgetter
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from app.dependencies import Service, get_quota, get_service, negotiated_media_type, resolve_source
from app.names.generation import with_seed
from app.names.jobs import GenerateJob, StreamJob
from app.responses import GenerateAnswer
from app.schemas import GenerateLink, GenerateQuery, GenerateRequest
from app.streaming import NameStreamingResponse, run_until_disconnect
from app.web import headers
from app.web.caching import cache_control, etag_for, is_concrete, is_known, next_link, without_caching
from app.web.errors import CLIENT_GONE, NOT_MODIFIED, VERSION_NOT_SUPPORTED
from app.web.negotiation import JSON
from app.web.openapi import GENERATE_EXAMPLES, GENERATE_RESPONSES, UNCHANGED
from app.web.strict_json import parse_body, parse_query
from models.blends import Source


class GenerateRoute(APIRoute):
    """Parses and answers requests itself. FastAPI documents the handlers below, and never runs them: solving their
    dependencies and validating their answers costs more than sampling some names.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        connection = Request(scope, receive)
        if scope["method"] == "POST":
            request = await parse_body(connection, GenerateRequest)
            response = await _respond(request, connection, {"Vary": "Accept"})
        else:
            response = await _respond_to_link(parse_query(connection, GenerateLink), connection)
        await response(scope, receive, send)


router = APIRouter(tags=["names"], route_class=GenerateRoute, generate_unique_id_function=attrgetter("name"))


@router.post("/generate", summary="Invent names", response_model=GenerateAnswer, responses=GENERATE_RESPONSES)
async def generate(request: Annotated[GenerateRequest, Body(openapi_examples=GENERATE_EXAMPLES)]) -> None:
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
    raise NotImplementedError


@router.get(
    "/generate",
    summary="Invent names, by a link",
    response_model=GenerateAnswer,
    responses={**GENERATE_RESPONSES, **UNCHANGED},
)
async def generate_by_link(query: Annotated[GenerateLink, Query()]) -> None:
    """The same as POST with the fields in the query, so that a link can be shared.

    Example: `/generate?dataset=animal&count=5&seed=7`

    With a seed the answer has an `ETag`, and is the same for ever where the model is named by number
    (`model=human/lstm@4`). Without a seed it is not to be cached. A `Link` header leads to the next page.
    """
    raise NotImplementedError


async def _respond_to_link(query: GenerateLink, connection: Request) -> Response:
    """Return the answer to a link, which a cache may keep if it has a seed."""
    if query.seed is None:
        return await _respond(query, connection, {"Vary": "Accept", "Cache-Control": "no-store"})
    service, media = get_service(connection), negotiated_media_type(connection)
    source = await resolve_source(query, service)
    settings = service.settings
    limits = f"{settings.max_attempts} {settings.max_stream_attempts}"
    etag = etag_for(query, source, f"{media} {limits} {service.profanity.digest}")
    fields = {"Vary": "Accept", "ETag": etag, "Cache-Control": cache_control(is_concrete(query, source))}
    if is_known(etag, headers.get_all(connection.scope, b"if-none-match")):
        # "*" matches any answer, so there must be one.
        _job(query, source, media, service)
        return Response(status_code=NOT_MODIFIED, headers=fields)
    return await _respond(query, connection, fields)


def _job(request: GenerateQuery, source: Source, media: str, service: Service) -> GenerateJob | StreamJob:
    """Return the job of a request with a seed. Raises `OptionError` and `UnknownCharacter`."""
    settings, parts = service.settings, (service.memory, service.profanity)
    if media != JSON:
        return StreamJob(request, source, settings.max_stream_attempts, *parts, media=media)
    first_chunk = service.cost_model.first_chunk(request, source)
    return GenerateJob(request, source, settings.max_attempts, *parts, first_chunk=first_chunk)


async def _respond(request: GenerateQuery, connection: Request, fields: dict[str, str]) -> Response:
    """Return the answer with the header `fields`, as JSON or as a stream."""
    media, service = negotiated_media_type(connection), get_service(connection)
    if media != JSON and connection.scope["http_version"] == "1.0":
        raise HTTPException(VERSION_NOT_SUPPORTED)
    source = await resolve_source(request, service)
    job = _job(with_seed(request, service.entropy), source, media, service)
    execution = service.execute(job, get_quota(connection))
    if isinstance(job, StreamJob):
        return NameStreamingResponse(job, execution, fields)
    async with execution:
        body: bytes | None = await execution.run_inline()
        if not job.finished:
            body = await run_until_disconnect(connection.receive, execution.run)
    if body is None:
        return Response(status_code=CLIENT_GONE)
    if job.stopped:
        fields = without_caching(fields)
    if connection.method == "GET":
        fields |= next_link(connection.url.path, job.request, source, job.stream.next_offset)
    # A response of our own is not validated and copied again.
    return Response(body, media_type=JSON, headers=fields)
