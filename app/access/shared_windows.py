"""How much each client had in the last minute, counted in a Redis server for all processes and machines: `windows` over
the library `limits`, whose scripts make each step one of Redis's own, so that together they never grant more than the
limit.
"""

from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import ConfigurationError, StorageError

from app.access.windows import WINDOW, Window
from models import ConfigError

# Seconds: whoever waits for the store keeps a client waiting.
PATIENCE = 0.25
SCHEME = "async+"
StoreAway = StorageError


class SharedWindows:
    """Counters in the server at `address`, redis://...: `limit` a minute for each client. For one event loop.

    Methods raise `StoreAway` where the server does not answer. Redis counts by its own clock. Raises `ConfigError`
    where the package redis is missing.
    """

    def __init__(self, address: str, limit: int) -> None:
        self.limit = limit
        self._item = RateLimitItemPerMinute(limit, namespace="namewave")
        try:
            self._store = RedisStorage(
                SCHEME + address,
                wrap_exceptions=True,
                implementation="redispy",
                key_prefix="namewave",
                socket_timeout=PATIENCE,
                socket_connect_timeout=PATIENCE,
            )
        except ConfigurationError:
            raise ConfigError(
                "NAMEWAVE_LIMITS_STORE needs the package redis: pip install --require-hashes -r requirements/redis.txt"
            ) from None
        self._limiter = SlidingWindowCounterRateLimiter(self._store)

    async def hit(self, client: str, cost: int) -> bool:
        """Take `cost`, or all there is of a limit that is smaller, if that fits; say whether it did."""
        return await self._limiter.hit(self._item, client, cost=min(cost, self.limit))

    async def correct(self, client: str, more: int) -> None:
        """Add `more` to what was taken, up to the limit; less than 0 gives back."""
        if more < 0:
            # What was taken before this window is forgotten with it: a counter below 0 would be a credit.
            more = -min(-more, max(0, (await self.window(client)).current))
        if not await self._limiter.hit(self._item, client, cost=more):
            left = self.limit - (await self.window(client)).used
            if left > 0:
                await self._limiter.hit(self._item, client, cost=left)

    async def hang_up(self) -> None:
        """Close the connections that nobody uses: those to a server that went are no good when it is back."""
        client = self._store.bridge.get_connection()  # type: ignore[attr-defined]  # RedispyBridge's
        await client.connection_pool.disconnect(inuse_connections=False)

    async def window(self, client: str) -> Window:
        """Return what the client had."""
        previous, previous_left, current, current_left = await self._store.get_sliding_window(
            self._item.key_for(client), self._item.get_expiry()
        )
        # Redis keeps a counter for two windows: its own, and the next one, where it is the previous.
        return Window(previous, previous_left, current, max(0.0, current_left - WINDOW))
