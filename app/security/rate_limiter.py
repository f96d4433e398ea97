"""Rate limits per client: sliding-window counters in memory or in Redis, and the quota of one request."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import ConfigurationError, StorageError

from app.metrics import Metrics
from models import ConfigError

WINDOW_SECONDS = 60.0
# Clients beyond this number share one counter: a flood of addresses must not fill the memory.
MAX_CLIENTS = 100_000
OVERFLOW_CLIENT = "(others)"
# Seconds: a client waits as long as we wait for Redis; after a failure Redis is left alone for a while.
REDIS_TIMEOUT, REDIS_RETRY_DELAY = 0.25, 1.0
# Key of the ASGI scope that holds a request's `RequestQuota`.
QUOTA_KEY = "namewave.quota"
# Characters that every request costs, whatever becomes of it.
REQUEST_COST = 100
StoreUnavailable = StorageError


@dataclass(frozen=True, slots=True)
class WindowState:
    """A client's counters: `previous` of the window before, which still counts for `previous_left` seconds and fades;
    `current` of this window, which ends in `left` seconds.
    """

    previous: int
    previous_left: float
    current: int
    left: float

    @property
    def used(self) -> int:
        """The characters that count now."""
        return math.floor(self.previous * self.previous_left / WINDOW_SECONDS) + self.current

    def wait(self, limit: int, cost: int) -> float:
        """Return the seconds until `cost`, at most `limit`, fits, if nothing is used meanwhile."""
        free = limit - cost
        if self.used <= free:
            return 0.0
        # `used` is rounded down, so it fits as soon as less than one more than `free` counts.
        if self.current <= free:
            return max(0.0, self.previous_left - (free + 1 - self.current) * WINDOW_SECONDS / self.previous)
        return self.left + WINDOW_SECONDS * (1 - (free + 1) / self.current)


class SlidingWindowCounters:
    """Counters in this process: `limit` characters in `WINDOW_SECONDS` for each client. For one thread.

    The clock is monotonic, so that a jump of the system time changes nothing. Windows start for all clients at the
    same time, so that dropping old counters costs nothing.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic, max_clients: int = MAX_CLIENTS) -> None:
        self.limit, self._clock, self._max_clients = limit, clock, max_clients
        self._number, self._left = math.floor(clock() / WINDOW_SECONDS), WINDOW_SECONDS
        self._previous: dict[str, int] = {}
        self._current: dict[str, int] = {}

    def acquire(self, client: str, cost: int) -> bool:
        """Take `cost`, or the whole limit where that is smaller, if it fits; return whether it did."""
        client, cost = self._advance(client), min(cost, self.limit)
        if self._used(client) + cost > self.limit:
            return False
        self._current[client] = self._current.get(client, 0) + cost
        return True

    def adjust(self, client: str, delta: int) -> None:
        """Add `delta` to what was taken, up to the limit; a negative one gives back."""
        client = self._advance(client)
        current = self._current.get(client, 0) + min(delta, max(0, self.limit - self._used(client)))
        if current < 0:
            # The rest was taken in the window before.
            self._previous[client] = max(0, self._previous.get(client, 0) + current)
        self._current[client] = max(0, current)

    def state(self, client: str) -> WindowState:
        """Return the client's counters."""
        client = self._advance(client)
        previous = self._previous.get(client, 0)
        return WindowState(previous, self._left if previous else 0.0, self._current.get(client, 0), self._left)

    def _used(self, client: str) -> int:
        previous = self._previous.get(client)
        faded = 0 if previous is None else math.floor(previous * self._left / WINDOW_SECONDS)
        return faded + self._current.get(client, 0)

    def _advance(self, client: str) -> str:
        """Move the windows to now, and return the name under which the client is counted."""
        now = self._clock() / WINDOW_SECONDS
        number = math.floor(now)
        if number != self._number:
            self._previous = self._current if number == self._number + 1 else {}
            self._current, self._number = {}, number
        self._left = (number + 1 - now) * WINDOW_SECONDS
        return client if len(self._current) < self._max_clients or client in self._current else OVERFLOW_CLIENT


class RedisWindowCounters:
    """Counters in the Redis server at `address` (redis://...), shared by all processes. For one event loop.

    The scripts of the library `limits` make each step atomic. Methods raise `StoreUnavailable` when the server does
    not answer. Raises `ConfigError` when the package redis is missing.
    """

    def __init__(self, address: str, limit: int) -> None:
        self.limit = limit
        self._item = RateLimitItemPerMinute(limit, namespace="namewave")
        try:
            self._store = RedisStorage(
                f"async+{address}",
                wrap_exceptions=True,
                implementation="redispy",
                key_prefix="namewave",
                socket_timeout=REDIS_TIMEOUT,
                socket_connect_timeout=REDIS_TIMEOUT,
            )
        except ConfigurationError:
            raise ConfigError(
                "NAMEWAVE_LIMITS_STORE needs the package redis: pip install --require-hashes -r requirements/redis.txt"
            ) from None
        self._limiter = SlidingWindowCounterRateLimiter(self._store)

    async def acquire(self, client: str, cost: int) -> bool:
        """Take `cost`, or the whole limit where that is smaller, if it fits; return whether it did."""
        return await self._limiter.hit(self._item, client, cost=min(cost, self.limit))

    async def adjust(self, client: str, delta: int) -> None:
        """Add `delta` to what was taken, up to the limit; a negative one gives back."""
        if delta < 0:
            # A counter below 0 would be a credit.
            delta = -min(-delta, max(0, (await self.state(client)).current))
        if not await self._limiter.hit(self._item, client, cost=delta):
            left = self.limit - (await self.state(client)).used
            if left > 0:
                await self._limiter.hit(self._item, client, cost=left)

    async def disconnect(self) -> None:
        """Close idle connections: those to a server that went away are dead when it is back."""
        client = self._store.bridge.get_connection()  # type: ignore[attr-defined]  # RedispyBridge's
        await client.connection_pool.disconnect(inuse_connections=False)

    async def state(self, client: str) -> WindowState:
        """Return the client's counters."""
        previous, previous_left, current, current_left = await self._store.get_sliding_window(
            self._item.key_for(client), self._item.get_expiry()
        )
        # Redis keeps a counter for two windows.
        return WindowState(previous, previous_left, current, max(0.0, current_left - WINDOW_SECONDS))


