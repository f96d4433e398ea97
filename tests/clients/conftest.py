"""The real service in a process of its own, and both clients behind one face, so that each test is written once."""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from namewave_client import AsyncNamewave, Namewave

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `python -m app serve` over the models that ship."""
    log = tmp_path_factory.mktemp("service") / "log"
    kept = {key: value for key, value in os.environ.items() if not key.startswith("NAMEWAVE_")}
    settings = {"NAMEWAVE_STORE": "/nonexistent/store", "NAMEWAVE_LOG_LEVEL": "warning", "NAMEWAVE_LIMIT": "0"}
    command = [sys.executable, "-m", "app", "serve", "--port", "0"]
    with log.open("w") as errors, subprocess.Popen(command, cwd=ROOT, env=kept | settings, stderr=errors) as process:
        try:
            yield _when_ready(log)
        finally:
            process.terminate()


def _when_ready(log: Path) -> str:
    for _ in range(600):
        time.sleep(0.1)
        told = re.search(r"(http://127\.0\.0\.1:\d+)[ \"]", log.read_text())
        try:
            if told and httpx.get(f"{told[1]}/health/ready").status_code == 200:
                return told[1]
        except httpx.TransportError:
            pass
    raise AssertionError(f"the service did not become ready: {log.read_text()}")


class Driven:
    """An async stream that a test reads as a sync one."""

    def __init__(self, runner: asyncio.Runner, stream: Any) -> None:
        self.run, self.stream = runner.run, stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def __iter__(self) -> "Driven":
        return self

    def __next__(self) -> Any:
        # One run for many names would be another reader; a StopAsyncIteration must not leave the loop.
        item = self.run(self._next())
        if item is self:
            raise StopIteration
        return item

    async def _next(self) -> Any:
        return await anext(self.stream, self)

    def __enter__(self) -> "Driven":
        self.run(self.stream.__aenter__())
        return self

    def __exit__(self, *error: Any) -> None:
        self.run(self.stream.__aexit__(*error))

    def close(self) -> None:
        """Close it."""
        self.run(self.stream.close())


class Face:
    """An `AsyncNamewave` that a test calls as a `Namewave`."""

    def __init__(self, runner: asyncio.Runner, **arguments: Any) -> None:
        self.runner, self.client = runner, AsyncNamewave(**arguments)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.client, name)
        if name in ("stream", "pages"):
            return lambda *given, **options: Driven(self.runner, method(*given, **options))
        return lambda *given, **options: self.runner.run(_awaited(method, given, options))


async def _awaited(method: Callable[..., Any], given: Any, options: Any) -> Any:
    return await method(*given, **options)


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Make a client of either kind; what it would wait goes into the list `waits`."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())

        def made(base_url: str = "http://test", *, waits: list[float] | None = None, **arguments: Any) -> Any:
            noted: list[float] = [] if waits is None else waits

            async def sleep(seconds: float) -> None:
                noted.append(seconds)

            if request.param == "sync":
                client: Any = Namewave(base_url, sleep=noted.append, **arguments)
            else:
                client = Face(runner, base_url=base_url, sleep=sleep, **arguments)
            stack.callback(client.close)
            return client

        yield made


@pytest.fixture
def client(connect: Callable[..., Any], address: str) -> Any:
    """A client of the real service."""
    return connect(address)
