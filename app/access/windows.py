"""How much each client had in the last minute, counted in this process: a sliding window of two counters. No HTTP, and
nothing about what is counted. `shared_windows` does the same for several processes.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

WINDOW = 60.0
# More clients than that in a minute share one account: a flood of addresses must not fill the memory.
MOST_CLIENTS = 100_000
OTHERS = "(others)"


@dataclass(frozen=True, slots=True)
class Window:
    """What a client had: `previous` in the window before, which counts for `previous_left` seconds more and less and
    less, `current` in this one, which ends in `left` seconds.
    """

    previous: int
    previous_left: float
    current: int
    left: float

    @property
    def used(self) -> int:
        """How much counts now."""
        return math.floor(self.previous * self.previous_left / WINDOW) + self.current

    def wait(self, limit: int, cost: int) -> float:
        """Return the seconds until `cost`, at most `limit`, fits into `limit`, if nothing is used meanwhile."""
        free = limit - cost
        if self.used <= free:
            return 0.0
        # What counts is rounded down: there is enough once it is less than one more than what may count.
        if self.current <= free:
            return max(0.0, self.previous_left - (free + 1 - self.current) * WINDOW / self.previous)
        return self.left + WINDOW * (1 - (free + 1) / self.current)


class Windows:
    """Counters of this process: `limit` in `WINDOW` seconds for each client. For one thread.

    The clock is monotonic: when the system's time jumps, nobody gets more or waits longer. Windows begin for all
    clients at the same time, so that forgetting the old ones costs nothing.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic, most: int = MOST_CLIENTS) -> None:
        self.limit, self._clock, self._most = limit, clock, most
        self._number = math.floor(clock() / WINDOW)
        self._previous: dict[str, int] = {}
        self._current: dict[str, int] = {}

    def hit(self, client: str, cost: int) -> bool:
        """Take `cost`, or all there is of a limit that is smaller, if that fits; say whether it did."""
        client, cost = self._known(client), min(cost, self.limit)
        current = self._current.get(client, 0)
        before = self._previous.get(client)
        used = current if before is None else math.floor(before * self._left / WINDOW) + current
        if used + cost > self.limit:
            return False
        self._current[client] = current + cost
        return True

    def correct(self, client: str, more: int) -> None:
        """Add `more` to what was taken, up to the limit; less than 0 gives back."""
        client = self._known(client)
        window = self.window(client)
        current = window.current + min(more, max(0, self.limit - window.used))
        if current < 0:
            # It was taken before this window: there it goes back to.
            self._previous[client] = max(0, window.previous + current)
        self._current[client] = max(0, current)

    def window(self, client: str) -> Window:
        """Return what the client had."""
        client = self._known(client)
        before = self._previous.get(client, 0)
        return Window(before, self._left if before else 0.0, self._current.get(client, 0), self._left)

    def _known(self, client: str) -> str:
        """Bring the windows up to now, and return under which name the client is counted."""
        now = self._clock() / WINDOW
        number = math.floor(now)
        if number != self._number:
            self._previous = self._current if number == self._number + 1 else {}
            self._current, self._number = {}, number
        self._left = (number + 1 - now) * WINDOW
        return client if len(self._current) < self._most or client in self._current else OTHERS
