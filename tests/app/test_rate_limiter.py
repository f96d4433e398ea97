"""The sliding-window counters: what they grant, what corrections do, and how many clients they remember."""

import asyncio
from types import SimpleNamespace
from typing import cast

import limits
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from limits.strategies import SlidingWindowCounterRateLimiter

from app.metrics import Metrics
from app.security.rate_limiter import (
    OVERFLOW_CLIENT,
    REQUEST_COST,
    WINDOW_SECONDS,
    RateLimiter,
    RateLimitExceeded,
    RedisWindowCounters,
    RequestQuota,
    SlidingWindowCounters,
    StoreUnavailable,
    WindowState,
)
from tests.harness.clock import Clock

STEPS = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 60), st.sampled_from([0.0, 0.0, 7.5, 15.0, 45.0, 150.0])),
    max_size=40,
)


@settings(max_examples=60)
@given(STEPS)
def test_counters_agree_with_the_limits_library(steps: list[tuple[str, int, float]]) -> None:
    clock = Clock(600.0)
    with pytest.MonkeyPatch.context() as patch:
        for module in (limits.storage.memory, limits.strategies):
            patch.setattr(module, "time", SimpleNamespace(time=clock))
        store = limits.storage.MemoryStorage()
        theirs, item = SlidingWindowCounterRateLimiter(store), limits.RateLimitItemPerMinute(100)
        ours = SlidingWindowCounters(100, clock)
        for client, cost, seconds in steps:
            clock.now += seconds
            state = ours.add(client, cost)
            assert state.fits == theirs.hit(item, client, cost=cost)
            assert max(0, 100 - state.used) == theirs.get_window_stats(item, client).remaining
        store.timer.cancel()


@given(st.integers(1, 1000), st.integers(0, 1000), st.integers(1, 1000), st.floats(0, 119))
def test_request_fits_exactly_after_the_wait(first: int, second: int, cost: int, seconds: float) -> None:
    clock = Clock()
    counters = SlidingWindowCounters(1000, clock)
    counters.add("a", first)
    clock.now = 70.0
    counters.add("a", second)
    clock.now += seconds
    wait = counters.add("a", 0).wait(cost)
    refused_at = clock.now
    if wait > 1:
        clock.now = refused_at + wait - 1
        assert counters.add("a", 0).used + cost > 1000
    clock.now = refused_at + wait + 1e-6
    assert counters.add("a", cost).fits


def test_clients_beyond_the_maximum_share_one_counter() -> None:
    clock = Clock()
    counters = SlidingWindowCounters(100, clock, max_clients=10)
    granted = [counters.add(f"client {n}", 60).fits for n in range(1000)]
    assert granted == [True] * 11 + [False] * 989
    assert counters.add("client 3", 40).fits
    assert counters.add(OVERFLOW_CLIENT, 0) == counters.add("client 500", 0)
    clock.now = 3 * WINDOW_SECONDS
    assert counters.add("client 500", 60).fits
    assert counters.add("client 3", 0).used == 0


STEPS_OF_ONE = st.lists(st.tuples(st.booleans(), st.integers(-1000, 1000), st.floats(0, 70)), max_size=20)


@given(st.integers(1, 1000), STEPS_OF_ONE)
def test_corrections_keep_usage_between_zero_and_the_limit(limit: int, steps: list[tuple[bool, int, float]]) -> None:
    clock = Clock(5 * WINDOW_SECONDS)
    counters = SlidingWindowCounters(limit, clock)
    for correction, number, seconds in steps:
        assert 0 <= counters.add("a", number if correction else abs(number), correction).used <= limit
        clock.now += seconds
        assert 0 <= counters.add("a", 0).used <= limit


def test_late_refund_is_taken_from_the_previous_window() -> None:
    """A client that reserved everything and used a tenth gets no more than the limit in any minute after."""
    clock = Clock(2 * WINDOW_SECONDS - 0.1)
    counters = SlidingWindowCounters(1000, clock)
    assert counters.add("a", 1000).fits
    clock.now += 0.2
    assert counters.add("a", -900, True).used == 99
    clock.now = 3 * WINDOW_SECONDS - 1
    granted = 0
    while counters.add("a", 10).fits:
        granted += 10
    assert granted == 990


