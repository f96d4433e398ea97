"""/generate: new names."""

from operator import attrgetter
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from app.dependencies import get_quota, get_service, negotiated_media_type, resolve_source
from app.names.sources import is_blend
from app.schemas import GenerateLink, GenerateRequest
from app.streaming import NameStreamingResponse, run_until_disconnect
from app.web import headers
from app.web.caching import cache_headers, is_known, next_link, without_caching
from app.web.errors import CLIENT_GONE, NOT_MODIFIED
from app.web.negotiation import JSON
from app.web.openapi import GENERATE_DOCS, GENERATE_EXAMPLES, LINK_DOCS
from app.web.strict_json import parse_body, parse_query


class GenerateRoute(APIRoute):
    """Answers requests itself: FastAPI, which documents the handlers below, would take longer than some names."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        connection = Request(scope, receive)
        try:
            if scope["method"] not in (self.methods or ()):
                await super().handle(scope, receive, send)
                return
            is_link = scope["method"] == "GET"
            request = (
                parse_query(connection, GenerateLink) if is_link else await parse_body(connection, GenerateRequest)
            )
            response = await _respond(request, connection)
        except Exception:
            # Requests that fail before they reserve their cost.
            if quota := get_quota(connection):
                await quota.charge_once()
            raise
        await response(scope, receive, send)


router = APIRouter(tags=["names"], route_class=GenerateRoute, generate_unique_id_function=attrgetter("name"))


@router.post("/generate", **GENERATE_DOCS)
async def generate(request: Annotated[GenerateRequest, Body(openapi_examples=GENERATE_EXAMPLES)]) -> None:
    """Documented by its signature, answered by `GenerateRoute`."""
    raise NotImplementedError


@router.get("/generate", **LINK_DOCS)
async def generate_by_link(query: Annotated[GenerateLink, Query()]) -> None:
    """Documented by its signature, answered by `GenerateRoute`."""
    raise NotImplementedError


async def _respond(request: GenerateRequest | GenerateLink, connection: Request) -> Response:
    """Return the answer, as JSON or as a stream."""
    service, media, quota = get_service(connection), negotiated_media_type(connection), get_quota(connection)
    if quota is not None and is_blend(request.dataset):
        # A blend may be made before its cost is known.
        await quota.charge_once()
    source = await resolve_source(request, service)
    fields, is_link = {"Vary": "Accept"}, isinstance(request, GenerateLink)
    if is_link:
        fields |= cache_headers(request, source, f"{media} {service.etag_settings}", service.settings.keys is not None)
    execution = service.execute(request, source, media, quota)
    if "ETag" in fields and is_known(fields["ETag"], headers.get_all(connection.scope, b"if-none-match")):
        if quota is not None:
            await quota.charge_once()
        return Response(status_code=NOT_MODIFIED, headers=fields)
    if media != JSON:
        return NameStreamingResponse(execution, fields)
    job = execution.job
    async with execution:
        body: bytes | None = await execution.run_inline()
        if not job.finished:
            body = await run_until_disconnect(connection.receive, execution.run)
    if body is None:
        return Response(status_code=CLIENT_GONE)
    if job.stopped:
        fields = without_caching(fields)
    if is_link:
        fields |= next_link(f"{service.settings.root_path}/generate", job.request, source, job.stream.next_offset)
    # A response of our own is not validated and copied again.
    return Response(body, media_type=JSON, headers=fields)
