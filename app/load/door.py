"""A door before the routes that draw: where all would be refused anyway, a request is refused before it is read, for
there are many of them when there is no time for any.
"""

from types import SimpleNamespace

from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import overloaded

DRAWING = {path: SimpleNamespace(path=path) for path in ("/generate", "/score", "/next")}


class Door:
    """Is closed while admission has no room at all."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "http" and scope["path"] in DRAWING:
            admission = scope["state"]["service"].admission
            if admission.is_full():
                refusal = admission.refusal()
                # For the log: no router has seen it.
                scope["route"] = DRAWING[scope["path"]]
                await overloaded(refusal.seconds)(scope, receive, send)
                return
        await self.app(scope, receive, send)
