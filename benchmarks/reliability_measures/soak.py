"""Memory growth: hours of ordinary requests of every kind at a steady rate, and the memory of the process."""

import asyncio
import math
import random
import re
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import click
import httpx
import numpy as np

from tests.harness.service import served

# Seconds between two samples of the memory, and between two printed lines.
LOOK, REPORT_SECONDS = 2.0, 60.0
# Share of the time in which caches fill; the slope leaves it out.
WARM = 1 / 3
GOAL = 1.0
DATASETS: tuple[Any, ...] = ("human", "animal", {"human": 0.6, "animal": 0.4})
FORMS = ("application/json", "application/x-ndjson", "text/csv", "text/plain")
PAGES = ("/models", "/datasets", "/info", "/metrics", "/health/ready", "/", "/docs")
# Most counts are typical of people, a few of programs.
COUNTS = (1, 10, 10, 20, 20, 20, 20, 20, 200, 2_000)
BUSY, CUT = 503, 0
RESIDENT = re.compile(r"^namewave_resident_bytes ([0-9.e+]+)$", re.M)
MISTAKES = ({"temperature": 0}, {"count": -1}, {"prefix": "\u00df"}, {"nonsense": 1}, {"dataset": "dwarves"})


class WatchedService(Protocol):
    """A service and its memory."""

    @property
    def address(self) -> str:
        """The address of the service."""

    def memory(self) -> float:
        """Return the resident memory in MiB."""


class RemoteService:
    """A service in a container or on another machine."""

    def __init__(self, address: str) -> None:
        self.address = address

    def memory(self) -> float:
        """Return the memory in MiB from its metrics, NaN if they are unavailable."""
        try:
            [shown] = RESIDENT.findall(httpx.get(f"{self.address}/metrics", timeout=10).text)
        except (httpx.HTTPError, ValueError):
            return math.nan
        return float(shown) / 2**20


@dataclass(frozen=True)
class Slope:
    """The slope of a line through the memory in MiB per hour, and its standard error."""

    growth: float
    error: float


def request(chance: random.Random) -> tuple[str, str, dict[str, Any], dict[str, str]]:
    """Return the method, path, arguments and headers of a random request."""
    kind = chance.random()
    if kind < 0.1:
        names = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(1, 12))) for _ in range(20)]
        return "POST", "/score", {"json": {"dataset": chance.choice(("human", "animal")), "names": names}}, {}
    if kind < 0.2:
        params = {"prefix": "".join(chance.choices("aeioulmn", k=chance.randint(0, 8)))}
        return "GET", "/next", {"params": params}, {}
    if kind < 0.25:
        return "GET", chance.choice(PAGES), {}, {}
    if kind < 0.3:
        return "POST", "/generate", {"json": chance.choice(MISTAKES)}, {}
    return "POST", "/generate", {"json": random_fields(chance)}, {"accept": chance.choice(FORMS)}


def random_fields(chance: random.Random) -> dict[str, Any]:
    """Return random fields for /generate: any data set and count, with some of the options."""
    fields: dict[str, Any] = {
        "dataset": chance.choice(DATASETS),
        "count": chance.choice(COUNTS),
        "seed": chance.randrange(2**53),
        "temperature": round(chance.uniform(0.3, 2.0), 2),
    }
    for name, value in (("novel", True), ("details", True), ("top_k", 9), ("min_length", 4), ("prefix", "ma")):
        if chance.random() < 0.2:
            fields[name] = value
    return fields


def slope(rows: list[tuple[float, float]]) -> Slope:
    """Return the line through (seconds, MiB) by least squares, per hour; rows with NaN are left out."""
    rows = [row for row in rows if not math.isnan(row[1])]
    hours, memory = np.array([row[0] for row in rows]) / 3600, np.array([row[1] for row in rows])
    (growth, _), covariance = np.polyfit(hours, memory, 1, cov=True)
    return Slope(float(growth), float(np.sqrt(covariance[0, 0])))


