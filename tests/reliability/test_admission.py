"""Rows 13, 15, 16 and 35: what is taken on, what is refused, what never begins, on a clock that the test turns."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from app.errors import Overloaded
from app.load.admission import BURST, LONG, MOST_LONG, SMALL, SMALL_SHARE, STANDING, Admission, Ticket
from app.load.tally import Tally

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Turns are asyncio's futures."""
    return "asyncio"


class Clock:
    """A monotonic clock that a test turns."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


@pytest.fixture
def admission(clock: Clock) -> Admission:
    """One thread, a queue of at most a second."""
    return Admission(1, 1.0, Tally(), clock)


def take_all(admission: Admission, seconds: float) -> list[Ticket]:
    """Take on requests of so many seconds until one is refused."""
    taken: list[Ticket] = []
    for _ in range(1000):
        try:
            taken.append(admission.take_on(seconds).__enter__())
        except Overloaded:
            return taken
    raise AssertionError("nothing is ever refused")


def release(tickets: list[Ticket]) -> None:
    """End them all."""
    for ticket in tickets:
        ticket.__exit__(None, None, None)


async def test_row_13_a_burst_is_bounded_and_overload_more_so(admission: Admission, clock: Clock) -> None:
    """A queue that was empty just now takes a burst; one that was not takes less; once it is empty, a burst again."""
    burst = take_all(admission, 0.01)
    assert len(burst) == pytest.approx(BURST / 0.01, abs=2)
    clock.now += BURST + 0.01
    release(burst[1:])
    standing = [burst[0], *take_all(admission, 0.01)]
    assert len(standing) == pytest.approx(STANDING / 0.01, abs=2)
    assert len(standing) < len(burst) / 2
    release(standing)
    assert len(take_all(admission, 0.01)) == len(burst)


async def test_row_13_a_burst_may_come_after_any_time(admission: Admission, clock: Clock) -> None:
    """After a minute without work, as after a start that took its time, a burst is taken as if the queue had been empty
    just now.
    """
    fresh = len(take_all(Admission(1, admission.queue_seconds, Tally(), clock), 0.01))
    clock.now += 60
    assert len(take_all(admission, 0.01)) == fresh


async def test_row_13_a_refusal_says_when_to_come_again(admission: Admission) -> None:
    """The seconds of a refusal are whole, at least one, and grow with the backlog."""
    take_all(admission, 0.01)
    with pytest.raises(Overloaded) as caught:
        admission.take_on(0.01)
    assert caught.value.seconds == 1
    admission.add(6.5)
    with pytest.raises(Overloaded) as caught:
        admission.take_on(0.01)
    assert caught.value.seconds == 7
    assert admission.tally.refused == {"queue": 3}


async def test_row_13_small_requests_keep_a_share(admission: Admission, clock: Clock) -> None:
    """Where all else is refused, a small request still passes, until small ones have used up their share; with time
    it comes back.
    """
    take_all(admission, 0.01)
    await admission.small()
    admission.spent(0.1)
    with pytest.raises(Overloaded):
        await admission.small()
    assert admission.is_full()
    clock.now += 100
    await admission.small()


async def test_row_13_small_requests_to_threads_keep_a_share(admission: Admission, clock: Clock) -> None:
    """Where all else is refused, what asks a thread for little still passes, at the cost of the same share: some at
    once, and then no more than a twentieth of the time that passes.
    """
    take_all(admission, 0.1)
    with pytest.raises(Overloaded):
        admission.take_on(SMALL * 1.01)
    passed, seconds = [], 10.0
    for _ in range(int(seconds / 0.001)):
        try:
            passed.append(admission.take_on(SMALL))
        except Overloaded:
            assert passed
        clock.now += 0.001
    assert len(passed) * SMALL == pytest.approx((seconds + LONG) * SMALL_SHARE, abs=2 * SMALL)


async def test_row_13_long_requests_wait_for_each_other_and_not_without_bound(admission: Admission) -> None:
    """A long request does not count as the short ones' queue, and only so many wait for their turns."""
    first = admission.take_on(100.0).__enter__()
    assert admission.backlog == 0
    gate = threading.Event()
    running = asyncio.create_task(first.run(gate.wait))
    await asyncio.sleep(0.01)
    others = [admission.take_on(100.0).__enter__() for _ in range(MOST_LONG)]
    tasks = [asyncio.create_task(other.run(lambda: None)) for other in others]
    await asyncio.sleep(0.01)
    with pytest.raises(Overloaded):
        admission.take_on(100.0)
    admission.take_on(0.1)
    gate.set()
    await asyncio.gather(running, *tasks)


async def test_row_15_expired_work_never_starts(admission: Admission, clock: Clock) -> None:
    """A request whose turn comes after `queue_seconds` is refused: none of its work is done, and it is counted."""
    done: list[str] = []
    gate = threading.Event()
    with admission.take_on(0.01) as first, admission.take_on(0.01) as second, admission.take_on(0.01) as third:
        running = asyncio.create_task(first.run(gate.wait))
        await asyncio.sleep(0.01)
        late = asyncio.create_task(second.run(lambda: done.append("late")))
        await asyncio.sleep(0.01)
        clock.now += 1.001
        gate.set()
        await running
        with pytest.raises(Overloaded):
            await late
        # What has begun goes on, however long it took; the thread is free again.
        await first.run(lambda: done.append("begun"))
        with pytest.raises(Overloaded):
            await third.run(lambda: done.append("late, too"))
    assert done == ["begun"]
    assert admission.tally.expired == 2
    assert admission.tally.active == 0
    assert admission.turns.free == 1


async def test_row_15_expired_small_work_never_starts(admission: Admission, clock: Clock) -> None:
    """A small request that waited longer than `queue_seconds` for the loop is refused."""
    admission.spent(1.0)
    # After the loop's next round, in which this request is given its turn.
    asyncio.get_running_loop().call_soon(lambda: setattr(clock, "now", clock.now + 1.001))
    with pytest.raises(Overloaded):
        await admission.small()
    assert admission.tally.expired == 1


async def test_row_16_who_leaves_gives_everything_back(admission: Admission) -> None:
    """A request that is cancelled, waiting or at work, leaves neither backlog nor turns nor the gauge behind."""
    gate = threading.Event()

    async def request(work: Callable[[], Any]) -> None:
        with admission.take_on(0.05) as ticket:
            await ticket.run(work)

    tasks = [asyncio.create_task(request(gate.wait)) for _ in range(3)]
    await asyncio.sleep(0.02)
    assert admission.tally.active == 3
    for task in tasks:
        task.cancel()
    gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert all(task.cancelled() for task in tasks)
    assert (admission.tally.active, admission.backlog, admission.turns.free) == (0, 0, 1)


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
async def test_row_35_the_time_of_day_may_jump(monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    """A day forward or back while a request waits neither expires it nor refuses the next."""
    admission = Admission(1, 1.0, Tally())
    gate, real = threading.Event(), time.time
    with admission.take_on(0.01) as first, admission.take_on(0.01) as second:
        running = asyncio.create_task(first.run(gate.wait))
        waiting = asyncio.create_task(second.run(lambda: "done"))
        await asyncio.sleep(0.01)
        monkeypatch.setattr(time, "time", lambda: real() + jump)
        assert abs(time.time() - real()) > 80_000
        gate.set()
        await running
        assert await waiting == "done"
        admission.take_on(0.01)
    assert admission.tally.expired == 0
    assert not admission.tally.refused
