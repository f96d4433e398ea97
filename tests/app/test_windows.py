"""The counters of what each client had: a sliding window, its corrections and its bound."""

from types import SimpleNamespace

import limits
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from limits.strategies import SlidingWindowCounterRateLimiter

from app.access.windows import OTHERS, WINDOW, Windows

pytestmark = pytest.mark.usefixtures("within_one_window")
STEPS = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 60), st.sampled_from([0.0, 0.0, 7.5, 15.0, 45.0, 150.0])),
    max_size=40,
)


@settings(deadline=None, max_examples=60)
@given(STEPS)
def test_windows_count_as_the_library_limits_does(steps: list[tuple[str, int, float]]) -> None:
    """For any costs at any times each hit is granted or refused as by the sliding window of `limits` in memory."""
    now = 600.0
    with pytest.MonkeyPatch.context() as patch:
        for module in (limits.storage.memory, limits.strategies):
            patch.setattr(module, "time", SimpleNamespace(time=lambda: now))
        store = limits.storage.MemoryStorage()
        theirs, item = SlidingWindowCounterRateLimiter(store), limits.RateLimitItemPerMinute(100)
        ours = Windows(100, clock=lambda: now)
        for client, cost, seconds in steps:
            now += seconds
            assert ours.hit(client, cost) == theirs.hit(item, client, cost=cost)
            assert max(0, 100 - ours.window(client).used) == theirs.get_window_stats(item, client).remaining
        store.timer.cancel()


@settings(deadline=None)
@given(st.integers(1, 1000), st.integers(0, 1000), st.integers(1, 1000), st.floats(0, 119))
def test_who_waits_as_long_as_told_gets_in(first: int, second: int, cost: int, seconds: float) -> None:
    """After `wait` seconds, and not a second before, there is enough for what was refused."""
    now = 0.0
    windows = Windows(1000, clock=lambda: now)
    windows.hit("a", first)
    now = 70.0
    windows.hit("a", second)
    now += seconds
    wait = windows.window("a").wait(1000, cost)
    begin = now
    if wait > 1:
        now = begin + wait - 1
        assert windows.window("a").used + cost > 1000
    now = begin + wait + 1e-6
    assert windows.hit("a", cost)


def test_a_flood_of_addresses_does_not_fill_the_memory() -> None:
    """Beyond the most clients of a minute, new ones share one account, and those that are known keep theirs."""
    now = 0.0
    windows = Windows(100, clock=lambda: now, most=10)
    granted = [windows.hit(f"client {n}", 60) for n in range(1000)]
    assert granted == [True] * 11 + [False] * 989
    assert windows.hit("client 3", 40)
    assert windows.window(OTHERS) == windows.window("client 500")
    now = 3 * WINDOW
    assert windows.hit("client 500", 60)
    assert windows.window("client 3").used == 0


@given(
    st.integers(1, 1000),
    st.lists(st.tuples(st.sampled_from(["hit", "correct"]), st.integers(-1000, 1000), st.floats(0, 70)), max_size=20),
)
def test_no_correction_is_a_credit(limit: int, steps: list[tuple[str, int, float]]) -> None:
    """Whatever is taken and given back, in this window or one that is over, what counts is 0 to the limit: nobody is
    told of more than there is, nor gets it.
    """
    now = 5 * WINDOW
    windows = Windows(limit, clock=lambda: now)
    for kind, number, seconds in steps:
        if kind == "hit":
            windows.hit("a", abs(number))
        else:
            windows.correct("a", number)
        assert 0 <= windows.window("a").used <= limit
        now += seconds
        assert 0 <= windows.window("a").used <= limit


def test_a_gift_of_the_last_window_is_taken_from_that() -> None:
    """Who reserved everything, drew a tenth, and gives the rest back when the window is over, has what is left of a
    tenth, and gets no more than the limit in any minute after.
    """
    now = 2 * WINDOW - 0.1
    windows = Windows(1000, clock=lambda: now)
    assert windows.hit("a", 1000)
    now += 0.2
    windows.correct("a", -900)
    assert windows.window("a").used == 99
    now = 3 * WINDOW - 1
    granted = 0
    while windows.hit("a", 10):
        granted += 10
    assert granted == 990


def test_what_was_not_drawn_is_given_back() -> None:
    """A correction below 0 gives back; above 0 it takes, but never more than the limit."""
    windows = Windows(100, clock=lambda: 0.0)
    assert windows.hit("a", 90)
    windows.correct("a", -60)
    assert windows.window("a").used == 30
    windows.correct("a", 1000)
    assert windows.window("a").used == 100
    assert not windows.hit("a", 1)
