"""Besiege the service with slow clients (row 4): `python -m benchmarks.reliability slow`."""

import asyncio
import resource
import statistics

import click

from tests.harness.service import served
from tests.harness.slow_sockets import attack_slowly


@click.command()
@click.option("--clients", default=1000, show_default=True, help="Silent ones, and as many trickling ones.")
@click.option("--seconds", default=60, show_default=True, help="About how long they keep coming.")
def slow(clients: int, seconds: int) -> None:
    """Besiege the service with slow clients; end with 1 where one was borne for 10 s, or a probe failed."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with served() as service:
        result = asyncio.run(attack_slowly(service.port, clients, max(1, seconds // 9)))
    good = sum(answer.status == 200 for answer in result.probes)
    waits = sorted(result.waits)
    click.echo(
        f"{len(result.held):,} slow clients, held {min(result.held):.1f} to {max(result.held):.1f} s; "
        f"probes {good} of {len(result.probes)} good, median {statistics.median(waits) * 1000:.0f} ms, "
        f"slowest {waits[-1] * 1000:.0f} ms, 503: {sum(answer.status == 503 for answer in result.probes)}"
    )
    if max(result.held) > 10 or good < len(result.probes):
        raise click.exceptions.Exit(1)
