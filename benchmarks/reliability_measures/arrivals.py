"""Open load: requests arrive on schedule, whether or not earlier ones are answered.

Connections stay open, and new ones are opened as needed.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class PlannedRequest:
    """A request to send: its kind, its number of names, and its bytes."""

    kind: str
    names: int
    data: bytes


@dataclass
class ObservedRequest:
    """The result of a request: monotonic times when it was due, sent and answered (0: never), and its status.

    Status 0 means a broken connection.
    """

    asked: PlannedRequest
    due: float
    sent: float = 0.0
    done: float = 0.0
    status: int = 0
    retry_after: str = ""

    @property
    def latency(self) -> float:
        """Milliseconds since the request was due, which includes any delay of the client."""
        return (self.done - self.due) * 1000


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, free: "list[_Connection]") -> None:
        self._free, self._got = free, bytearray()
        self._seen: ObservedRequest | None = None
        self._over: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self, seen: ObservedRequest, over: Callable[[], None]) -> None:
        self._seen, self._over = seen, over
        seen.sent = time.monotonic()
        self.transport.write(seen.asked.data)

    def data_received(self, data: bytes) -> None:
        self._got += data
        end = self._got.find(HEAD_END)
        if end < 0:
            return
        fields = dict(line.split(b": ", 1) for line in bytes(self._got[:end]).lower().split(b"\r\n")[1:])
        if len(self._got) < end + len(HEAD_END) + int(fields[b"content-length"]):
            return
        status = int(self._got[9:12])
        self._got.clear()
        if self._seen is not None:
            self._seen.retry_after = fields.get(b"retry-after", b"").decode()
            self._finish(status)
            self._free.append(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self in self._free:
            self._free.remove(self)
        if self._seen is not None:
            self._finish(0)

    def _finish(self, status: int) -> None:
        assert self._seen is not None
        assert self._over is not None
        seen, over = self._seen, self._over
        self._seen = None
        seen.status, seen.done = status, time.monotonic()
        over()


class Load:
    """Sends requests to one address on schedule."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[_Connection] = []
        self._under_way = 0
        self._idle = asyncio.Event()

    async def send(self, requests: Sequence[tuple[float, PlannedRequest]]) -> list[ObservedRequest]:
        """Send each request at its time, in seconds from now, and return all results."""
        began = time.monotonic()
        seen: list[ObservedRequest] = []
        tasks: set[asyncio.Task[None]] = set()
        for after, asked in requests:
            entry = ObservedRequest(asked, began + after)
            seen.append(entry)
            pause = entry.due - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            elif len(seen) % 8 == 0:
                await asyncio.sleep(0)
            self._under_way += 1
            if self._free:
                self._free.pop().ask(entry, self._over)
            else:
                task = asyncio.create_task(self._send_on_new_connection(entry))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        while self._under_way:
            self._idle.clear()
            await self._idle.wait()
        return seen

    async def _send_on_new_connection(self, entry: ObservedRequest) -> None:
        try:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(lambda: _Connection(self._free), "127.0.0.1", self._port)
        except OSError:
            self._over()
            return
        connection.ask(entry, self._over)

    def _over(self) -> None:
        self._under_way -= 1
        self._idle.set()

    def close(self) -> None:
        """Close all connections."""
        for connection in self._free:
            connection.transport.close()


def poisson(
    rate: float, seconds: float, asked: Callable[[], PlannedRequest], chance: random.Random
) -> list[tuple[float, PlannedRequest]]:
    """Return Poisson arrivals at `rate` per second, for `seconds` seconds."""
    at, found = 0.0, []
    while (at := at + chance.expovariate(rate)) < seconds:
        found.append((at, asked()))
    return found


def steady(rate: float, seconds: float, asked: PlannedRequest) -> list[tuple[float, PlannedRequest]]:
    """Return arrivals at equal intervals."""
    return [(k / rate, asked) for k in range(int(rate * seconds))]
