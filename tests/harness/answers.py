"""Send raw bytes to a server, and parse its answer without trust."""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3}) ")
LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]+)\r\n", re.IGNORECASE)
# A longer stream is not read to its end.
MAX_BYTES = 262_144
BODILESS = (204, 304)
# Sends a request to an application in this process; the fixture `ask`.
Ask = Callable[..., httpx.Response]


@dataclass(frozen=True)
class Answer:
    """The first answer on a connection; `complete`: it ended as its framing says.

    Status 0: the connection was closed without an answer; -1: none came in time.
    """

    status: int
    head: bytes = b""
    body: bytes = b""
    complete: bool = True


async def ask(port: int, pieces: Sequence[bytes], limit: float = 120) -> Answer:
    """Send the pieces on a new connection, and return the first answer within `limit` seconds."""
    try:
        return await asyncio.wait_for(_ask(port, pieces), limit)
    except TimeoutError:
        return Answer(-1)


async def _ask(port: int, pieces: Sequence[bytes]) -> Answer:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        return await _read(reader, bodiless=b"".join(pieces).lstrip(b"\r\n").startswith(b"HEAD "))
    except ConnectionError:
        # The server refused to read on; its answer may be lost with the connection.
        return Answer(0)
    finally:
        writer.transport.abort()


async def _read(reader: asyncio.StreamReader, bodiless: bool) -> Answer:
    data = b""
    while more := await reader.read(65_536):
        data += more
        answer = parse(data, bodiless)
        if answer is not None and (answer.complete or len(data) > MAX_BYTES):
            return answer
    return parse(data, bodiless) or Answer(0, complete=not data)


def parse(data: bytes, bodiless: bool = False) -> Answer | None:
    """Return the first final answer in `data`, or None until its head is complete."""
    head, end, body = data.partition(b"\r\n\r\n")
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
