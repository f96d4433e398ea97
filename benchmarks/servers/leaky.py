"""The service with a planted leak: each request leaks a thousand bytes, which `soak` must detect.

Run it as `python -m benchmarks.servers.leaky serve --port N`.
"""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from app import main as service
from app.cli import main as cli

LEAK = 1_000


class Leak:
    """Keeps something of each request for ever."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.kept = app, list[bytearray]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        self.kept.append(bytearray(LEAK))
        await self.app(scope, receive, send)


def leaky(create: Callable[..., FastAPI]) -> Callable[..., FastAPI]:
    """Return the factory with the leak in what it makes."""

    def changed(*arguments: Any, **named: Any) -> FastAPI:
        app = create(*arguments, **named)
        app.add_middleware(Leak)
        return app

    return changed


def main() -> None:
    """Run the service's command line with the changed factory in the place of its own."""
    changed = leaky(service.create_app)
    for module in (service, cli):
        module.__dict__["create_app"] = changed
    cli.main()


if __name__ == "__main__":
    main()
