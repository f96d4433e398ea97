"""Services under attack: one in a process of its own, one in this process, and small stores to damage."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio.from_thread
import pytest

from app.settings import Settings
from models import Kernels
from tests.harness.answers import Ask
from tests.harness.app_client import app_client
from tests.harness.service import Service, served
from tests.harness.stores import make_stores


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """A server over real sockets with the shipped models, short timeouts and a rate limit that no test reaches."""
    with served(NAMEWAVE_RECEIVE_SECONDS="2", NAMEWAVE_SEND_SECONDS="2", NAMEWAVE_LIMIT=str(10**12)) as running:
        yield running


@pytest.fixture(scope="session")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Requests without a network to an application with the shipped models: `ask("POST", "/generate", json=...)`."""
    # No background work: it would fail while other tests inject faults into the file system.
    settings = Settings(store=tmp_path_factory.mktemp("store"), refresh=0, watchdog=0)
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(app_client(settings)) as client,
    ):
        yield lambda method, path, **named: portal.call(partial(client.request, method, path, **named))


@pytest.fixture
def stores(tmp_path: Path, kernels: Kernels) -> Path:
    """Stores with two versions of a bigram, to be damaged."""
    return make_stores(tmp_path / "stores", kernels, versions=2)


@pytest.fixture(scope="session")
def shared_stores(tmp_path_factory: pytest.TempPathFactory, kernels: Kernels) -> Path:
    """The same for all tests that change nothing."""
    return make_stores(tmp_path_factory.mktemp("stores"), kernels, versions=2)
