"""How long a client may take: to send a request whole, to take its answer, to leave when the service stops. What is
refused, and how it is told, is not known here.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from app.connection.packing import PackingTransport

# Bytes that must have been taken when the time to take some is over; fewer only where no more are left.
ENOUGH = 16_384
# Seconds: between two looks, at most; and without taking anything when the service stops.
TICK, HURRY = 0.5, 2.0


@dataclass(frozen=True)
class Patience:
    """Seconds: for a request to arrive, head and body; for `ENOUGH` of an answer to be taken; from the wish to stop
    until whoever is left is cut off.
    """

    receive: float = 8
    send: float = 30
    leave: float = 8


class Deadlines:
    """Looks after one connection. `late` is called when a request did not arrive in time; a client that does not take
    its answer is cut off.

    One timer for the whole connection looks now and then, so that a request costs no timer of its own.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: PackingTransport,
        patience: Patience,
        late: Callable[[], None],
    ) -> None:
        self._loop, self._transport, self._patience, self._late = loop, transport, patience, late
        # Since when a request has been on its way, None while the client owes none.
        self.since: float | None = loop.time()
        self._taken, self._taken_at = 0, self.since
        self._end: float | None = None
        self._wait()

    def begin(self) -> None:
        """A request begins, or goes on: the time runs since it began."""
        if self.since is None:
            self.since = self._loop.time()

    def again(self) -> None:
        """Let the time to receive begin again: it was ours that was lost."""
        self.since = self._loop.time()

    def received(self) -> None:
        """The request is there, whole."""
        self.since = None

    def hurry(self) -> None:
        """The service stops: be less patient with those who send or take nothing, and in the end with all."""
        now, patience = self._loop.time(), self._patience
        self._patience = replace(patience, receive=min(HURRY, patience.receive), send=min(HURRY, patience.send))
        self.since = None if self.since is None else now
        self._end = now + patience.leave

    def stop(self) -> None:
        """The connection is gone."""
        self._timer.cancel()

    def _wait(self) -> None:
        tick = min(TICK, self._patience.receive / 4, self._patience.send / 4)
        self._timer = self._loop.call_later(tick, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        if self._is_stalled(now) or (self._end is not None and now >= self._end):
            self._transport.abort()
            return
        if self.since is not None and now >= self.since + self._patience.receive:
            self.since = None
            self._late()
        self._wait()

    def _is_stalled(self, now: float) -> bool:
        left = self._transport.get_write_buffer_size()
        taken = self._transport.written - left
        if left == 0 or taken >= self._taken + ENOUGH:
            self._taken, self._taken_at = taken, now
        return now >= self._taken_at + self._patience.send
