"""The way in for small requests while all others are refused: how many may come at a turn of the event loop. What they
want, is not known here.
"""

import asyncio

from app.load.admission import Admission

# However few of those that come draw anything.
MOST = 64


class Wicket:
    """Lets so many small requests in at a turn as it takes, of late, for one of them to draw. The others of that turn
    would find the share spent, and would have been understood for nothing. Who turns out to draw nothing, for want of a
    key or of sense, does not take the place of those who would: then more are let in. For one event loop.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._enough, self._let_in, self._drawn = 1, 0, -1

    def lets_in(self) -> bool:
        """Say whether a small request may come in, and count it."""
        if not self._admission.has_share():
            return False
        if self._let_in == 0:
            self._begin()
        if self._let_in == self._enough:
            return False
        self._let_in += 1
        return True

    def _begin(self) -> None:
        drawn = self._admission.small_done
        self._enough = max(1, self._enough - 1) if drawn > self._drawn else min(2 * self._enough, MOST)
        self._drawn = drawn
        asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._let_in = 0