def test_correction_refunds_or_charges_up_to_the_limit() -> None:
    counters = SlidingWindowCounters(100, Clock())
    assert counters.add("a", 90).fits
    assert counters.add("a", -60, True).used == 30
    assert counters.add("a", 1000, True).used == 100
    assert not counters.add("a", 1).fits


def test_quota_asks_the_limiter_twice_and_pays_what_was_used() -> None:
    calls: list[tuple[int, bool]] = []

    class RecordedCounters(SlidingWindowCounters):
        def add(self, client: str, amount: int, correction: bool = False) -> WindowState:
            calls.append((amount, correction))
            return super().add(client, amount, correction)

    async def spend() -> RequestQuota:
        limiter = RateLimiter(RecordedCounters(10_000, Clock()), None, Metrics("0"))
        quota = RequestQuota(limiter, "a", Clock())
        await quota.reserve(1000)
        await quota.settle(300)
        return quota

    quota = asyncio.run(spend())
    assert calls == [(REQUEST_COST + 1000, False), (-700, True)]
    assert quota.headers()[1] == (b"ratelimit", f'"characters";r={10_000 - REQUEST_COST - 300};t=60'.encode())


def test_estimate_above_the_limit_is_corrected() -> None:
    counters = SlidingWindowCounters(1000, Clock())

    async def spend() -> None:
        quota = RequestQuota(RateLimiter(counters, None, Metrics("0")), "a", Clock())
        await quota.reserve(50_000)
        assert counters.add("a", 0).used == 1000
        await quota.settle(600)

    asyncio.run(spend())
    assert counters.add("a", 0).used == REQUEST_COST + 600


def test_refused_reservation_costs_the_request_alone() -> None:
    counters = SlidingWindowCounters(1000, Clock())
    counters.add("a", 500)

    async def spend() -> None:
        quota = RequestQuota(RateLimiter(counters, None, Metrics("0")), "a", Clock())
        with pytest.raises(RateLimitExceeded) as caught:
            await quota.reserve(700)
        assert caught.value.characters == REQUEST_COST + 700

    asyncio.run(spend())
    assert counters.add("a", 0).used == 500 + REQUEST_COST


def test_request_fits_after_its_retry_after_and_not_before() -> None:
    """Also one that needs the whole limit, and pays for each refusal."""
    clock = Clock(30.0)
    limiter = RateLimiter(SlidingWindowCounters(1000, clock), None, Metrics("0"))

    async def reserve(characters: int) -> int:
        try:
            await RequestQuota(limiter, "a", clock).reserve(characters)
        except RateLimitExceeded as error:
            return error.seconds
        return 0

    async def spend(characters: int) -> None:
        assert await reserve(0) == 0
        clock.now += 60
        wait = await reserve(characters)
        assert wait > 0
        clock.now += wait
        assert await reserve(characters) == 0

    for characters in (950, 5000):
        asyncio.run(spend(characters))
        clock.now += 300


def test_correction_goes_where_the_characters_were_taken() -> None:
    class Redis:
        """Counters that answer once, and then are away."""

        limit, calls = 1000, 0

        async def add(self, client: str, amount: int, correction: bool = False) -> WindowState:
            self.calls += 1
            if self.calls > 1:
                raise StoreUnavailable
            return WindowState(True, 1000, 0, amount, 1.0, shared=True)

        async def disconnect(self) -> None:
            """It has no connection."""

    local = SlidingWindowCounters(1000, Clock())
    local.add("a", 500)
    limiter = RateLimiter(local, cast(RedisWindowCounters, Redis()), Metrics("0"), Clock())

    async def spend() -> None:
        quota = RequestQuota(limiter, "a", Clock())
        await quota.reserve(800)
        await quota.settle(100)

    asyncio.run(spend())
    # No refund for what Redis counted.
    assert local.add("a", 0).used == 500
