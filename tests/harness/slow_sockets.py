"""Clients that send nothing, or a byte a second, and a normal client beside them (row 4)."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field

from tests.harness.answers import Answer, ask
from tests.harness.service import LIMIT

HEAD = b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10000\r\n"
PROBE = b"GET /generate?count=3&seed=1 HTTP/1.1\r\nHost: x\r\n\r\n"
# Seconds: between two bytes of a trickling client, and between two probes.
BYTE_INTERVAL, PROBE_INTERVAL = 1.0, 0.1


@dataclass
class SlowResult:
    """Seconds until each slow client was disconnected; the answers to probes, and the seconds each took."""

    held: list[float] = field(default_factory=list)
    probes: list[Answer] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)


async def attack_slowly(port: int, clients: int, rounds: int = 1) -> SlowResult:
    """Connect `clients` silent and as many trickling clients, half in the head, half in the body, `rounds` times."""
    result, over = SlowResult(), asyncio.Event()
    heads = [b""] * clients + [HEAD + (b"\r\n" if k % 2 else b"X: ") for k in range(clients)]
    probing = asyncio.create_task(_probe(port, result, over))
    for _ in range(rounds):
        await asyncio.gather(*(_send_slowly(port, head, result) for head in heads))
    over.set()
    await probing
    return result


async def _send_slowly(port: int, head: bytes, result: SlowResult) -> None:
    """Send `head` and then a byte a second, or nothing without a head, until disconnected."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    started = time.monotonic()
    writer.write(head)
    trickle = asyncio.create_task(_trickle(writer if head else None))
    with suppress(ConnectionError):
        async with asyncio.timeout(LIMIT):
            while await reader.read(65_536):
                pass
    result.held.append(time.monotonic() - started)
    trickle.cancel()
    writer.transport.abort()


async def _trickle(writer: asyncio.StreamWriter | None) -> None:
    while writer:
        await asyncio.sleep(BYTE_INTERVAL)
        writer.write(b"a")


async def _probe(port: int, result: SlowResult, over: asyncio.Event) -> None:
    while not over.is_set():
        started = time.monotonic()
        result.probes.append(await ask(port, [PROBE]))
        result.waits.append(time.monotonic() - started)
        await asyncio.sleep(PROBE_INTERVAL)
