"""What each client may have: the shared counters where there are any and they answer, this process's own else. No
HTTP.
"""

import time
from collections.abc import Callable

import structlog

from app.access.shared_windows import SharedWindows, StoreAway
from app.access.windows import Window, Windows
from app.metrics import Metrics

# Seconds without asking a store that did not answer: it would keep each request waiting.
REST = 1.0


class Allowance:
    """Counts by `shared` while that answers, and by `local` meanwhile: a store that is away neither stops the service
    nor opens it, for each process then grants its own part of the limit. Both events are logged, once.
    """

    def __init__(
        self,
        local: Windows,
        shared: SharedWindows | None,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.local, self.shared, self._metrics, self._clock = local, shared, metrics, clock
        self._again = -1.0
        self._away = False

    @property
    def limit(self) -> int:
        """The limit of whoever counts now."""
        return self.local.limit if self._counts_alone() or self.shared is None else self.shared.limit

    async def hit(self, client: str, cost: int) -> bool:
        """Take `cost` if it fits; say whether it did."""
        if self.shared is not None and not self._counts_alone():
            try:
                fits = await self.shared.hit(client, cost)
                self._is_back()
                return fits
            except StoreAway as error:
                await self._went(error, self.shared)
        return self.local.hit(client, cost)

    async def correct(self, client: str, more: int) -> None:
        """Add `more` to what was taken; less than 0 gives back."""
        if self.shared is not None and not self._counts_alone():
            try:
                await self.shared.correct(client, more)
                return
            except StoreAway as error:
                await self._went(error, self.shared)
        self.local.correct(client, more)

    async def window(self, client: str) -> Window:
        """Return what the client had."""
        if self.shared is not None and not self._counts_alone():
            try:
                return await self.shared.window(client)
            except StoreAway as error:
                await self._went(error, self.shared)
        return self.local.window(client)

    def _counts_alone(self) -> bool:
        return self.shared is None or self._clock() < self._again

    async def _went(self, error: Exception, shared: SharedWindows) -> None:
        self._again = self._clock() + REST
        self._metrics.store_errors.inc()
        await shared.hang_up()
        if not self._away:
            self._away = True
            # Its text may hold the address, and with it a password.
            structlog.get_logger().warning(
                "the store of the limits does not answer: each process counts for itself", error=type(error).__name__
            )

    def _is_back(self) -> None:
        if self._away:
            self._away = False
            structlog.get_logger().info("the store of the limits answers again")
