"""A start that cannot succeed: it is told in one line of the log, without a stack, and the process ends with status 3,
which tells the supervisor not to try again at once. What is checked at the start is `main`'s job, and `checking`'s.
"""

import sys
from collections.abc import Callable

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import STARTUP_FAILURE

from app.logs import set_up
from app.settings import Settings
from models import ModelError


class NothingToServe(Exception):
    """No version of any store can be served; the log has said so."""


def built(create: Callable[[Settings], ASGIApp], settings: Settings) -> ASGIApp:
    """Return the application that `create` makes, in a process that serves nothing else; where it cannot be made, one
    line of the log says why, and the process ends with status 3.
    """
    set_up(settings)
    try:
        return create(settings)
    except ModelError as error:
        structlog.get_logger().error("cannot start", reason=str(error))
    # Nobody else would tell of it in the log's form.
    except Exception:
        structlog.get_logger().exception("cannot start")
    sys.exit(STARTUP_FAILURE)


class OneLine:
    """ASGI middleware for the lifespan: the server is told that the start failed, and the log why."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; a start that failed for a reason of ours loses its stack."""
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return
        failed: list[Message] = []

        async def kept(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                failed.append(message)
            else:
                await send(message)

        try:
            await self.app(scope, receive, kept)
        except (NothingToServe, ModelError) as error:
            if isinstance(error, ModelError):
                structlog.get_logger().error("cannot start", reason=str(error))
            await send({"type": "lifespan.startup.failed", "message": ""})
            raise
        except BaseException:
            for message in failed:
                await send(message)
            raise
