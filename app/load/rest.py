"""Rest for an event loop that only refuses: while threads draw, it lets them, and refuses what came meanwhile together.
Nothing about who is refused.

Each time the loop wakes for one refusal it takes the processor, and what is in its caches, from a thread that draws,
and Python's lock with it. Network cards spare processors such interruptions in the same way.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# The longest rest in seconds. What is refused, and health, are told later by as much.
LONGEST = 0.006


class Rest:
    """Of one event loop, which has nothing to give to its `threads` while all of them draw."""

    def __init__(self, threads: int, longest: float = LONGEST) -> None:
        self._threads, self._longest, self._planned = threads, longest, False
        self._drawing, self._changed = 0, threading.Condition()

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Count this thread as one that draws. When it has drawn, there is something to do for the loop."""
        with self._changed:
            self._drawing += 1
        try:
            yield
        finally:
            with self._changed:
                self._drawing -= 1
                self._changed.notify()

    def soon(self) -> None:
        """Rest once all is done that came so far. On the event loop."""
        if not self._planned and self._is_free:
            self._planned = True
            loop = asyncio.get_running_loop()
            # What came with this request, and is to be answered, has yet to begin.
            loop.call_soon(loop.call_soon, self._now)

    @property
    def _is_free(self) -> bool:
        return self._drawing == self._threads

    def _now(self) -> None:
        self._planned = False
        with self._changed:
            if self._is_free:
                self._changed.wait(self._longest)
