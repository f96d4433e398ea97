"""Rate limits per client: sliding-window counters, local or in Redis, and request quotas."""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module

import structlog

from app.metrics import Metrics
from models import ConfigError

WINDOW_SECONDS = 60.0
# Clients beyond this number share one counter: a flood of addresses must not fill the memory.
MAX_CLIENTS = 100_000
OVERFLOW_CLIENT = "(others)"
# Seconds: a client waits as long as we wait for Redis; after a failure Redis is left alone for a while.
REDIS_TIMEOUT, REDIS_RETRY_DELAY = 0.25, 1.0
# Connections of one process to Redis.
MAX_CONNECTIONS = 32
# Key of the ASGI scope that holds a request's `RequestQuota`.
QUOTA_KEY = "namewave.quota"
# Characters that every request costs, whatever becomes of it.
REQUEST_COST = 100

# `SlidingWindowCounters.add` in Redis, by Redis's clock. KEYS: a hash with the client's counters. ARGV: the window in
# seconds, the limit, the amount, and 1 for a correction. Returns whether the amount fits, both counters, and the share
# of the window that is left.
ADD_SCRIPT = """
local seconds, limit, amount = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = (time[1] + time[2] / 1e6) / seconds
local number = math.floor(now)
local left = number + 1 - now
local stored = redis.call('HMGET', KEYS[1], 'number', 'previous', 'current')
local previous, current = tonumber(stored[2] or 0), tonumber(stored[3] or 0)
if tonumber(stored[1] or -1) ~= number then
  previous, current = tonumber(stored[1] or -1) == number - 1 and current or 0, 0
end
local free = limit - current - math.floor(previous * left)
local fits = amount <= free
if ARGV[4] == '1' then
  current = current + math.min(amount, math.max(0, free))
  if current < 0 then previous, current = math.max(0, previous + current), 0 end
elseif fits then
  current = current + amount
end
redis.call('HSET', KEYS[1], 'number', number, 'previous', previous, 'current', current)
redis.call('PEXPIRE', KEYS[1], math.ceil(2000 * seconds))
return {fits and 1 or 0, previous, current, string.format('%.17g', left)}
"""


class StoreUnavailable(Exception):
    """Redis does not answer."""


@dataclass(slots=True)
class WindowState:
    """A client's counters after a call of the limiter.

    `fits`: whether the amount is within the limit; `previous` and `current`: characters of the last window and of this
    one; `left`: the share of this window that is left, 0 to 1, by which `previous` is weighted; `shared`: in Redis.
    """

    fits: bool
    limit: int
    previous: int
    current: int
    left: float
    shared: bool = field(default=False, compare=False)

    @property
    def used(self) -> int:
        """The characters that count now."""
        return math.floor(self.previous * self.left) + self.current

    def wait(self, cost: int) -> float:
        """Return the seconds until `cost`, at most the limit, fits, if nothing is used meanwhile."""
        free = self.limit - cost
        if self.used <= free:
            return 0.0
        # `used` is rounded down, so it fits as soon as less than one more than `free` counts.
        if self.current <= free:
            return max(0.0, WINDOW_SECONDS * (self.left - (free + 1 - self.current) / self.previous))
        return WINDOW_SECONDS * (self.left + 1 - (free + 1) / self.current)


class SlidingWindowCounters:
    """Counters in this process: `limit` characters in `WINDOW_SECONDS` for each client. For one thread.

    The clock is monotonic, so that a jump of the system time changes nothing. Windows start for all clients at the
    same time, so that dropping old counters costs nothing.
    """

    def __init__(
        self,
        limit: int,
        clock: Callable[[], float] = time.monotonic,
        max_clients: int = MAX_CLIENTS,
    ) -> None:
        self.limit, self._clock, self._max_clients = limit, clock, max_clients
        self._number = math.floor(clock() / WINDOW_SECONDS)
        self._previous: dict[str, int] = {}
        self._current: dict[str, int] = {}

    def add(self, client: str, amount: int, correction: bool = False) -> WindowState:
        """Take `amount`, at most the whole limit, if it fits.

        A `correction` always takes, up to the limit, and gives back what is negative.
        """
        now = self._clock() / WINDOW_SECONDS
        number = math.floor(now)
        if number != self._number:
            self._previous = self._current if number == self._number + 1 else {}
            self._current, self._number = {}, number
        if len(self._current) >= self._max_clients and client not in self._current:
            client = OVERFLOW_CLIENT
        previous, current, left = self._previous.get(client, 0), self._current.get(client, 0), number + 1 - now
        free, amount = self.limit - current - math.floor(previous * left), min(amount, self.limit)
        fits = amount <= free
        if fits or correction:
            current += amount if fits else max(0, free)
            if current < 0:
                # The rest was taken in the window before.
                previous = self._previous[client] = max(0, previous + current)
                current = 0
            self._current[client] = current
        return WindowState(fits, self.limit, previous, current, left)


