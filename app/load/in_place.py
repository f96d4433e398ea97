"""Small work on the event loop, in slices: between two of them the loop looks at its sockets. Nothing about what is
done.
"""

import asyncio
from collections import deque

# So many seconds of small work, then the loop breathes: health must be told within 50 ms, whatever comes.
SLICE = 0.008
# How slowly the mean duration of small work follows what is measured.
SLOWLY = 0.02


class InPlace:
    """Shares the event loop between small requests that came at once. For one event loop."""

    def __init__(self) -> None:
        self._spent, self._mean, self._breathing = 0.0, 0.001, False
        self._waiting: deque[tuple[float, asyncio.Future[None]]] = deque()

    @property
    def free(self) -> bool:
        """Whether small work may be done now: the slice has room, and nobody waits."""
        return self._spent < SLICE and not self._waiting

    def since(self) -> float | None:
        """Return when the one came who has waited longest, None where nobody waits."""
        return self._waiting[0][0] if self._waiting else None

    async def turn(self, now: float) -> None:
        """Wait for room, behind those who came before. `now` is when this one came."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((now, future))
        self._breathe_soon()
        await future

    def spent(self, seconds: float) -> None:
        """Tell that small work took so long."""
        self._spent += seconds
        self._mean += SLOWLY * (seconds - self._mean)
        if not self._breathing:
            self._breathe_soon()

    def _breathe_soon(self) -> None:
        if not self._breathing:
            self._breathing = True
            # What is called soon is called after the next look at the sockets.
            asyncio.get_running_loop().call_soon(self._breathe)

    def _breathe(self) -> None:
        self._spent, self._breathing = 0.0, False
        room = max(1, int(SLICE / max(self._mean, 1e-6)))
        while self._waiting and room:
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                room -= 1
        if self._waiting:
            self._breathe_soon()
