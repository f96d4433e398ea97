"""Schedule chunks of work for threads, and small work on the event loop.

It has no clock and no threads of its own.
"""

import asyncio
from collections import deque

# While short requests wait, one chunk in four belongs to a long request.
LONG_EVERY = 4
# Seconds of small work before the event loop looks at its sockets: health must answer within 50 ms.
TIME_SLICE = 0.008
# Weight of a new measurement in the mean duration of small work.
MEAN_WEIGHT = 0.02


class WorkQueue:
    """Runs up to `slots` chunks at a time, for one event loop.

    Short and long requests queue apart, because a long one would block short ones. A short request runs all its chunks
    in a row; long ones take turns.
    """

    def __init__(self, slots: int) -> None:
        self.slots = self._free = slots
        self._short: deque[asyncio.Future[None]] = deque()
        self._long: deque[asyncio.Future[None]] = deque()
        self._since_long = 0

    @property
    def long_waiting(self) -> int:
        """How many chunks of long requests wait."""
        return len(self._long)

    async def acquire(self, long: bool, started: bool = False) -> None:
        """Wait for a slot; `release` must follow. `started`: the request has run a chunk before."""
        if self._free and not (self._short or self._long):
            self._free -= 1
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if long:
            self._long.append(future)
        elif started:
            self._short.appendleft(future)
        else:
            self._short.append(future)
        try:
            await future
        except asyncio.CancelledError:
            if not future.cancelled():
                self.release()
            raise

    def release(self) -> None:
        """Give the slot to the next chunk."""
        self._free += 1
        while self._free and (queue := self._next_queue()):
            future = queue.popleft()
            # A cancelled request is skipped.
            if not future.done():
                self._free -= 1
                future.set_result(None)

    def _next_queue(self) -> deque[asyncio.Future[None]]:
        self._since_long += 1
        if self._long and (not self._short or self._since_long >= LONG_EVERY):
            self._since_long = 0
            return self._long
        return self._short


class InlineScheduler:
    """Shares the event loop between small requests that arrive together. For one event loop."""

    def __init__(self) -> None:
        self._used, self._mean, self._yielding = 0.0, 0.001, False
        self._waiting: deque[asyncio.Future[None]] = deque()
        # Those that had their turn, and found the slice used up: they come first.
        self._late: deque[asyncio.Future[None]] = deque()
        # Those whose turn it is, and that the event loop has not run yet.
        self._woken = 0

    @property
    def free(self) -> bool:
        """Whether small work may run now: the time slice has room, and nobody waits."""
        return self._used < TIME_SLICE and not (self._waiting or self._late or self._woken)

    @property
    def expected_wait(self) -> float:
        """Estimated seconds until work that arrives now runs."""
        return (len(self._late) + len(self._waiting)) * self._mean

    async def wait(self) -> None:
        """Wait for a time slice, first come, first served."""
        await self._turn(self._waiting)
        # Others of this slice took longer than the mean.
        while self._used >= TIME_SLICE:
            await self._turn(self._late)

    async def _turn(self, queue: "deque[asyncio.Future[None]]") -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(future)
        self._yield_soon()
        try:
            await future
        finally:
            # A request may be cancelled before or after its turn.
            if future.done() and not future.cancelled():
                self._woken -= 1

    def record(self, seconds: float) -> None:
        """Note that small work ran for so long."""
        self._used += seconds
        self._mean += MEAN_WEIGHT * (seconds - self._mean)
        self._yield_soon()

    def _yield_soon(self) -> None:
        if not self._yielding:
            self._yielding = True
            # The loop looks at its sockets before it runs this.
            asyncio.get_running_loop().call_soon(self._next_slice)

    def _next_slice(self) -> None:
        self._used, self._yielding = 0.0, False
        room = max(1, int(TIME_SLICE / max(self._mean, 1e-6)))
        while room and (queue := self._late or self._waiting):
            future = queue.popleft()
            # A cancelled request is skipped.
            if not future.done():
                future.set_result(None)
                self._woken += 1
                room -= 1
        if self._late or self._waiting:
            self._yield_soon()
