"""Bytes to a server, and what came back, read without trust: a status, a body, or a connection that was closed."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3}) ")
LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]+)\r\n", re.IGNORECASE)
# More of a stream is not read.
MOST = 262_144
BODILESS = (204, 304)


@dataclass(frozen=True)
class Answer:
    """The first answer on a connection: status 0 where it was closed without one, -1 where nothing came in time.
    `whole` tells whether it ended as its framing says.
    """

    status: int
    head: bytes = b""
    body: bytes = b""
    whole: bool = True


async def ask(port: int, pieces: Sequence[bytes], patience: float, pause: float = 0.0) -> Answer:
    """Send the pieces on a connection of their own, and return the first answer within `patience` seconds."""
    try:
        return await asyncio.wait_for(_ask(port, pieces, pause), patience)
    except TimeoutError:
        return Answer(-1)


async def _ask(port: int, pieces: Sequence[bytes], pause: float) -> Answer:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        return await _read(reader, bodiless=b"".join(pieces).lstrip(b"\r\n").startswith(b"HEAD "))
    except ConnectionError:
        # The server refused to read on; its answer may be lost with the connection.
        return Answer(0)
    finally:
        writer.transport.abort()


async def _read(reader: asyncio.StreamReader, bodiless: bool) -> Answer:
    got = b""
    while data := await reader.read(65_536):
        got += data
        answer = parse(got, bodiless)
        if answer is not None and (answer.whole or len(got) > MOST):
            return answer
    last = parse(got, bodiless)
    return last or Answer(0, whole=not got)


def parse(got: bytes, bodiless: bool) -> Answer | None:
    """Return the first final answer in `got`, None while its head is not there."""
    head, end, body = got.partition(b"\r\n\r\n")
    found = STATUS.match(head)
    if not end or not found:
        return None
    status = int(found[1])
    if status < 200:
        return parse(body, bodiless)
    if bodiless or status in BODILESS:
        return Answer(status, head)
    length = LENGTH.search(head + b"\r\n")
    if length:
        return Answer(status, head, body[: int(length[1])], len(body) >= int(length[1]))
    return Answer(status, head, body, body.endswith(b"\r\n0\r\n\r\n") or body == b"0\r\n\r\n")
