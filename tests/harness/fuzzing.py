"""Raw bytes against the running service: how many requests, what came of them, how much memory they left behind."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pydantic import ValidationError
from starlette.exceptions import HTTPException

from app.bodies import read_json
from app.schemas import GenerateRequest, ScoreRequest
from models.manifest import Manifest
from tests.harness.answers import Answer, ask
from tests.harness.raw_requests import request
from tests.harness.service import Service

# Seconds without any answer, after which a request counts as hung.
HANG = 30.0
MOST_ERROR = 1024
# What floods the service, and how long who was refused waits to ask again, in seconds.
MUCH = b"GET /generate?count=1000 HTTP/1.1\r\nHost: x\r\n\r\n"
AGAIN = 0.01


@dataclass
class FuzzResult:
    """What came of the requests. `wrong` tells number and reason of those that were not answered as promised."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[tuple[int, str]] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """How many there were."""
        return self.statuses.total()

    def take(self, number: int, answer: Answer) -> None:
        """Count an answer."""
        self.statuses[answer.status] += 1
        if reason := fault(answer):
            self.wrong.append((number, reason))


def fault(answer: Answer) -> str | None:
    """Return what is wrong with an answer to any bytes at all, None where nothing is."""
    if answer.status < 0:
        return "no answer"
    if answer.status >= 500 and not _is_wait(answer):
        return f"status {answer.status}"
    if answer.status < 400:
        return None
    if b"application/problem+json" not in answer.head.lower():
        return "no problem"
    if answer.body and not _is_problem(answer):
        return "not the problem that it should be"
    return None if len(answer.body) <= MOST_ERROR else "a large error"


def _is_wait(answer: Answer) -> bool:
    """Say whether this is the refusal of one request too many: an honest answer to a flood."""
    return answer.status == 503 and b"\r\nretry-after: " in answer.head.lower()


def _is_problem(answer: Answer) -> bool:
    try:
        return bool(json.loads(answer.body)["status"] == answer.status)
    except (ValueError, KeyError, TypeError):
        return False


async def throw(
    port: int,
    seed: int,
    first: int,
    connections: int,
    more: Callable[[FuzzResult], bool],
    result: FuzzResult,
    flooders: int = 0,
) -> None:
    """Send requests `first`, `first` + 1, ... of a seed over so many connections at a time, while there are to be
    `more`; so many clients flood the service meanwhile.
    """
    numbers = iter(range(first, 2**62))

    async def worker() -> None:
        while more(result):
            number = next(numbers)
            result.take(number, await ask(port, request(seed, number), HANG))

    async with flooded(port, flooders):
        await asyncio.gather(*(worker() for _ in range(connections)))


@asynccontextmanager
async def flooded(port: int, clients: int) -> AsyncIterator[None]:
    """Keep the service overloaded by so many clients."""
    over = False

    async def flood() -> None:
        # Not cancelled: `wait_for` swallows that where an answer comes at the same time.
        while not over:
            answer = await ask(port, [MUCH], HANG)
            await asyncio.sleep(AGAIN if answer.status == 503 else 0)

    tasks = [asyncio.create_task(flood()) for _ in range(clients)]
    try:
        yield
    finally:
        over = True
        await asyncio.gather(*tasks)


def report(result: FuzzResult, service: Service, before: float, seconds: float) -> str:
    """Return the figures in one line."""
    told = {0: "closed", -1: "hung"}
    counts = ", ".join(f"{told.get(status, status)} {n:,}" for status, n in sorted(result.statuses.items()))
    errors = sum(n for status, n in result.statuses.items() if status >= 500 and status != 503)
    errors += sum(reason == "status 503" for _, reason in result.wrong)
    return (
        f"{result.requests:,} requests in {seconds:.0f} s ({result.requests / max(seconds, 1e-9):,.0f}/s): {counts}; "
        f"5xx {errors}, hangs {result.statuses[-1]}, wrong {len(result.wrong)}; "
        f"memory {before:.0f} to {service.memory():.0f} MiB"
    )


def decode_request(data: bytes) -> None:
    """Read a body as the routes do."""
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
    """Read a manifest as the store does."""
    try:
        Manifest.model_validate_json(data)
    except ValidationError:
        return
