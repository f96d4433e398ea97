"""Who draws next: a few pieces of work at a time, whatever they are. No clock and no threads."""

import asyncio
from collections import deque

# Of so many turns one is a long request's, where short ones wait too.
LONG_EVERY = 4


class Turns:
    """`slots` pieces at a time, short requests and long ones apart: a long one would make short ones wait. Short
    ones in the order in which they came, each until it is done; of long ones a piece of each in turn. For one event
    loop.
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

    async def take(self, long: bool, begun: bool = False) -> None:
        """Wait for a turn; `give` must follow. `begun`: this is not the first of its request."""
        if self._free and not (self._short or self._long):
            self._free -= 1
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if long:
            self._long.append(future)
        elif begun:
            self._short.appendleft(future)
        else:
            self._short.append(future)
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
