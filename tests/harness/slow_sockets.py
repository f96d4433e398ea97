"""Clients that say nothing, or next to nothing: how long they are borne, and whether others notice (row 4)."""

import asyncio
import time
from dataclasses import dataclass, field

from tests.harness.answers import Answer, ask

HEAD = b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10000\r\n"
PROBE = b"GET /generate?count=3&seed=1 HTTP/1.1\r\nHost: x\r\n\r\n"
# Seconds between two bytes of a trickling client.
DRIP = 1.0


@dataclass
class Slowness:
    """Seconds until each slow client was cut off, and what probes got meanwhile, with the seconds each took."""

    held: list[float] = field(default_factory=list)
    probes: list[Answer] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)


async def silent(port: int, told: Slowness) -> None:
    """Connect, say nothing, and wait to be cut off."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    await _until_cut(reader, writer)
    told.held.append(time.monotonic() - began)


async def trickling(port: int, head: bytes, told: Slowness) -> None:
    """Send `head` and then a byte a second, until cut off."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    writer.write(head)
    drip = asyncio.create_task(_drip(writer))
    await _until_cut(reader, writer)
    told.held.append(time.monotonic() - began)
    drip.cancel()


async def _drip(writer: asyncio.StreamWriter) -> None:
    while True:
        await asyncio.sleep(DRIP)
        writer.write(b"a")


async def _until_cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await reader.read(65_536):
            pass
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()


async def probe(port: int, told: Slowness, over: asyncio.Event) -> None:
    """Ask for names again and again, ten times a second, each time on a new connection."""
    while not over.is_set():
        began = time.monotonic()
        told.probes.append(await ask(port, [PROBE], 10))
        told.waits.append(time.monotonic() - began)
        await asyncio.sleep(0.1)


async def besiege(port: int, clients: int, rounds: int = 1) -> Slowness:
    """Let `clients` silent and as many trickling clients (half of them in the head, half in the body) come, `rounds`
    times one after the other, beside a probe.
    """
    told, over = Slowness(), asyncio.Event()
    probing = asyncio.create_task(probe(port, told, over))
    for _ in range(rounds):
        heads = [HEAD + (b"\r\n" if k % 2 else b"X: ") for k in range(clients)]
        await asyncio.gather(
            *(silent(port, told) for _ in range(clients)), *(trickling(port, head, told) for head in heads)
        )
    over.set()
    await probing
    return told
