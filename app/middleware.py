"""What happens to every request before its route, as plain ASGI: an id, a log line, a limit on the body, safe
headers.
"""

import random
import re
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus

import structlog
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import headers
from app.access.doors import OWNER
from app.connection.streaming import CUT
from app.errors import CLIENT_GONE, REASONS, problem
from app.logs import REQUEST
from app.metrics import NO_ROUTE, Metrics

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# The two styles that ReDoc puts into its page: one without any text, to be filled by its script, and one that a part of
# it measures with. A page that holds no other is as safe as one without.
REDOC_STYLES = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
)
# One policy for all pages: they may load what we serve ourselves, and nothing else. Swagger UI draws with pictures that
# are in its style, ReDoc searches in a worker of its own.
POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' {REDOC_STYLES}; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SAFE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", POLICY.encode()),
)
# What a line tells where it is so: whose key was given, and what ended a stream before its end.
TOLD_OF_SOME = (("owner", OWNER), ("cut", CUT))
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class RequestLog:
    """Gives each request an id, which the answer and every log line carry, and logs and counts it when it is answered.

    A client's own X-Request-ID is kept where it is harmless. Nothing else that a client wrote gets into the log. An
    error that nobody foresaw is logged here and answered as a problem, so that this answer, too, has id and headers.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        clock: Callable[[], float] = time.perf_counter,
        bits: Callable[[int], int] | None = None,
    ) -> None:
        self.app, self.clock, self.metrics = app, clock, metrics
        # An id must differ from all others and needs no secrecy; the system's own bits would cost a call for each.
        self.bits = bits or random.Random().getrandbits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = headers.first(scope, b"x-request-id")
        request_id = given if REQUEST_ID.fullmatch(given) else f"{self.bits(128):032x}"
        began, status, seconds = self.clock(), 0, 0.0

        async def send_with_id(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status, seconds = int(message["status"]), self.clock() - began
                message["headers"] = _with_safe_headers(message.get("headers", ()), request_id)
            await send(message)

        token = REQUEST.set(request_id)
        try:
            await self.app(scope, receive, send_with_id)
        except Exception:
            structlog.get_logger().exception("unexpected error")
            if status:
                raise
            await problem(HTTPStatus.INTERNAL_SERVER_ERROR)(scope, receive, send_with_id)
        finally:
            route = getattr(scope.get("route"), "path", NO_ROUTE)
            self.metrics.answered(route, status, seconds)
            if status in REASONS:
                self.metrics.refused(scope.get("refusal") or REASONS[HTTPStatus(status)])
            structlog.get_logger().info(
                "request",
                method=scope["method"] if scope["method"] in METHODS else "(other)",
                route=route,
                status=status,
                milliseconds=round((self.clock() - began) * 1000, 2),
                **{name: scope[key] for name, key in TOLD_OF_SOME if key in scope},
            )
            REQUEST.reset(token)


def _with_safe_headers(given: Iterable[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    told = list(given)
    names = [name.lower() for name, _ in told]
    told.append((b"x-request-id", request_id.encode()))
    told += [header for header in SAFE_HEADERS if header[0] not in names]
    return told


class BodyLimit:
    """Refuses a body larger than `limit` bytes, or than what `larger` says of its path, with 413, before more than that
    was taken in. Smaller ones are read whole.
    """

    def __init__(self, app: ASGIApp, limit: int, larger: Mapping[str, int]) -> None:
        self.app, self.limit, self.larger = app, limit, larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.larger.get(scope["path"], self.limit)
        declared = headers.first(scope, b"content-length")
        if declared.isdecimal() and int(declared[:20]) > limit:
            await problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)(scope, receive, send)
            return
        try:
            body = await _read(receive, limit)
        except ConnectionError:
            await Response(status_code=CLIENT_GONE)(scope, receive, send)
            return
        if body is None:
            await problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)(scope, receive, send)
            return
        await self.app(scope, _replay(body, receive), send)


async def _read(receive: Receive, limit: int) -> bytes | None:
    """Return the body, or None where it is larger. Raises `ConnectionError` where it never came whole."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError
        body += message.get("body", b"")
        if len(body) > limit:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
