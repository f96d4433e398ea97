"""How much to draw at a time: pieces of about the same duration, whatever the model. Never what is drawn."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Long beside the hop to a thread (0.1 ms), short beside the 100 ms in which work for a client that left must end.
GOAL = 0.008
# The first piece is small, for models that are slow, unless it is known how fast they are.
FEWEST, FIRST, MOST = 16, 64, 2048


class Pace:
    """The size of the next piece, from the time that the last one took. `clock` tells seconds; `first` and `most` are
    the sizes of the first and the largest piece.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter, most: int = MOST, first: int = FIRST) -> None:
        self.size = min(first, most)
        self._clock, self._most = clock, most

    @contextmanager
    def measured(self, n: int) -> Iterator[None]:
        """Draw n candidates inside; afterwards `size` is what would have taken `GOAL` seconds, at most four times as
        much as before.
        """
        began = self._clock()
        yield
        seconds = max(self._clock() - began, 1e-9)
        self.size = max(FEWEST, min(int(n * GOAL / seconds), 4 * self.size, self._most))


def enough(wanted: int, names: int, attempts: int) -> int:
    """Return how many candidates likely hold `wanted` names, where `attempts` candidates had `names`."""
    return wanted * max(1, -(-attempts // max(names, 1)))
