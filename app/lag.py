"""How late the event loop is, and the end of a process whose loop is stuck."""

import asyncio
import faulthandler
import sys
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


async def measure(lag: LoopLag, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
    """Measure for ever. Where the loop says nothing for `patience` seconds (0: any time), the process ends with the
    place of every thread on standard error, even if one holds the interpreter's lock.
    """
    armed = clock()
    if patience:
        _arm(patience)
    while True:
        before = clock()
        await asyncio.sleep(EVERY)
        after = clock()
        lag.note(after - before - EVERY)
        # Arming starts a thread of the system's: not with each look.
        if patience and after - armed > patience / 10:
            _arm(patience)
            armed = after


def _arm(patience: float) -> None:
    faulthandler.dump_traceback_later(patience, exit=True, file=sys.__stderr__ or sys.stderr)


@asynccontextmanager
async def measured(lag: LoopLag, patience: float) -> AsyncIterator[None]:
    """Measure while the body runs."""
    # No task group: it would wrap every error of the block.
    task = asyncio.create_task(measure(lag, patience))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        if patience:
            faulthandler.cancel_dump_traceback_later()
