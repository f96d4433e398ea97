"""How late the event loop is."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

# Seconds between two looks.
EVERY = 0.05


async def measure(tell: Callable[[float], object], clock: Callable[[], float] = time.monotonic) -> None:
    """Tell for ever by how many seconds a short sleep ended too late, 0 or more."""
    while True:
        before = clock()
        await asyncio.sleep(EVERY)
        tell(max(0.0, clock() - before - EVERY))


@asynccontextmanager
async def measured(tell: Callable[[float], object]) -> AsyncIterator[None]:
    """Measure while the body runs."""
    # No task group: it would wrap every error of the block.
    task = asyncio.create_task(measure(tell))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
