"""The service with the versions that ship, under attack: one in a process of its own, and one to be asked in place."""

from collections.abc import Callable, Iterator
from typing import Any

import anyio.from_thread
import httpx
import pytest

from app.main import create_app
from app.settings import Settings
from tests.harness.service import Service, served

Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="session")
def attacked() -> Iterator[Service]:
    """A server over real sockets that waits two seconds for a request, and grants all that the attackers, who are one
    client, will ask for in a minute.
    """
    with served(NAMEWAVE_RECEIVE_SECONDS="2", NAMEWAVE_SEND_SECONDS="2", NAMEWAVE_LIMIT=str(10**12)) as service:
        yield service


@pytest.fixture(scope="session")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """What asks the application in place: `ask("POST", "/generate", json=...)`."""
    # Nothing of it may move while other tests let the file system fail.
    app = create_app(Settings(store=tmp_path_factory.mktemp("store"), refresh=0, watchdog=0))
    with anyio.from_thread.start_blocking_portal() as portal:
        lifespan = app.router.lifespan_context(app)
        with portal.wrap_async_context_manager(lifespan) as state:

            async def served_app(scope, receive, send):  # type: ignore[no-untyped-def]
                await app({**scope, "state": dict(state)}, receive, send)

            async def asked(method: str, address: str, **named: Any) -> httpx.Response:
                transport = httpx.ASGITransport(served_app, raise_app_exceptions=False)
                async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                    return await client.request(method, address, **named)

            yield lambda method, address, **named: portal.call(lambda: asked(method, address, **named))
