"""What happens to every request before its route, as plain ASGI: an id, a log line, a limit on the body, safe
headers.
"""

from collections.abc import Mapping
from http import HTTPStatus

import structlog
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import headers
from app.access.doors import OWNER
from app.connection.streaming import CUT
from app.errors import CLIENT_GONE, PREFLIGHT, problem
from app.ledger import Ledger
from app.logs import REQUEST
from app.metrics import NO_ROUTE
from app.safe_headers import with_safe_headers

# What a line tells where it is so: whose key was given, and what ended a stream before its end.
TOLD_OF_SOME = (("owner", OWNER), ("cut", CUT))


class RequestLog:
    """Gives each request an id, which the answer and every log line carry, and enters it into the ledger when it is
    answered.

    A client's own X-Request-ID is kept where it is harmless. An error that nobody foresaw is logged here and answered
    as a problem, so that this answer, too, has id and headers.
    """

    def __init__(self, app: ASGIApp, ledger: Ledger) -> None:
        self.app, self.ledger = app, ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = self.ledger.request_id(headers.first(scope, b"x-request-id"))
        began, status, seconds = self.ledger.clock(), 0, 0.0

        async def send_with_id(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status, seconds = int(message["status"]), self.ledger.clock() - began
                message["headers"] = with_safe_headers(message.get("headers", ()), request_id)
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
            told = {name: scope[key] for name, key in TOLD_OF_SOME if key in scope}
            whole = self.ledger.clock() - began
            if not status:
                # Nothing was answered: there was nobody left.
                status, seconds = CLIENT_GONE, whole
            refusal = scope.get("refusal") or _refusal(scope, status)
            self.ledger.enter(request_id, scope["method"], route, status, seconds, whole, refusal, **told)
            REQUEST.reset(token)


def _refusal(scope: Scope, status: int) -> str | None:
    """Return what refused a request of which Starlette's CORS middleware, which knows no reasons, has the last word."""
    asks_whether = scope["method"] == "OPTIONS" and headers.first(scope, b"access-control-request-method")
    return PREFLIGHT if asks_whether and status == HTTPStatus.BAD_REQUEST else None


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