class RedisWindowCounters:
    """Counters in the Redis server at `address` (redis://...), shared by all processes.

    For one event loop.

    Raises `ConfigError` when the package redis is missing or the address is not understood.
    """

    def __init__(self, address: str, limit: int) -> None:
        try:
            # An extra, which takes its time to import.
            redis, errors = import_module("redis.asyncio"), import_module("redis.exceptions")
        except ImportError:
            install = "pip install --require-hashes -r requirements/redis.txt"
            raise ConfigError(f"NAMEWAVE_LIMITS_STORE needs the package redis: {install}") from None
        self.limit, self._errors, wait = limit, (errors.RedisError, OSError), REDIS_TIMEOUT
        try:
            # More commands at a time than connections wait for one.
            self._pool = redis.BlockingConnectionPool.from_url(
                address, max_connections=MAX_CONNECTIONS, timeout=wait, socket_timeout=wait, socket_connect_timeout=wait
            )
        except ValueError:
            # Not the error's text: it may hold a password.
            raise ConfigError("NAMEWAVE_LIMITS_STORE must be an address like redis://host:6379/0.") from None
        self._add = redis.Redis(connection_pool=self._pool).register_script(ADD_SCRIPT)

    async def add(self, client: str, amount: int, correction: bool = False) -> WindowState:
        """Do what `SlidingWindowCounters.add` does, in one round trip. Raises `StoreUnavailable`."""
        arguments = (WINDOW_SECONDS, self.limit, min(amount, self.limit), int(correction))
        try:
            fits, previous, current, left = await self._add(keys=[f"namewave:{client}"], args=arguments)
        except self._errors as error:
            raise StoreUnavailable(type(error).__name__) from error
        return WindowState(fits == 1, self.limit, previous, current, float(left), True)

    async def disconnect(self) -> None:
        """Close idle connections: those to a server that went away are dead when it is back."""
        with suppress(*self._errors):
            await self._pool.disconnect(inuse_connections=False)


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

    async def add(self, client: str, amount: int) -> WindowState:
        """Take `amount` if it fits."""
        if self.redis is not None and self._clock() >= self._retry_at:
            try:
                state = await self.redis.add(client, amount)
            except StoreUnavailable as error:
                await self._on_failure(error, self.redis)
            else:
                self._on_recovery()
                return state
        return self.local.add(client, amount)

    async def correct(self, client: str, delta: int, taken: WindowState) -> WindowState:
        """Add `delta` to what was taken, up to the limit, where it was taken; a negative one gives back."""
        if self.redis is None or not taken.shared:
            return self.local.add(client, delta, True)
        try:
            return await self.redis.add(client, delta, True)
        except StoreUnavailable as error:
            await self._on_failure(error, self.redis)
        # Nothing is given back that was not taken here.
        return self.local.add(client, max(0, delta), True)

    async def _on_failure(self, error: Exception, redis: RedisWindowCounters) -> None:
        self._retry_at = self._clock() + REDIS_RETRY_DELAY
        self._metrics.store_errors.inc()
        await redis.disconnect()
        if not self._failed:
            self._failed = True
            # The error's kind, not its text: that may hold the address, and with it a password.
            structlog.get_logger().warning(
                "the store of the limits does not answer: each process counts for itself", error=str(error)
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
        super().__init__(f"rate limit of {limit} characters a minute exceeded; retry after {seconds} s")
        self.seconds, self.characters, self.limit = seconds, characters, limit


class RequestQuota:
    """The charge of one request to its client's limit.

    `reserve` takes `REQUEST_COST` and an estimate of the work, and `settle` corrects the estimate afterwards: two calls
    of the limiter. `state` is that of the last call, None before the first.
    """

    __slots__ = ("_clock", "_limiter", "_reserved", "_reserved_at", "client", "state")

    def __init__(self, limiter: RateLimiter, client: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._limiter, self.client, self._clock = limiter, client, clock
        self._reserved, self._reserved_at = 0, 0.0
        self.state: WindowState | None = None

    async def charge(self, characters: int) -> None:
        """Charge the client for `characters` characters. Raises `RateLimitExceeded`."""
        self.state = await self._limiter.add(self.client, characters)
        if not self.state.fits:
            raise _exceeded(self.state, characters)

    async def charge_once(self) -> None:
        """Charge the client for the request itself, unless it was charged before. Raises `RateLimitExceeded`."""
        if self.state is None:
            await self.charge(REQUEST_COST)

    async def reserve(self, characters: int) -> None:
        """Reserve the estimated characters of the request, and `REQUEST_COST` if not yet charged.

        A request larger than the whole limit is allowed if the client has used nothing else in this window. Raises
        `RateLimitExceeded`, which costs `REQUEST_COST`.
        """
        cost = characters + (REQUEST_COST if self.state is None else 0)
        state = await self._limiter.add(self.client, cost)
        if not state.fits:
            self.state = await self._limiter.correct(self.client, REQUEST_COST, state)
            raise _exceeded(self.state, cost)
        # The whole limit is the most that can be taken.
        self._reserved = characters - cost + min(cost, state.limit)
        self.state, self._reserved_at = state, self._clock()

    async def settle(self, characters: int) -> None:
        """Replace the estimate by the characters that were used."""
        delta = characters - self._reserved
        # A refund after the window has passed would be a credit.
        if self.state and (delta > 0 or (delta and self._clock() - self._reserved_at < WINDOW_SECONDS)):
            self._reserved = characters
            self.state = await self._limiter.correct(self.client, delta, self.state)

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return RateLimit-Policy and RateLimit, or nothing before a charge.

        They follow draft-ietf-httpapi-ratelimit-headers-11.

        `q` characters in `w` seconds are allowed; `r` are left, and the window ends in `t` seconds.
        """
        if (state := self.state) is None:
            return []
        now = f'"characters";r={max(0, state.limit - state.used)};t={math.ceil(state.left * WINDOW_SECONDS)}'
        return [_policy(state.limit), (b"ratelimit", now.encode())]


@cache
def _policy(limit: int) -> tuple[bytes, bytes]:
    return b"ratelimit-policy", f'"characters";q={limit};w={WINDOW_SECONDS:.0f};qu="characters"'.encode()


def _exceeded(state: WindowState, characters: int) -> RateLimitExceeded:
    cost = min(characters, state.limit)
    return RateLimitExceeded(max(1, math.ceil(state.wait(cost))), cost, state.limit)
