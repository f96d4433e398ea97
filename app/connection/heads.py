"""HEAD where GET is (RFC 9110, section 9.3.2): the same answer without its body. No route knows of it."""

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAsGet:
    """Asks the application with GET for the head of an answer, and ends a stream before its first piece is sent."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        # A copy: the server must know that the answer has no body, and the log what was asked.
        asked: dict[str, Any] = {**scope, "method": "GET"}
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

        try:
            await self.app(asked, receive_until_over, send_head)
        finally:
            scope.update({key: asked[key] for key in ("route", "endpoint", "path_params") if key in asked})
