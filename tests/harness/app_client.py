"""A client of an application in this process: ASGI without a network, with the lifespan running."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.types import Receive, Scope, Send

from app.dependencies import Service
from app.main import create_app
from app.settings import Settings


class AppClient(httpx.AsyncClient):
    """A client of an application; `service` is the application's running service."""

    service: Service


@asynccontextmanager
async def app_client(
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    entropy: Callable[[], int] | None = lambda: 4711,
    **overrides: Any,
) -> AsyncIterator[AppClient]:
    """Yield a client at the address `host`; errors of the server are answers, as over a socket."""
    app = create_app(settings.model_copy(update=overrides), entropy)
    async with app.router.lifespan_context(app) as state:
        assert state is not None

        async def app_with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state)}, receive, send)

        transport = httpx.ASGITransport(app_with_state, raise_app_exceptions=False, client=(host, 4711))
        async with AppClient(transport=transport, base_url="http://test") as client:
            client.service = state["service"]
            yield client


def problem_of(response: httpx.Response, status: int = 422) -> dict[str, Any]:
    """Return the problem document (RFC 9457) of a refused request, which is small."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert len(response.content) <= 1024
    return dict(response.json())


def error_of(response: httpx.Response, status: int = 422) -> dict[str, Any]:
    """Return the first wrong field of a refused request."""
    return dict(problem_of(response, status)["errors"][0])
