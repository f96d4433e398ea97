"""Admission control: which requests start, and which get 503.

Requests for threads enter a FIFO queue of at most `queue_seconds` of estimated work. A request that does not fit waits
a moment for room, and is then refused: clients that never back off would otherwise fill the event loop with refusals.
"""

import asyncio
import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

import anyio
import anyio.to_thread

from app.admission.scheduler import InlineScheduler, WorkQueue

# Seconds of work beyond which a request is long: it queues with others like it, and short ones do not wait for it.
LONG_SECONDS = 0.5
# How many chunks of long requests may wait. A stream that its client does not read waits for nothing.
MAX_LONG_WAITING = 32
# Admitted work is refused after it waits for `EXPIRY_FACTOR * queue_seconds`: the estimates were too low.
EXPIRY_FACTOR = 2
# Seconds that a request waits for room before it is refused, and how many may wait so.
REFUSAL_DELAY, MAX_DELAYED = 0.1, 256
Result = TypeVar("Result")


class Overloaded(Exception):
    """The service has no capacity; `seconds`, at least 1: when to retry."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"overloaded for {seconds} s")
        self.seconds = seconds


class AdmissionController:
    """Admits requests or raises `Overloaded`. For one event loop.

    `threads`: how many chunks run at a time. The clock is monotonic, because the time of day may jump.
    """

    def __init__(self, threads: int, queue_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.queue_seconds, self.clock = queue_seconds, clock
        self.queue, self.inline = WorkQueue(threads), InlineScheduler()
        self.limiter = anyio.CapacityLimiter(threads)
        # Requests that run or wait for a thread, their estimated seconds, and how many wait to be refused.
        self.active, self._pending, self._delayed = 0, 0.0, 0

    @property
    def backlog(self) -> float:
        """Estimated seconds until all admitted short requests are done."""
        return self._pending / self.queue.slots

    async def admit(self, seconds: float, started: bool = False) -> "AdmittedJob":
        """Admit a request to the threads, given its estimated work in seconds. Raises `Overloaded`.

        A stream that has `started` inline is not refused any more.
        """
        if not (started or self._has_room(seconds)):
            await self._delay()
            if not self._has_room(seconds):
                raise self._overloaded()
        return AdmittedJob(self, seconds, started)

    async def run_inline(self, work: Callable[[], Result], started: bool = False) -> tuple[Result, float]:
        """Run small work on the event loop, in its turn; return its result and its seconds.

        Raises `Overloaded`.
        """
        if not (started or self.inline.free):
            if self.inline.expected_wait > self.queue_seconds:
                await self._delay()
                if self.inline.expected_wait > self.queue_seconds:
                    raise self._overloaded()
            await self.inline.wait()
        start = self.clock()
        try:
            result = work()
        finally:
            seconds = self.clock() - start
            self.inline.record(seconds)
        return result, seconds

    def add(self, seconds: float) -> None:
        """Add seconds of work to the backlog; a negative number takes them away."""
        # A rounding error counts as no work.
        self._pending = self._pending + seconds if self._pending + seconds > 1e-6 else 0.0

    def check_queue_timeout(self, arrival: float) -> None:
        """Raise `Overloaded` if work that arrived then waited too long."""
        if self.clock() - arrival > EXPIRY_FACTOR * self.queue_seconds:
            raise self._overloaded()

    def _has_room(self, seconds: float) -> bool:
        if seconds > LONG_SECONDS:
            return self.queue.long_waiting < MAX_LONG_WAITING
        return self.backlog <= self.queue_seconds

    async def _delay(self) -> None:
        if self._delayed < MAX_DELAYED:
            self._delayed += 1
            try:
                await asyncio.sleep(REFUSAL_DELAY)
            finally:
                self._delayed -= 1

    def _overloaded(self) -> Overloaded:
        return Overloaded(max(1, math.ceil(self.backlog)))


class AdmittedJob:
    """An admitted request, whose chunks run in threads; a context manager that ends it.

    `used`: seconds of work so far; `last`: of the last chunk.
    """

    def __init__(self, controller: AdmissionController, seconds: float, started: bool = False) -> None:
        self._controller, self._arrival, self._started = controller, controller.clock(), started
        self.long, self.used, self.last = seconds > LONG_SECONDS, 0.0, 0.0
        self._left = 0.0 if self.long else seconds

    def __enter__(self) -> "AdmittedJob":
        self._controller.active += 1
        self._controller.add(self._left)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        self._controller.active -= 1
        self._finish(self._left)

    async def run(self, chunk: Callable[[], Result]) -> Result:
        """Return the result of `chunk`, run in a thread.

        Raises `Overloaded` if the first one starts too late.
        """
        controller = self._controller
        await controller.queue.acquire(self.long, self._started)
        try:
            if not self._started:
                controller.check_queue_timeout(self._arrival)
                self._started = True
            result, self.last = await anyio.to_thread.run_sync(self._timed, chunk, limiter=controller.limiter)
        finally:
            controller.queue.release()
        self.used += self.last
        self._finish(min(self.last, self._left))
        if not self.long and self.used > LONG_SECONDS:
            # The estimate was too low.
            self.long = True
            self._finish(self._left)
        return result

    def _timed(self, chunk: Callable[[], Result]) -> tuple[Result, float]:
        start = self._controller.clock()
        return chunk(), self._controller.clock() - start

    def _finish(self, seconds: float) -> None:
        self._left -= seconds
        self._controller.add(-seconds)
