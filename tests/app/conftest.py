"""A service over a store of made-up names, asked without a network."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.main import create_app
from app.settings import Settings
from models import Draft, Kernels, ModelRegistry


@pytest.fixture
def anyio_backend() -> str:
    """One event loop is enough: uvicorn's."""
    return "asyncio"


@pytest.fixture(scope="session")
def elf_store(tmp_path_factory: pytest.TempPathFactory, kernels: Kernels, elf_draft: Draft) -> Path:
    """A store with two versions of the elves' wavenet."""
    root = tmp_path_factory.mktemp("stores")
    registry = ModelRegistry.open(kernels, user=root / "user", shipped=root / "shipped")
    registry.publish(elf_draft)
    registry.publish(elf_draft)
    return root


@pytest.fixture
def settings(elf_store: Path) -> Settings:
    """Settings over that store."""
    return Settings(store=elf_store / "user", shipped_store=elf_store / "shipped")


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the running service; errors of the server are answers, as over a socket."""
    async with _client_at(settings) as asked:
        yield asked


@pytest.fixture
def client_of(settings: Settings) -> Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]:
    """What gives a client, at an address, of a service with further settings: `client_of(host, limit=500)`."""

    def made(host: str = "127.0.0.1", **more: Any) -> AbstractAsyncContextManager[httpx.AsyncClient]:
        return _client_at(settings.model_copy(update=more), host)

    return made


@asynccontextmanager
async def _client_at(settings: Settings, host: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings, entropy=lambda: 4711)
    async with app.router.lifespan_context(app) as state:
        transport = httpx.ASGITransport(_with_state(app, state), raise_app_exceptions=False, client=(host, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as asked:
            yield asked


def _with_state(app, state):  # type: ignore[no-untyped-def]
    async def with_state(scope, receive, send):  # type: ignore[no-untyped-def]
        await app({**scope, "state": dict(state)}, receive, send)

    return with_state
