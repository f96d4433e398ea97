"""Time that a test controls, and polling for what other threads or tasks do."""

import asyncio
import time
from collections.abc import Callable

# Seconds: it only ends a hang.
LIMIT = 60.0


class Clock:
    """A clock that stands still until a test sets `now`, in seconds."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def until(condition: Callable[[], bool]) -> None:
    """Poll until the condition holds."""
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.01)


async def async_until(condition: Callable[[], bool]) -> None:
    """Poll until the condition holds, while the event loop runs."""
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        await asyncio.sleep(0.01)
