"""A service over a store of made-up names, and a client without a network."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from app.security.rate_limiter import SlidingWindowCounters
from app.settings import Settings
from tests.harness.app_client import AppClient, app_client
from tests.harness.clock import Clock


@pytest.fixture
def settings(elf_store: Path) -> Settings:
    """Settings over the elves' store."""
    return Settings(store=elf_store / "user", shipped_store=elf_store / "shipped")


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[AppClient]:
    """A client of the running service."""
    async with app_client(settings) as client:
        yield client


@pytest.fixture
def window_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the windows of the rate limit in this process."""
    clock = Clock()
    monkeypatch.setattr("app.main.SlidingWindowCounters", partial(SlidingWindowCounters, clock=clock))
    return clock
