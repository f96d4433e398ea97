"""/generate: new names."""

from operator import attrgetter
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from app.dependencies import Service, negotiated_media_type, resolve_source
from app.names.sources import is_blend
from app.schemas import GenerateLink, GenerateRequest
from app.security.rate_limiter import QUOTA_KEY, RequestQuota
from app.streaming import NameStreamingResponse, run_until_disconnect
from app.web import headers
from app.web.caching import cache_headers, is_known, next_link, without_caching
from app.web.errors import CLIENT_GONE, EXPECTED, NOT_MODIFIED, problem_of
from app.web.negotiation import JSON
from app.web.openapi import GENERATE_DOCS, GENERATE_EXAMPLES, LINK_DOCS
from app.web.strict_json import parse_body, parse_query

VARY = {"Vary": "Accept"}
JSON_HEADERS = ((b"vary", b"Accept"), (b"content-type", JSON.encode()))


class GenerateRoute(APIRoute):
    """Answers requests without FastAPI, whose overhead would exceed the time of small requests.

    FastAPI documents the handlers below.

    `RequestMiddleware` passes requests to it without Starlette's middleware for errors.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, with a problem where it fails as expected."""
        try:
            try:
                if scope["method"] in (self.methods or ()):
                    await _answer(scope, receive, send)
                else:
                    await super().handle(scope, receive, send)
            except Exception:
                # Requests that fail before they reserve their cost.
                if quota := scope.get(QUOTA_KEY):
                    await quota.charge_once()
                raise
        except EXPECTED as error:
            response = await problem_of(Request(scope, receive), error)
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


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Send the answer, as JSON or as a stream."""
    service: Service = scope["state"]["service"]
    quota: RequestQuota | None = scope.get(QUOTA_KEY)
    is_link = scope["method"] == "GET"
    request = parse_query(scope, GenerateLink) if is_link else await parse_body(scope, receive, GenerateRequest)
    media = negotiated_media_type(scope)
    if quota is not None and is_blend(request.dataset):
        # A blend may be made before its cost is known.
        await quota.charge_once()
    source = await resolve_source(request, service)
    fields: dict[str, str] = {}
    if is_link:
        fields = cache_headers(request, source, f"{media} {service.etag_settings}", service.settings.keys is not None)
    execution = service.execute(request, source, media, quota)
    if "ETag" in fields and is_known(fields["ETag"], headers.get_all(scope, b"if-none-match")):
        if quota is not None:
            await quota.charge_once()
        await Response(status_code=NOT_MODIFIED, headers=VARY | fields)(scope, receive, send)
        return
    if media != JSON:
        await NameStreamingResponse(execution, VARY | fields)(scope, receive, send)
        return
    job = execution.job
    async with execution:
        body: bytes | None = await execution.run_inline()
        if not job.finished:
            body = await run_until_disconnect(receive, execution.run)
    if body is None:
        await Response(status_code=CLIENT_GONE)(scope, receive, send)
        return
    if job.stopped:
        fields = without_caching(fields)
    if is_link:
        fields |= next_link(f"{service.settings.root_path}/generate", job.request, source, job.stream.next_offset)
    # Starlette's Response would take longer to build than the list of its headers.
    head = [*JSON_HEADERS, (b"content-length", b"%d" % len(body))]
    if is_link:
        head += headers.encoded(fields)
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})
