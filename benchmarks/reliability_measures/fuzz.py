"""Send random raw bytes to the service for hours: `python -m benchmarks.reliability fuzz`."""

import asyncio
import time

import click

from tests.harness.fuzzing import FuzzResult
from tests.harness.fuzzing import fuzz as send_requests
from tests.harness.service import Service, served

# Seconds for a request to arrive: requests that are cut off must not hold the run up.
RECEIVE = 0.5


@click.command()
@click.option("--hours", default=1.0, show_default=True, help="How long.")
@click.option("--seed", default=1, show_default=True, help="Of the requests.")
@click.option("--first", default=0, show_default=True, help="Number of the first request.")
@click.option("--connections", default=16, show_default=True, help="How many at a time.")
@click.option("--flooders", default=0, show_default=True, help="Clients that keep the service in overload meanwhile.")
def fuzz(hours: float, seed: int, first: int, connections: int, flooders: int) -> None:
    """Send random bytes to the service for hours; exit with 1 after a wrong answer."""
    end = time.monotonic() + hours * 3600
    result = FuzzResult()
    with served(NAMEWAVE_RECEIVE_SECONDS=str(RECEIVE)) as service:
        # Memory counts from when every kind of request was there.
        warm = min(5_000, int(hours * 3600 * 50))
        asyncio.run(
            send_requests(service.port, seed, first, connections, lambda it: it.requests < warm, result, flooders)
        )
        before, began = service.memory(), time.monotonic()
        while (now := time.monotonic()) < end and service.process.poll() is None:
            until, number = min(end, now + 30), first + result.requests + connections

            def more(_: FuzzResult, until: float = until) -> bool:
                return time.monotonic() < until

            asyncio.run(send_requests(service.port, seed, number, connections, more, result, flooders))
            click.echo(report(result, service, before, time.monotonic() - began))
        alive = service.process.poll() is None and service.is_ready()
    for number, reason in result.wrong[:20]:
        click.echo(f"request {number} of seed {seed}: {reason}", err=True)
    if result.wrong or not alive:
        raise click.exceptions.Exit(1)


def report(result: FuzzResult, service: Service, before: float, seconds: float) -> str:
    """Return the figures in one line; `before`: MiB of memory at the start."""
    names = {0: "closed", -1: "hung"}
    counts = ", ".join(f"{names.get(status, status)} {n:,}" for status, n in sorted(result.statuses.items()))
    errors = sum(n for status, n in result.statuses.items() if status >= 500 and status != 503)
    errors += sum(reason == "status 503" for _, reason in result.wrong)
    return (
        f"{result.requests:,} requests in {seconds:.0f} s ({result.requests / max(seconds, 1e-9):,.0f}/s): {counts}; "
        f"5xx {errors}, hangs {result.statuses[-1]}, wrong {len(result.wrong)}; "
        f"memory {before:.0f} to {service.memory():.0f} MiB"
    )
