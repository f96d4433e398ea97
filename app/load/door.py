"""Doors before the routes that draw: where a request would be refused anyway, it is refused before it is understood,
for there are many of them when there is no time for any. What a door lets through is judged as ever.
"""

import re
from types import SimpleNamespace

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import overloaded
from app.load.admission import Admission
from app.naming.drawing import MOST

DRAWING = {path: SimpleNamespace(path=path) for path in ("/generate", "/score", "/next")}
COUNTED = "/generate"
# What a query or a body plainly says of how much is wanted; nothing is refused for what it says but in overload.
IN_QUERY, IN_BODY = re.compile(rb"(?:^|&)count=(\d{1,9})"), re.compile(rb'"count"\s*:\s*(\d{1,9})')
# Up to so many names may be drawn in place, where small requests keep a share.
SMALL = MOST // 2


class Door:
    """Is closed while admission has no room at all. Stands before the body is read."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "http" and scope["path"] in DRAWING:
            admission: Admission = scope["state"]["service"].admission
            if admission.is_full():
                await _refuse(admission, scope, receive, send)
                return
        await self.app(scope, receive, send)


class CountDoor:
    """Is closed to who asks for many names while admission has room for few. Stands behind `BodyLimit`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or scope["path"] != COUNTED:
            await self.app(scope, receive, send)
            return
        admission: Admission = scope["state"]["service"].admission
        if not admission.has_queue():
            await self.app(scope, receive, send)
            return
        message = await receive()
        if wants_many(scope["path"], message.get("body", b""), scope["query_string"]):
            await _refuse(admission, scope, receive, send)
            return
        await self.app(scope, _again(message, receive), send)


def wants_many(path: str, body: bytes, query: bytes) -> bool:
    """Say whether a request plainly asks for more names than may be drawn in place."""
    if path != COUNTED:
        return False
    said = IN_BODY.search(body) or IN_QUERY.search(query)
    return said is not None and int(said[1]) > SMALL


async def _refuse(admission: Admission, scope: Scope, receive: Receive, send: Send) -> None:
    refusal = admission.refusal()
    # For the log and the metrics: no router has seen it.
    scope["route"], scope["refusal"] = DRAWING[scope["path"]], "overload"
    await overloaded(refusal.seconds)(scope, receive, send)


def _again(message: Message, receive: Receive) -> Receive:
    waiting = [message]

    async def repeated() -> Message:
        return waiting.pop() if waiting else await receive()

    return repeated
