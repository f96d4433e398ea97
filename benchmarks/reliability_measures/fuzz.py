"""Raw bytes against the running service: how many requests, what came of them, how much memory they left behind."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import click

from benchmarks.reliability_measures.answers import Answer, ask
from benchmarks.reliability_measures.raw_requests import request
from benchmarks.reliability_measures.service import Service, served

# Seconds: for a request to arrive while this runs, so that cut ones do not hold it up; without any answer, a hang.
RECEIVE, HANG = 0.5, 30.0
MOST_ERROR = 1024
# What floods the service, and how long who was refused waits to ask again, in seconds.
MUCH = b"GET /generate?count=1000 HTTP/1.1\r\nHost: x\r\n\r\n"
AGAIN = 0.01


@dataclass
class Harvest:
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
    more: Callable[[Harvest], bool],
    harvest: Harvest,
    flooders: int = 0,
) -> None:
    """Send requests `first`, `first` + 1, ... of a seed over so many connections at a time, while there are to be
    `more`; so many clients flood the service meanwhile.
    """
    numbers = iter(range(first, 2**62))

    async def worker() -> None:
        while more(harvest):
            number = next(numbers)
            harvest.take(number, await ask(port, request(seed, number), HANG))

    async with flooded(port, flooders):
        await asyncio.gather(*(worker() for _ in range(connections)))


@asynccontextmanager
async def flooded(port: int, clients: int) -> AsyncIterator[None]:
    """Have so many clients ask for more than can be drawn: most of what else comes is refused, at the gate where it
    is plain.
    """

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


def report(harvest: Harvest, service: Service, before: float, seconds: float) -> str:
    """Return the figures in one line."""
    told = {0: "closed", -1: "hung"}
    counts = ", ".join(f"{told.get(status, status)} {n:,}" for status, n in sorted(harvest.statuses.items()))
    errors = sum(n for status, n in harvest.statuses.items() if status >= 500 and status != 503)
    errors += sum(reason == "status 503" for _, reason in harvest.wrong)
    return (
        f"{harvest.requests:,} requests in {seconds:.0f} s ({harvest.requests / max(seconds, 1e-9):,.0f}/s): {counts}; "
        f"5xx {errors}, hangs {harvest.statuses[-1]}, wrong {len(harvest.wrong)}; "
        f"memory {before:.0f} to {service.memory():.0f} MiB"
    )


@click.command()
@click.option("--hours", default=1.0, show_default=True, help="How long.")
@click.option("--seed", default=1, show_default=True, help="Of the requests.")
@click.option("--first", default=0, show_default=True, help="Number of the first request.")
@click.option("--connections", default=16, show_default=True, help="How many at a time.")
@click.option("--flooders", default=0, show_default=True, help="Clients that keep the service in overload meanwhile.")
def fuzz(hours: float, seed: int, first: int, connections: int, flooders: int) -> None:
    """Throw bytes at the service for hours; end with 1 where one was not answered as promised."""
    end = time.monotonic() + hours * 3600
    harvest = Harvest()
    with served(NAMEWAVE_RECEIVE_SECONDS=str(RECEIVE)) as service:
        # Memory counts from when every kind of request was there.
        warm = min(5_000, int(hours * 3600 * 50))
        asyncio.run(throw(service.port, seed, first, connections, lambda it: it.requests < warm, harvest, flooders))
        before, began = service.memory(), time.monotonic()
        while (now := time.monotonic()) < end and service.process.poll() is None:
            until, number = min(end, now + 30), first + harvest.requests + connections

            def more(_: Harvest, until: float = until) -> bool:
                return time.monotonic() < until

            asyncio.run(throw(service.port, seed, number, connections, more, harvest, flooders))
            click.echo(report(harvest, service, before, time.monotonic() - began))
        alive = service.process.poll() is None and service.is_ready()
    for number, reason in harvest.wrong[:20]:
        click.echo(f"request {number} of seed {seed}: {reason}", err=True)
    if harvest.wrong or not alive:
        raise click.exceptions.Exit(1)
