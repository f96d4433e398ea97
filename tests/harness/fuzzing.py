"""Fuzz a running service with raw requests, and judge its answers."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from pydantic import ValidationError
from starlette.exceptions import HTTPException

from app.schemas import GenerateRequest, ScoreRequest
from app.web.strict_json import read_json
from models.manifest import Manifest
from tests.harness.answers import Answer, ask
from tests.harness.raw_requests import request

MAX_ERROR_BYTES = 1024
# A request that overloads the service, and the seconds that a refused client waits before the next.
LARGE_REQUEST = b"GET /generate?count=1000 HTTP/1.1\r\nHost: x\r\n\r\n"
RETRY_SECONDS = 0.01


@dataclass
class FuzzResult:
    """How often each status came, and number and reason of each wrong answer."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[tuple[int, str]] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return self.statuses.total()

    def add(self, number: int, answer: Answer) -> None:
        self.statuses[answer.status] += 1
        if reason := find_fault(answer):
            self.wrong.append((number, reason))


def find_fault(answer: Answer) -> str | None:
    """Return what is wrong with an answer to arbitrary bytes, or None."""
    head = answer.head.lower()
    if answer.status < 0:
        return "no answer"
    # 503 with Retry-After is a proper answer to a flood.
    if answer.status >= 500 and not (answer.status == 503 and b"\r\nretry-after: " in head):
        return f"status {answer.status}"
    if answer.status < 400:
        return None
    if b"application/problem+json" not in head:
        return "no problem"
    if answer.body and not _is_problem(answer):
        return "a wrong problem"
    return None if len(answer.body) <= MAX_ERROR_BYTES else "a large error"


def _is_problem(answer: Answer) -> bool:
    try:
        return bool(json.loads(answer.body)["status"] == answer.status)
    except (ValueError, KeyError, TypeError):
        return False


async def fuzz(
    port: int,
    seed: int,
    first: int,
    connections: int,
    goes_on: Callable[[FuzzResult], bool],
    result: FuzzResult,
    flooders: int = 0,
) -> None:
    """Send the requests of a seed from number `first` over `connections` connections while `goes_on`."""
    numbers = count(first)

    async def work() -> None:
        while goes_on(result):
            number = next(numbers)
            result.add(number, await ask(port, request(seed, number)))

    async with overloaded(port, flooders):
        await asyncio.gather(*(work() for _ in range(connections)))


@asynccontextmanager
async def overloaded(port: int, clients: int) -> AsyncIterator[None]:
    """Keep the service overloaded by `clients` clients."""
    over = False

    async def flood() -> None:
        # Not cancelled: `wait_for` swallows that if an answer comes at the same time.
        while not over:
            answer = await ask(port, [LARGE_REQUEST])
            await asyncio.sleep(RETRY_SECONDS if answer.status == 503 else 0)

    tasks = [asyncio.create_task(flood()) for _ in range(clients)]
    try:
        yield
    finally:
        over = True
        await asyncio.gather(*tasks)


def decode_request(data: bytes) -> None:
    """Parse a body as the routes do; raise only what they do not handle."""
    try:
        value = read_json(data)
    except HTTPException:
        return
    for kind in (GenerateRequest, ScoreRequest):
        try:
            kind.model_validate(value)
        except ValidationError:
            continue


def read_manifest(data: bytes) -> None:
    """Parse a manifest as the store does; raise only what that does not handle."""
    try:
        Manifest.model_validate_json(data)
    except ValidationError:
        return
