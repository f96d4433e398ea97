"""Admission control and its queues, on an injected clock."""

import asyncio
import runpy
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from app.admission import controller
from app.admission.controller import EXPIRY_FACTOR, AdmissionController, AdmittedJob, Overloaded
from app.admission.scheduler import TIME_SLICE
from tests.harness.clock import Clock, async_until

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def admission(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> AdmissionController:
    """One thread, a queue of at most a second, and refusals without a delay."""
    monkeypatch.setattr(controller, "REFUSAL_DELAY", 0)
    return AdmissionController(1, 1.0, clock)


async def fill(admission: AdmissionController, seconds: float) -> list[AdmittedJob]:
    """Admit requests of `seconds` seconds each until one is refused."""
    admitted: list[AdmittedJob] = []
    for _ in range(1000):
        try:
            admitted.append((await admission.admit(seconds)).__enter__())
        except Overloaded:
            return admitted
    raise AssertionError("no request is ever refused")


@pytest.mark.row(13)
async def test_queue_holds_queue_seconds_of_estimated_work(admission: AdmissionController) -> None:
    jobs = await fill(admission, 0.01)
    assert len(jobs) == pytest.approx(1.0 / 0.01, abs=2)
    for job in jobs[:10]:
        job.__exit__()
    assert len(await fill(admission, 0.01)) == 10


@pytest.mark.row(13)
async def test_retry_after_grows_with_the_backlog(admission: AdmissionController) -> None:
    for backlog, seconds in ((1.1, 2), (5.4, 7)):
        admission.add(backlog)
        with pytest.raises(Overloaded) as caught:
            await admission.admit(0.01)
        assert caught.value.seconds == seconds


@pytest.mark.row(13)
async def test_request_waits_a_moment_for_room(admission: AdmissionController, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "REFUSAL_DELAY", 0.05)
    jobs = await fill(admission, 0.01)
    waiting = asyncio.create_task(admission.admit(0.01))
    await asyncio.sleep(0)
    assert not waiting.done()
    for job in jobs:
        job.__exit__()
    assert isinstance(await waiting, AdmittedJob)


@pytest.mark.row(13)
async def test_number_of_delayed_refusals_is_bounded(
    admission: AdmissionController, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(admission, 0.01)
    monkeypatch.setattr(controller, "REFUSAL_DELAY", 3600)
    monkeypatch.setattr(controller, "MAX_DELAYED", 1)
    for _ in range(2):
        delayed = asyncio.create_task(admission.admit(0.01))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await admission.admit(0.01)
        assert not delayed.done()
        delayed.cancel()
        await asyncio.gather(delayed, return_exceptions=True)


@pytest.mark.row(13)
async def test_started_request_is_not_refused(admission: AdmissionController) -> None:
    await fill(admission, 0.01)
    with await admission.admit(0.3, started=True) as job:
        assert await job.run(lambda: "done") == "done"
    assert await admission.run_inline(lambda: "done", started=True) == ("done", 0.0)


@pytest.mark.row(13)
async def test_long_requests_have_a_bounded_queue_of_their_own(admission: AdmissionController) -> None:
    first = (await admission.admit(100.0)).__enter__()
    assert admission.backlog == 0
    gate = threading.Event()
    tasks = [asyncio.create_task(first.run(gate.wait))]
    await asyncio.sleep(0)
    waiting = [(await admission.admit(100.0)).__enter__() for _ in range(controller.MAX_LONG_WAITING)]
    tasks += [asyncio.create_task(job.run(lambda: True)) for job in waiting]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await admission.admit(100.0)
    await admission.admit(0.1)
    gate.set()
    await asyncio.gather(*tasks)


async def test_inline_work_longer_than_the_mean_leaves_the_loop_free(
    admission: AdmissionController, clock: Clock
) -> None:
    """Each piece uses up a slice, so that the loop turns between any two, and their order stays."""
    turns: list[tuple[int, int]] = []
    turn = 0

    def work(k: int) -> None:
        turns.append((k, turn))
        clock.now += 2 * TIME_SLICE

    for _ in range(300):
        admission.inline.record(TIME_SLICE / 100)
    tasks = [asyncio.create_task(admission.run_inline(lambda k=k: work(k))) for k in range(6)]  # type: ignore[misc]
    while not all(task.done() for task in tasks):
        turn += 1
        await asyncio.sleep(0)
    assert [k for k, _ in turns] == list(range(6))
    assert len({turn for _, turn in turns}) == 6


@pytest.mark.row(13)
async def test_small_requests_run_in_the_order_of_their_arrival(admission: AdmissionController, clock: Clock) -> None:
    started = list[int]()

    def work(number: int) -> None:
        started.append(number)
        clock.now += TIME_SLICE

    # Each uses up a time slice, and two new ones arrive with each turn of the event loop.
    tasks = []
    for number in range(200):
        tasks.append(asyncio.create_task(admission.run_inline(partial(work, number))))
        if number % 2:
            await asyncio.sleep(0)
    tasks[190].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert started == [number for number in range(200) if number != 190]
    await asyncio.sleep(0)
    assert admission.inline.free


@pytest.mark.row(13)
async def test_inline_queue_is_bounded_by_its_expected_wait(
    admission: AdmissionController, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small requests take about a second here: one runs, two fill the queue, and the others are refused."""
    monkeypatch.setattr(controller, "MAX_DELAYED", 0)
    order: list[int] = []

    def work(k: int) -> None:
        order.append(k)
        clock.now += 1.0

    for _ in range(300):
        admission.inline.record(1.0)
    await asyncio.sleep(0)
    results = await asyncio.gather(
        *(admission.run_inline(lambda k=k: work(k)) for k in range(5)),  # type: ignore[misc]
        return_exceptions=True,
    )
    assert [isinstance(result, Overloaded) for result in results] == [False, False, False, True, True]
    assert order == [0, 1, 2]


@pytest.mark.row(15)
async def test_expired_request_never_starts(admission: AdmissionController, clock: Clock) -> None:
    done: list[str] = []
    gate = threading.Event()
    first, second, third = [await admission.admit(0.01) for _ in range(3)]
    with first, second, third:
        running = asyncio.create_task(first.run(gate.wait))
        late = asyncio.create_task(second.run(lambda: done.append("second")))
        await asyncio.sleep(0)
        clock.now += EXPIRY_FACTOR * admission.queue_seconds + 0.001
        gate.set()
        await running
        with pytest.raises(Overloaded):
            await late
        # A started request goes on, however long it takes.
        await first.run(lambda: done.append("first"))
        with pytest.raises(Overloaded):
            await third.run(lambda: done.append("third"))
    assert done == ["first"]
    assert (admission.active, admission.limiter.borrowed_tokens) == (0, 0)


@pytest.mark.row(16)
async def test_cancelled_requests_release_everything(admission: AdmissionController) -> None:
    started, gate = threading.Event(), threading.Event()

    async def request(work: Callable[[], Any]) -> None:
        with await admission.admit(0.05) as job:
            await job.run(work)

    tasks = [asyncio.create_task(request(lambda: (started.set(), gate.wait()))) for _ in range(3)]
    await async_until(started.is_set)
    assert admission.active == 3
    for task in tasks:
        task.cancel()
    gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert all(task.cancelled() for task in tasks)
    assert (admission.active, admission.backlog, admission.limiter.borrowed_tokens) == (0, 0, 0)
    with await admission.admit(0.05) as job:
        assert await job.run(lambda: "done") == "done"


@pytest.mark.row(35)
@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
async def test_clock_jump_expires_no_queued_request(monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    offset, gate, real = [0.0], threading.Event(), time.time
    monkeypatch.setattr(time, "time", lambda: real() + offset[0])
    # A copy of the module binds its default clock now.
    admission = runpy.run_path(controller.__file__)["AdmissionController"](1, 60.0)
    with await admission.admit(0.01) as first, await admission.admit(0.01) as second:
        running = asyncio.create_task(first.run(gate.wait))
        waiting = asyncio.create_task(second.run(lambda: "done"))
        await asyncio.sleep(0)
        offset[0] = jump
        gate.set()
        await running
        assert await waiting == "done"
        await admission.admit(0.01)