class RateLimiter:
    """Counts in Redis where that is configured and answers, else in this process.

    While Redis is away each process grants its own share of the limit, so that the service neither stops nor opens.
    The failure and the recovery are logged once.
    """

    def __init__(
        self,
        local: SlidingWindowCounters,
        redis: RedisWindowCounters | None,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.local, self.redis, self._metrics, self._clock = local, redis, metrics, clock
        self._retry_at = -math.inf
        self._failed = False

    @property
    def limit(self) -> int:
        """The limit in force, in characters a minute."""
        if self.redis is None:
            return self.local.limit
        return self.redis.limit if self._is_available() else self.local.limit

    async def acquire(self, client: str, cost: int) -> bool:
        """Take `cost` if it fits; return whether it did."""
        if self.redis is not None and self._is_available():
            try:
                fits = await self.redis.acquire(client, cost)
                self._on_recovery()
                return fits
            except StoreUnavailable as error:
                await self._on_failure(error, self.redis)
        return self.local.acquire(client, cost)

    async def adjust(self, client: str, delta: int) -> None:
        """Add `delta` to what was taken; a negative one gives back."""
        if self.redis is not None and self._is_available():
            try:
                await self.redis.adjust(client, delta)
                return
            except StoreUnavailable as error:
                await self._on_failure(error, self.redis)
        self.local.adjust(client, delta)

    async def state(self, client: str) -> WindowState:
        """Return the client's counters."""
        if self.redis is not None and self._is_available():
            try:
                return await self.redis.state(client)
            except StoreUnavailable as error:
                await self._on_failure(error, self.redis)
        return self.local.state(client)

    def _is_available(self) -> bool:
        return self._clock() >= self._retry_at

    async def _on_failure(self, error: Exception, redis: RedisWindowCounters) -> None:
        self._retry_at = self._clock() + REDIS_RETRY_DELAY
        self._metrics.store_errors.inc()
        await redis.disconnect()
        if not self._failed:
            self._failed = True
            # Not the error's text: it may hold the address, and with it a password.
            structlog.get_logger().warning(
                "the store of the limits does not answer: each process counts for itself", error=type(error).__name__
            )

    def _on_recovery(self) -> None:
        if self._failed:
            self._failed = False
            structlog.get_logger().info("the store of the limits answers again")


class RateLimitExceeded(Exception):
    """The client's limit is used up.

    `seconds`: until the request fits; `characters`: what the request may take of `limit` characters a minute.
    """

    def __init__(self, seconds: int, characters: int, limit: int) -> None:
        super().__init__(f"The limit is reached; again in {seconds} s.")
        self.seconds, self.characters, self.limit = seconds, characters, limit


class RequestQuota:
    """What one request takes from its client's limit: `REQUEST_COST` at once, an estimate before the work, which is
    corrected after it.
    """

    __slots__ = ("_clock", "_limiter", "_reserved", "_reserved_at", "client")

    def __init__(self, limiter: RateLimiter, client: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._limiter, self.client, self._clock = limiter, client, clock
        self._reserved, self._reserved_at = 0, 0.0

    async def charge(self, characters: int) -> None:
        """Charge the client for `characters` characters. Raises `RateLimitExceeded`."""
        if not await self._limiter.acquire(self.client, characters):
            limit = self._limiter.limit
            wait = (await self._limiter.state(self.client)).wait(limit, min(characters, limit))
            raise RateLimitExceeded(max(1, math.ceil(wait)), characters, limit)

    async def reserve(self, characters: int) -> None:
        """Take an estimate of what the request will use; see `settle`. Raises `RateLimitExceeded`.

        A request larger than the whole limit is allowed if the client has used nothing else in this window.
        """
        characters = min(characters, max(0, self._limiter.limit - REQUEST_COST))
        await self.charge(characters)
        self._reserved, self._reserved_at = characters, self._clock()

    async def settle(self, characters: int) -> None:
        """Replace the estimate by the characters that were used."""
        delta = characters - self._reserved
        # A refund after the window has passed would be a credit.
        if delta > 0 or (delta and self._clock() - self._reserved_at < WINDOW_SECONDS):
            self._reserved = characters
            await self._limiter.adjust(self.client, delta)

    async def headers(self) -> list[tuple[bytes, bytes]]:
        """Return RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-11).

        `q` characters in `w` seconds are allowed; `r` are left, and the window ends in `t` seconds.
        """
        state, limit = await self._limiter.state(self.client), self._limiter.limit
        policy = f'"characters";q={limit};w={WINDOW_SECONDS:.0f};qu="characters"'
        now = f'"characters";r={max(0, limit - state.used)};t={math.ceil(state.left)}'
        return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", now.encode())]
