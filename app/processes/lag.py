"""How late the event loop is."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

# Seconds between two looks.
EVERY = 0.05


class LoopLag:
    """Seconds by which a short sleep ended too late: `last`, and `largest` since the start or since `reset`."""

    def __init__(self) -> None:
        self.last = self.largest = 0.0

    def note(self, seconds: float) -> None:
        """Take note of one measurement."""
        self.last = max(seconds, 0.0)
        self.largest = max(self.largest, self.last)

    def reset(self) -> None:
        """Forget the largest."""
        self.largest = 0.0


async def measure(lag: LoopLag, clock: Callable[[], float] = time.monotonic) -> None:
    """Measure for ever."""
    while True:
        before = clock()
        await asyncio.sleep(EVERY)
        lag.note(clock() - before - EVERY)


@asynccontextmanager
async def measured(lag: LoopLag) -> AsyncIterator[None]:
    """Measure while the body runs."""
    # No task group: it would wrap every error of the block.
    task = asyncio.create_task(measure(lag))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
