"""Who draws next: a few pieces of work at a time, whatever they are. No clock and no threads."""

import asyncio
from collections import deque

# Of so many turns one is a long request's, where short ones wait too.
LONG_EVERY = 4


class Turns:
    """`slots` pieces at a time. In the order in which they asked, short ones and long ones apart: long requests come
    again and again, and would make a short one wait for a piece of each. For one event loop.
    """

    def __init__(self, slots: int) -> None:
        self.slots = self._free = slots
        self._short: deque[asyncio.Future[None]] = deque()
        self._long: deque[asyncio.Future[None]] = deque()
        self._since_long = 0

    @property
    def free(self) -> int:
        """How many pieces could begin now."""
        return self._free

    @property
    def long_waiting(self) -> int:
        """How many pieces of long requests wait."""
        return len(self._long)

    async def take(self, long: bool) -> None:
        """Wait for a turn; `give` must follow."""
        if self._free and not (self._short or self._long):
            self._free -= 1
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue = self._long if long else self._short
        queue.append(future)
        try:
            await future
        except asyncio.CancelledError:
            if not future.cancelled():
                self.give()
            raise

    def give(self) -> None:
        """Give the turn back, to the next who waits."""
        self._free += 1
        while self._free and (queue := self._next()):
            future = queue.popleft()
            # Who left the queue is passed over.
            if not future.done():
                self._free -= 1
                future.set_result(None)

    def _next(self) -> deque[asyncio.Future[None]]:
        self._since_long += 1
        if self._long and (not self._short or self._since_long >= LONG_EVERY):
            self._since_long = 0
            return self._long
        return self._short
