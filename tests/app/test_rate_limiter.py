"""The sliding-window counters: what they grant, what corrections do, and how many clients they remember."""

from types import SimpleNamespace

import limits
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from limits.strategies import SlidingWindowCounterRateLimiter

from app.security.rate_limiter import OVERFLOW_CLIENT, WINDOW_SECONDS, SlidingWindowCounters
from tests.harness.clock import Clock

STEPS = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 60), st.sampled_from([0.0, 0.0, 7.5, 15.0, 45.0, 150.0])),
    max_size=40,
)


@settings(deadline=None, max_examples=60)
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
            assert ours.acquire(client, cost) == theirs.hit(item, client, cost=cost)
            assert max(0, 100 - ours.state(client).used) == theirs.get_window_stats(item, client).remaining
        store.timer.cancel()


@settings(deadline=None)
@given(st.integers(1, 1000), st.integers(0, 1000), st.integers(1, 1000), st.floats(0, 119))
def test_request_fits_exactly_after_the_wait(first: int, second: int, cost: int, seconds: float) -> None:
    clock = Clock()
    counters = SlidingWindowCounters(1000, clock)
    counters.acquire("a", first)
    clock.now = 70.0
    counters.acquire("a", second)
    clock.now += seconds
    wait = counters.state("a").wait(1000, cost)
    refused_at = clock.now
    if wait > 1:
        clock.now = refused_at + wait - 1
        assert counters.state("a").used + cost > 1000
    clock.now = refused_at + wait + 1e-6
    assert counters.acquire("a", cost)


def test_clients_beyond_the_maximum_share_one_counter() -> None:
    clock = Clock()
    counters = SlidingWindowCounters(100, clock, max_clients=10)
    granted = [counters.acquire(f"client {n}", 60) for n in range(1000)]
    assert granted == [True] * 11 + [False] * 989
    assert counters.acquire("client 3", 40)
    assert counters.state(OVERFLOW_CLIENT) == counters.state("client 500")
    clock.now = 3 * WINDOW_SECONDS
    assert counters.acquire("client 500", 60)
    assert counters.state("client 3").used == 0


@given(
    st.integers(1, 1000),
    st.lists(
        st.tuples(st.sampled_from(["acquire", "adjust"]), st.integers(-1000, 1000), st.floats(0, 70)), max_size=20
    ),
)
def test_adjustments_keep_usage_between_zero_and_the_limit(limit: int, steps: list[tuple[str, int, float]]) -> None:
    clock = Clock(5 * WINDOW_SECONDS)
    counters = SlidingWindowCounters(limit, clock)
    for kind, number, seconds in steps:
        if kind == "acquire":
            counters.acquire("a", abs(number))
        else:
            counters.adjust("a", number)
        assert 0 <= counters.state("a").used <= limit
        clock.now += seconds
        assert 0 <= counters.state("a").used <= limit


def test_late_refund_is_taken_from_the_previous_window() -> None:
    """A client that reserved everything and used a tenth gets no more than the limit in any minute after."""
    clock = Clock(2 * WINDOW_SECONDS - 0.1)
    counters = SlidingWindowCounters(1000, clock)
    assert counters.acquire("a", 1000)
    clock.now += 0.2
    counters.adjust("a", -900)
    assert counters.state("a").used == 99
    clock.now = 3 * WINDOW_SECONDS - 1
    granted = 0
    while counters.acquire("a", 10):
        granted += 10
    assert granted == 990


def test_adjustment_refunds_or_charges_up_to_the_limit() -> None:
    counters = SlidingWindowCounters(100, Clock())
    assert counters.acquire("a", 90)
    counters.adjust("a", -60)
    assert counters.state("a").used == 30
    counters.adjust("a", 1000)
    assert counters.state("a").used == 100
    assert not counters.acquire("a", 1)
