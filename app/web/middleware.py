"""The one ASGI middleware: request id, access log, HEAD, CORS, API key, rate limit, body size."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus

import structlog
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.logs import REQUEST_ID, AccessLog, Fields
from app.metrics import NO_ROUTE
from app.security.api_keys import API_KEY_NAME, ApiKeys, presented_key
from app.security.client_address import ClientIdentifier
from app.security.rate_limiter import QUOTA_KEY, RateLimiter, RateLimitExceeded, RequestQuota
from app.streaming import TRUNCATED_BY
from app.web import headers
from app.web.errors import CLIENT_GONE, PREFLIGHT, problem, rate_limited, unauthorized

# Probes need no key and have no rate limit: a load balancer has no key, and takes a 429 for a failed probe.
PUBLIC_PATHS = frozenset({"/health/live", "/health/ready"})
METRICS = "/metrics"
# Pages and what they load need no key: a person types it into them.
PAGES = frozenset({"/", "/lab", "/docs", "/redoc", "/openapi.json"})
PAGE_FOLDERS = ("/playground/", "/lab/page/", "/docs/assets/")
# Where OpenTelemetry, if it is enabled, keeps its span: FastAPI's router names it after the route.
TELEMETRY_KEY = "fastapi.telemetry"
# Response headers that pages of other origins may read.
EXPOSED_HEADERS = ["ETag", "Link", "Namewave-Dataset", "Namewave-Model", "Namewave-Offset", "Namewave-Seed"]
EXPOSED_HEADERS += ["RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-ID"]
# Optional fields of an access log line, and the keys of the scope that hold them.
LOG_FIELDS = (("owner", API_KEY_NAME), ("cut", TRUNCATED_BY))


class RequestMiddleware:
    """Identifies, checks and logs every request.

    `keys` and `limiter` are None where neither is configured. `max_body_bytes`: by path, with the default at "".
    `self_contained`: routes that charge the quota themselves, because they reserve the estimated work, which they know
    after parsing, and that answer errors themselves. Requests reach them without the router.
    `root_path`: the prefix at which a proxy shows the service. `metrics_port`: the port that answers /metrics and
    nothing else, without key and limit, or 0.
    """

    def __init__(
        self,
        app: ASGIApp,
        access_log: AccessLog,
        keys: ApiKeys | None,
        limiter: RateLimiter | None,
        clients: ClientIdentifier,
        max_body_bytes: Mapping[str, int],
        self_contained: Iterable[BaseRoute] = (),
        cors_origins: Sequence[str] = (),
        root_path: str = "",
        metrics_port: int = 0,
    ) -> None:
        self.root_path, self.metrics_port = root_path, metrics_port
        self.app, self.access_log, self.keys, self.limiter = app, access_log, keys, limiter
        self.clients, self.max_body_bytes = clients, max_body_bytes
        routes = [route for route in self_contained if isinstance(route, Route)]
        self.routes = {(route.path, method): route for route in routes for method in route.methods or ()}
        self.self_contained_paths = {path for path, _ in self.routes}
        # CORS comes before the key, which a preflight request cannot carry.
        self.checked: ASGIApp = self._check
        if cors_origins:
            self.checked = CORSMiddleware(
                self._check,
                allow_origins=cors_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["Accept", "Authorization", "Content-Type", "X-API-Key", "X-Request-ID"],
                expose_headers=EXPOSED_HEADERS,
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request: give it an id, log it, and turn unexpected errors into a problem."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        clock, status, head_seconds = self.access_log.clock, 0, 0.0
        started = clock()
        given = scope[headers.GIVEN] = headers.first_values(scope)
        request_id = self.access_log.request_id(given.get(b"x-request-id"))
        # A copy, because uvicorn looks at the method.
        inner = scope
        if scope["method"] == "HEAD":
            # A GET whose body is dropped (RFC 9110, 9.3.2).
            inner = {**scope, "method": "GET"}
        if self.root_path and scope["path"].startswith(f"{self.root_path}/"):
            # The proxy has not stripped its prefix.
            inner = {**inner, "path": scope["path"].removeprefix(self.root_path)}

        async def send_with_headers(message: Message) -> None:
            nonlocal status, head_seconds
            if message["type"] == "http.response.start":
                if status:
                    raise RuntimeError("an error came after the head of the answer")
                status, head_seconds = int(message["status"]), clock() - started
                message["headers"] = headers.with_common_headers(message.get("headers", ()), request_id)
                if quota := inner.get(QUOTA_KEY):
                    message["headers"] += quota.headers()
            await send(message)

        answer: Send = send_with_headers
        if scope["method"] == "HEAD":
            receive, answer = _without_body(receive, send_with_headers)
        token = REQUEST_ID.set(request_id)
        try:
            await self.checked(inner, receive, answer)
        except Exception:
            structlog.get_logger().exception("unexpected error")
            if status:
                raise
            await problem(HTTPStatus.INTERNAL_SERVER_ERROR)(inner, receive, answer)
        finally:
            seconds = clock() - started
            # Without an answer the client has left.
            self.access_log.record(
                request_id,
                scope["method"],
                getattr(inner.get("route"), "path", NO_ROUTE),
                status or CLIENT_GONE,
                head_seconds if status else seconds,
                seconds,
                inner.get("refusal") or (_cors_refusal(scope, status) if scope["method"] == "OPTIONS" else None),
                _log_fields(inner) if API_KEY_NAME in inner or TRUNCATED_BY in inner else (),
            )
            REQUEST_ID.reset(token)

    async def _check(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check port, API key, rate limit and body size, and pass the request on with its body."""
        path, given = scope["path"], scope[headers.GIVEN]
        asks_metrics = bool(self.metrics_port) and _port(scope) == self.metrics_port
        if self.metrics_port and asks_metrics != (path == METRICS):
            await problem(HTTPStatus.NOT_FOUND)(scope, receive, send)
            return
        if path not in PUBLIC_PATHS and not asks_metrics and (refusal := await self._refusal(scope, given)):
            await refusal(scope, receive, send)
            return
        limit = self.max_body_bytes.get(path, self.max_body_bytes[""])
        declared = given.get(b"content-length", b"")
        too_large = declared.isdigit() and int(declared[:20]) > limit
        try:
            message = None if too_large else await _read_body(receive, limit)
        except ConnectionError:
            await _charge(scope)
            await Response(status_code=CLIENT_GONE)(scope, receive, send)
            return
        if message is None:
            refusal = await _charge(scope) or problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            await refusal(scope, receive, send)
            return
        receive, route = _replay(message, receive), self.routes.get((path, scope["method"]))
        if route is not None and TELEMETRY_KEY not in scope:
            scope["route"] = route
            await route.handle(scope, receive, send)
            return
        app: ASGIApp = scope["app"].router if path in self.self_contained_paths else self.app
        await app(scope, receive, send)

    async def _refusal(self, scope: Scope, given: Mapping[bytes, bytes]) -> Response | None:
        """Return 401 or 429, or None; leave the key's name and the request's quota in the scope."""
        name = None
        if self.keys is not None and not _is_page(scope["path"]):
            authorization, x_api_key = given.get(b"authorization", b""), given.get(b"x-api-key", b"")
            key = presented_key(str(authorization, "latin-1"), str(x_api_key, "latin-1"))
            name = self.keys.name_for(key)
            if name is None:
                return unauthorized(key != "")
            scope[API_KEY_NAME] = name
        if self.limiter is not None:
            client = self._client(scope) if name is None else f"key:{name}"
            scope[QUOTA_KEY] = RequestQuota(self.limiter, client)
            if scope["path"] not in self.self_contained_paths:
                return await _charge(scope)
        return None

    def _client(self, scope: Scope) -> str:
        host = scope["client"][0] if scope.get("client") else ""
        if not self.clients.trusted:
            return self.clients.name(host)
        return self.clients.identify(host, lambda: headers.get_all(scope, b"x-forwarded-for"))


