"""Which requests are taken on. A request costs characters to be drawn; what a thread draws in a second is learnt; what
could not begin in time is refused at once. The seconds are those of a monotonic clock: the time of day may jump.

What is taken on begins within `queue_seconds`, or never. So that it does, no more is taken on than is drawn in a part
of that: in a larger part while the queue empties now and then, which is a burst; in a small one where it does not,
which is overload (after the controlled delay of Maurer, "Fail at Scale", ACM Queue 13, 2015). A long queue would make
all answers late, and no more of them.
"""

import math
import os
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

import anyio
import anyio.to_thread

from app.errors import Overloaded
from app.load.in_place import InPlace
from app.load.tally import Tally
from app.load.turns import Turns

# The parts of `queue_seconds` that the queue may last: in a burst, and in overload.
BURST, STANDING = 0.15, 0.05
# A request of more seconds of drawing is long: it waits behind others like it, and does not count as their queue.
LONG = 0.5
# So many long requests may wait for their turns; one that its client does not read waits for nothing.
MOST_LONG = 32
# A request of no more seconds of work is small. Such requests have this share of a processor's time, or of the event
# loop's, even where all else is refused.
SMALL, SMALL_SHARE = 0.008, 0.05
# How much threads that draw stand back (man 7 sched): a tenth of the loop's weight.
NICE = 10
Result = TypeVar("Result")


class Admission:
    """Takes requests on or raises `Overloaded`. For one event loop.

    `threads` limits what is drawn at the same time; `queue_seconds`: what begins later than that, never does.
    """

    def __init__(
        self, threads: int, queue_seconds: float, tally: Tally, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.queue_seconds, self.tally, self.clock = queue_seconds, tally, clock
        self.turns, self.in_place = Turns(threads), InPlace()
        self.limiter = anyio.CapacityLimiter(threads)
        self.niceness = min(os.getpriority(os.PRIO_PROCESS, 0) + NICE, 19) if sys.platform == "linux" else 0
        self._left = 0.0
        self._calm = clock()
        self._small_from, self._calm_small = -math.inf, self._calm

    @property
    def backlog(self) -> float:
        """Seconds until all short requests that were taken on are likely drawn."""
        return self._left / self.turns.slots

    def patience(self) -> float:
        """Return how many seconds of work a new request may find before it."""
        now = self.clock()
        if self._left <= 0:
            self._calm = now
        return self._part(now, self._calm)

    def _part(self, now: float, empty: float) -> float:
        """Return how long a queue may last that was empty at the time `empty`."""
        burst = self.queue_seconds * BURST
        return burst if now - empty <= burst else self.queue_seconds * STANDING

    def take_on(self, seconds: float) -> "Ticket":
        """Return the ticket of a request of so many seconds of drawing. Raises `Overloaded`."""
        if self.has_queue():
            if seconds > SMALL or not self.has_share():
                raise self.refusal()
            self._pay(seconds)
        if seconds > LONG and self.turns.long_waiting >= MOST_LONG:
            raise self.refusal("long")
        return Ticket(self, seconds)

    def go_on(self, seconds: float) -> "Ticket":
        """Return the ticket of a request that was begun in place, and is not refused any more."""
        return Ticket(self, seconds, begun=True)

    @property
    def idle(self) -> bool:
        """Whether a small request may be drawn in place without asking further: the usual case."""
        return self._left <= 0 and self.in_place.free

    async def small(self) -> None:
        """Wait until a small request may be drawn in place. Raises `Overloaded`."""
        came = self.clock()
        if self.is_full():
            raise self.refusal()
        oldest = self.in_place.since()
        if oldest is None:
            self._calm_small = came
        elif came - oldest > self._part(came, self._calm_small):
            raise self.refusal()
        if self.in_place.free:
            return
        await self.in_place.turn(came)
        self.check_wait(came)

    def spent(self, seconds: float) -> None:
        """Tell how long a small request was drawn in place."""
        self.tally.in_place += 1
        self.in_place.spent(seconds)
        self._pay(seconds)

    def _pay(self, seconds: float) -> None:
        """Take so much of the share of small requests, where there is other work to be done."""
        if self._left > 0:
            self._small_from = max(self._small_from, self.clock() - LONG) + seconds / SMALL_SHARE

    def leave(self) -> None:
        """Tell that a client left before its answer was there."""
        self.tally.abandoned += 1

    def is_full(self) -> bool:
        """Say whether any request would be refused, small ones too, which have used up their share."""
        return self.has_queue() and not self.has_share()

    def has_share(self) -> bool:
        """Say whether small requests have some of their share left."""
        return self._small_from <= self.clock()

    def has_queue(self) -> bool:
        """Say whether any request would be refused that is not small."""
        return self._left > 0 and self.backlog > self.patience()

    def add(self, seconds: float) -> None:
        """Add work to the backlog, or take some away."""
        if self._left <= 0:
            # However long it was empty: what comes now is a burst.
            self._calm = self.clock()
        self._left += seconds
        # What is left of floating point's rounding is nothing.
        if self._left < 1e-6:
            self._left, self._calm = 0.0, self.clock()

    def check_wait(self, came: float) -> None:
        """Raise `Overloaded` where the work of a request that came at `came` would begin too late."""
        waited = self.clock() - came
        if waited > self.queue_seconds:
            self.tally.expired += 1
            raise self.refusal("expired")
        self.tally.longest_wait = max(self.tally.longest_wait, waited)

    def refusal(self, reason: str = "queue") -> Overloaded:
        """Count a refusal and return it: `queue`, `long` or `expired`."""
        self.tally.refused[reason] += 1
        return Overloaded(max(1, math.ceil(self.backlog)))


class Ticket:
    """A request that was taken on, to be drawn in pieces by threads; a context, at the end of which it is done.

    `used`: seconds of drawing so far; `last`: of the last piece.
    """

    def __init__(self, admission: Admission, seconds: float, begun: bool = False) -> None:
        self._admission, self._came = admission, admission.clock()
        self.long, self.used, self.last, self._begun = seconds > LONG, 0.0, 0.0, begun
        self._left = 0.0 if self.long else seconds

    def __enter__(self) -> "Ticket":
        self._admission.tally.admitted += 1
        self._admission.tally.active += 1
        self._admission.add(self._left)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._admission.tally.active -= 1
        self._do(self._left)

    async def run(self, piece: Callable[[], Result]) -> Result:
        """Return what `piece` gives in a thread, once it is this request's turn. Raises `Overloaded` where the first
        turn comes too late.
        """
        turns = self._admission.turns
        await turns.take(self.long, self._begun)
        try:
            if not self._begun:
                self._admission.check_wait(self._came)
                self._begun = True
            result, seconds = await anyio.to_thread.run_sync(self._timed, piece, limiter=self._admission.limiter)
        finally:
            turns.give()
        self._note(seconds)
        return result

    def _timed(self, piece: Callable[[], Result]) -> tuple[Result, float]:
        yield_to_the_loop(self._admission.niceness)
        began = self._admission.clock()
        result = piece()
        return result, self._admission.clock() - began

    def _note(self, seconds: float) -> None:
        self.used, self.last = self.used + seconds, seconds
        self._admission.tally.drawn_seconds += seconds
        self._do(min(seconds, self._left))
        if not self.long and self.used > LONG:
            # It was taken for less than it is.
            self.long = True
            self._do(self._left)

    def _do(self, seconds: float) -> None:
        self._left -= seconds
        self._admission.add(-seconds)


def yield_to_the_loop(niceness: int) -> None:
    """Let this thread have the processor after the event loop's, which has little to do and must do it soon. Only
    Linux has priorities of threads.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
