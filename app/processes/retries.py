"""When a start that failed is tried again: after a pause that grows. What is started is not known here."""

import time
from collections.abc import Callable

# Seconds: the first pause, which doubles, and the longest.
FIRST, LONGEST = 1.0, 60.0


class Retries:
    """The pause after failures of one kind."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Forget all failures: the next try may be now."""
        self._pause, self._until = 0.0, float("-inf")

    def failed(self) -> float:
        """Count a failure; return the seconds until the next try."""
        self._pause = min(LONGEST, 2 * self._pause) or FIRST
        self._until = self._clock() + self._pause
        return self._pause

    def due(self) -> bool:
        """Tell whether the pause is over."""
        return self._clock() >= self._until