def _port(scope: Scope) -> int | None:
    """Return the port of this machine at which the request arrived."""
    server = scope.get("server")
    return server[1] if server else None


async def _charge(scope: Scope) -> Response | None:
    """Charge the request to its client's quota, unless that was done; return 429 or None."""
    quota: RequestQuota | None = scope.get(QUOTA_KEY)
    try:
        if quota is not None:
            await quota.charge_once()
    except RateLimitExceeded as error:
        return rate_limited(error)
    return None


def _is_page(path: str) -> bool:
    return path in PAGES or path.startswith(PAGE_FOLDERS)


def _log_fields(scope: Scope) -> Fields:
    return tuple((name, scope[key]) for name, key in LOG_FIELDS if key in scope)


def _cors_refusal(scope: Scope, status: int) -> str | None:
    """Return the reason of a refused preflight: Starlette's CORS middleware gives none."""
    is_preflight = scope[headers.GIVEN].get(b"access-control-request-method")
    return PREFLIGHT if is_preflight and status == HTTPStatus.BAD_REQUEST else None


def _without_body(receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Return `receive` and `send` for HEAD: they drop the body of the answer."""
    over = False

    async def send_head(message: Message) -> None:
        nonlocal over
        if message["type"] == "http.response.body" and not over:
            over = True
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        elif not over:
            await send(message)

    async def receive_until_over() -> Message:
        return {"type": "http.disconnect"} if over else await receive()

    return receive_until_over, send_head


async def _read_body(receive: Receive, limit: int) -> Message | None:
    """Return a message with the whole body, or None where it is larger.

    Raises `ConnectionError` when the client leaves.
    """
    message = await receive()
    # Most bodies come in one message, and are not copied.
    parts, size = [message.get("body", b"")], len(message.get("body", b""))
    while size <= limit and message["type"] != "http.disconnect":
        if not message.get("more_body", False):
            return {"type": "http.request", "body": b"".join(parts), "more_body": False}
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
    if message["type"] == "http.disconnect":
        raise ConnectionError
    return None


def _replay(message: Message, receive: Receive) -> Receive:
    """Return a `receive` that gives `message` first."""
    waiting = [message]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
