"""The real service, and both clients behind one synchronous interface."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Self

import pytest

from namewave_client import AsyncNamewave, Namewave
from tests.clients.service import address as address


class Synchronous:
    """An async client or stream that a test uses as a sync one."""

    def __init__(self, runner: asyncio.Runner, wrapped: Any) -> None:
        self.runner, self.wrapped = runner, wrapped

    def __getattr__(self, name: str) -> Any:
        member = getattr(self.wrapped, name)

        def call(*given: Any, **options: Any) -> Any:
            result = member(*given, **options)
            return self.runner.run(result) if inspect.iscoroutine(result) else Synchronous(self.runner, result)

        return call if callable(member) else member

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        async def following() -> Any:
            # The default, because a StopAsyncIteration must not leave the loop.
            return await anext(self.wrapped, self)

        item = self.runner.run(following())
        if item is self:
            raise StopIteration
        return item

    def __enter__(self) -> Self:
        self.runner.run(self.wrapped.__aenter__())
        return self

    def __exit__(self, *error: Any) -> None:
        self.runner.run(self.wrapped.__aexit__(*error))


@pytest.fixture
def waits() -> list[float]:
    """Return the list to which clients append their waits instead of sleeping."""
    return []


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest, waits: list[float]) -> Iterator[Callable[..., Any]]:

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    with asyncio.Runner() as runner, ExitStack() as stack:

        def made(base_url: str = "http://test", **arguments: Any) -> Any:
            if request.param == "sync":
                client: Any = Namewave(base_url, sleep=waits.append, **arguments)
            else:
                client = Synchronous(runner, AsyncNamewave(base_url, sleep=sleep, **arguments))
            stack.callback(client.close)
            return client

        yield made


@pytest.fixture
def client(connect: Callable[..., Any], address: str) -> Any:
    return connect(address)
