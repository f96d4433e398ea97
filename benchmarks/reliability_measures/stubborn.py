"""Clients that never back off: `python -m benchmarks.reliability stubborn` (row 13).

Each connection sends its next request as soon as the last one is answered, whatever the answer is.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from tests.harness.service import served

HEALTH = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
HEALTH_INTERVAL = 0.02


@dataclass
class Seen:
    """Statuses by number, seconds of each good answer, and seconds of each health check."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)


def post(count: int) -> bytes:
    """Return the bytes of a request for `count` names."""
    body = f'{{"count": {count}}}'.encode()
    head = "POST /generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    await reader.readexactly(length)
    return int(head[9:12])


async def _resend(port: int, request: bytes, seen: Seen, end: float) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    while time.monotonic() < end:
        start = time.monotonic()
        writer.write(request)
        status = await _answer(reader)
        seen.statuses[status] += 1
        if status == 200:
            seen.seconds.append(time.monotonic() - start)
    writer.close()


async def _check_health(port: int, seen: Seen, end: float) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.monotonic() < end:
        start = time.monotonic()
        writer.write(HEALTH)
        await _answer(reader)
        seen.health.append(time.monotonic() - start)
        await asyncio.sleep(HEALTH_INTERVAL)
    writer.close()


async def load(port: int, connections: int, count: int, seconds: float) -> Seen:
    """Request `count` names repeatedly on each of `connections` connections; return the answers they saw."""
    seen, end = Seen(), time.monotonic() + seconds
    clients = [_resend(port, post(count), seen, end) for _ in range(connections)]
    await asyncio.gather(_check_health(port, seen, end), *clients)
    return seen


@click.command()
@click.option("--seconds", default=8.0, show_default=True, help="Of each row.")
@click.option("--counts", default="1000,500,100,20", show_default=True, help="Names of a request.")
@click.option("--connections", default="1,4,16,64", show_default=True, help="Connections at a time.")
def stubborn(seconds: float, counts: str, connections: str) -> None:
    """Print good answers a second of clients that never back off, as a share of the best number of connections."""
    table = Table("names", "connections", "good/s", "of best of 1 and 4", "503/s", "p50 ms", "p99 ms", "health p99 ms")
    with served(NAMEWAVE_LIMIT="0") as service:
        asyncio.run(load(service.port, 4, 1000, 3))
        for count in map(int, counts.split(",")):
            best = 0.0
            for number in map(int, connections.split(",")):
                seen = asyncio.run(load(service.port, number, count, seconds))
                good = seen.statuses[200] / seconds
                best = max(best, good) if number <= 4 else best
                p50, p99 = np.percentile(seen.seconds, [50, 99]) * 1000 if seen.seconds else (np.nan, np.nan)
                table.add_row(
                    str(count),
                    str(number),
                    f"{good:.0f}",
                    f"{good / best:.2f}" if best else "-",
                    f"{seen.statuses[503] / seconds:.0f}",
                    f"{p50:.0f}",
                    f"{p99:.0f}",
                    f"{np.percentile(seen.health, 99) * 1000:.0f}",
                )
    Console(width=110).print(table)