async def send_until_stopped(address: str, rate: float, end: float, seed: int, statuses: dict[int, int]) -> None:
    """Send `rate` requests per second until `end`, one after the other, without catching up."""
    chance = random.Random(seed)
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        due = time.monotonic()
        while due < end:
            method, path, sent, headers = request(chance)
            try:
                status = (await client.request(method, path, headers=headers, **sent)).status_code
            except httpx.RemoteProtocolError:
                # A truncated stream ends without its last chunk, as intended.
                status = CUT
            statuses[status] = statuses.get(status, 0) + 1
            due = max(due + 1 / rate, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))


async def watch(service: WatchedService, end: float, rows: list[tuple[float, float]], statuses: dict[int, int]) -> None:
    """Record the memory until `end`, and print it periodically."""
    began = shown = time.monotonic()
    while (now := time.monotonic()) < end:
        rows.append((now - began, service.memory()))
        if now - shown > REPORT_SECONDS:
            shown = now
            click.echo(f"{(now - began) / 60:5.0f} min {sum(statuses.values()):9,} requests {rows[-1][1]:7.1f} MiB")
        await asyncio.sleep(LOOK)


async def _soak(service: WatchedService, seconds: float, rate: float, clients: int, seed: int) -> tuple[Any, Any]:
    end = time.monotonic() + seconds
    rows: list[tuple[float, float]] = []
    statuses: dict[int, int] = {}
    asking = [send_until_stopped(service.address, rate / clients, end, seed + k, statuses) for k in range(clients)]
    await asyncio.gather(watch(service, end, rows, statuses), *asking)
    return rows, statuses


@click.command()
@click.option("--hours", default=1.0, show_default=True, help="How long.")
@click.option("--rate", default=30.0, show_default=True, help="Requests a second.")
@click.option("--clients", default=4, show_default=True, help="How many ask.")
@click.option("--seed", default=1, show_default=True, help="Of the requests.")
@click.option("--leak", is_flag=True, help="Serve with a leak of a kilobyte a request, which must be found.")
@click.option("--setting", "settings", multiple=True, metavar="NAME=VALUE", help="Of the service: MEMORY=0.")
@click.option("--at", metavar="URL", help="Ask the service that is there, instead of one of our own.")
@click.option("--rows", type=click.Path(path_type=Path), help="Where to write seconds and MiB, as CSV.")
def soak(
    hours: float,
    rate: float,
    clients: int,
    seed: int,
    leak: bool,
    settings: tuple[str, ...],
    at: str | None,
    rows: Path | None,
) -> None:
    """Send requests for hours; exit with 1 if memory grows by more than 1 MiB an hour, or after a server error.

    The growth is measured after the first third. With `--at`, the service reports its own memory, and only its answers
    decide the exit status.
    """
    module = "benchmarks.servers.leaky" if leak else "app"
    chosen = dict(setting.split("=", 1) for setting in ("LIMIT=0", *settings))
    ours = served(module, **{f"NAMEWAVE_{name}": value for name, value in chosen.items()})
    with ours if at is None else nullcontext(RemoteService(at)) as service:
        seen, statuses = asyncio.run(_soak(service, hours * 3600, rate, clients, seed))
    if rows:
        rows.write_text("seconds,mib\n" + "".join(f"{second:.0f},{memory:.2f}\n" for second, memory in seen))
    later = [row for row in seen if row[0] >= WARM * seen[-1][0]]
    found = slope(later)
    counts = ", ".join(f"{status} {n:,}" for status, n in sorted(statuses.items()))
    click.echo(f"{sum(statuses.values()):,} requests: {counts}")
    click.echo(
        f"memory {seen[0][1]:.1f} MiB at first, {later[0][1]:.1f} after the first third, {seen[-1][1]:.1f} at the end: "
        f"{found.growth:+.2f} MiB an hour (standard error {found.error:.2f}; goal {GOAL:g})"
    )
    if (at is None and found.growth > GOAL) or any(status >= 500 and status != BUSY for status in statuses):
        raise click.exceptions.Exit(1)
