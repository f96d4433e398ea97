"""Rate limits over several processes, with and without a shared store, and metrics of several processes."""

import asyncio
import itertools
import os
import random
import runpy
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.security import rate_limiter
from app.security.rate_limiter import REQUEST_COST, WINDOW_SECONDS, RedisWindowCounters, SlidingWindowCounters
from tests.harness.clock import Clock, until
from tests.harness.service import LIMIT, Service, free_port, is_listening, served
from tests.harness.stores import store_settings

Result = TypeVar("Result")
CLIENT, MONITOR = "127.0.0.2", "127.0.0.9"
DAY = 86_400


@contextmanager
def redis_server(folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """A Redis server that keeps nothing."""
    pytest.importorskip("redis", reason="the package redis is not installed")
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed: make system-packages")
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen([*command, "--dir", str(folder)], stdout=subprocess.DEVNULL) as process:
        try:
            until(lambda: is_listening(port))
            yield process
        finally:
            process.kill()


def client_at(host: str, address: str) -> httpx.Client:
    """A client of the service at `address` whose own address is `host`."""
    return httpx.Client(transport=httpx.HTTPTransport(local_address=host), base_url=address, timeout=LIMIT)


def flood(address: str, requests: int, host: str) -> Counter[int]:
    """Send `requests` requests over eight connections, and return the count of each status."""

    def ask(times: int) -> list[int]:
        with client_at(host, address) as client:
            return [client.get("/info").status_code for _ in range(times)]

    with ThreadPoolExecutor(8) as pool:
        return Counter(itertools.chain.from_iterable(pool.map(ask, [requests // 8] * 8)))


def in_one_window(attempt: Callable[[str], Result]) -> Result:
    """Return the result of an attempt that fell into one window of the limiter; each attempt uses a new client."""
    for k in itertools.count(100):
        # Counters in memory follow the monotonic clock, those in Redis the time of day.
        windows = [clock() // WINDOW_SECONDS for clock in (time.monotonic, time.time)]
        result = attempt(f"127.0.0.{k}")
        if windows == [clock() // WINDOW_SECONDS for clock in (time.monotonic, time.time)]:
            return result
    raise AssertionError("unreachable")


def metric(service: Service, name: str) -> float:
    with client_at(MONITOR, service.address) as client:
        families = text_string_to_metric_families(client.get("/metrics").text)
        return sum(sample.value for family in families for sample in family.samples if sample.name == name)


@pytest.mark.row(14)
def test_workers_with_redis_grant_exactly_the_limit(shared_stores: Path, tmp_path: Path) -> None:
    port = free_port()
    limits = {"NAMEWAVE_LIMITS_STORE": f"redis://127.0.0.1:{port}/0", "NAMEWAVE_LIMIT": str(100 * REQUEST_COST)}
    with (
        redis_server(tmp_path, port),
        served(NAMEWAVE_WORKERS="3", **limits, **store_settings(shared_stores)) as service,
    ):
        assert in_one_window(lambda host: flood(service.address, 320, host)) == {200: 100, 429: 220}
        assert flood(service.address, 8, CLIENT) == {200: 8}
        assert metric(service, "namewave_workers") == 3


@pytest.mark.row(14)
def test_workers_without_redis_grant_at_most_the_limit(shared_stores: Path) -> None:
    with served(
        NAMEWAVE_WORKERS="2", NAMEWAVE_LIMIT=str(100 * REQUEST_COST), **store_settings(shared_stores)
    ) as service:
        granted = in_one_window(lambda host: flood(service.address, 320, host))
        assert set(granted) == {200, 429}
        assert 50 <= granted[200] <= 100
        assert flood(service.address, 8, CLIENT) == {200: 8}


@pytest.mark.row(14)
def test_forged_x_forwarded_for_is_ignored(shared_stores: Path) -> None:
    def ask(host: str) -> list[int]:
        with client_at(host, service.address) as client:
            headers = [{"X-Forwarded-For": f"192.0.2.{k}"} for k in range(6)]
            return [client.get("/info", headers=each).status_code for each in headers]

    with served(NAMEWAVE_LIMIT=str(3 * REQUEST_COST), **store_settings(shared_stores)) as service:
        assert in_one_window(ask) == [200] * 3 + [429] * 3


@pytest.mark.row(14)
def test_refund_in_redis_is_never_a_credit(tmp_path: Path) -> None:
    async def refund() -> list[int]:
        counters = RedisWindowCounters(f"redis://127.0.0.1:{port}/0", 1000)
        used = []
        for taken, refunded in ((0, 900), (500, 200), (0, 900)):
            await counters.add("a", taken)
            used.append((await counters.add("a", -refunded, True)).used)
        await counters.disconnect()
        return used

    port = free_port()
    with redis_server(tmp_path, port):
        assert asyncio.run(refund()) == [0, 300, 0]


@pytest.mark.row(14)
def test_counters_in_redis_agree_with_those_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis reads the time from a list, which the test sets."""
    script = rate_limiter.ADD_SCRIPT.replace("redis.call('TIME')", "redis.call('LRANGE', 'time', 0, -1)")
    assert script != rate_limiter.ADD_SCRIPT
    monkeypatch.setattr(rate_limiter, "ADD_SCRIPT", script)
    rng, clock = random.Random(1), Clock(600.0)

    async def compare() -> Counter[bool]:
        address = f"redis://127.0.0.1:{port}/0"
        ours, theirs, found = SlidingWindowCounters(100, clock), RedisWindowCounters(address, 100), Counter[bool]()
        async with redis.asyncio.Redis.from_url(address) as store:
            for _ in range(1000):
                clock.now += rng.choice([0, 0, 0, 7.5, 15.25, 45.125, 150])
                await store.delete("time")
                await store.rpush("time", int(clock.now), int(clock.now % 1 * 1_000_000))
                client, amount, correction = rng.choice("ab"), rng.randint(-60, 60), rng.random() < 0.3
                state = await theirs.add(client, amount if correction else abs(amount), correction)
                assert state == ours.add(client, amount if correction else abs(amount), correction)
                found[state.fits] += 1
        await theirs.disconnect()
        return found

    port = free_port()
    with redis_server(tmp_path, port):
        import redis.asyncio

        found = asyncio.run(compare())
    assert min(found[True], found[False]) > 100


@pytest.mark.row(14)
def test_workers_count_alone_while_redis_is_away(shared_stores: Path, tmp_path: Path) -> None:
    port, expected = free_port(), {200: 50, 429: 30}
    limits = {"NAMEWAVE_LIMITS_STORE": f"redis://127.0.0.1:{port}/0", "NAMEWAVE_LIMIT": str(50 * REQUEST_COST)}
    failure = "the store of the limits does not answer: each process counts for itself"
    recovery = "the store of the limits answers again"
    with redis_server(tmp_path, port) as redis, served(**limits, **store_settings(shared_stores)) as service:
        assert in_one_window(lambda host: flood(service.address, 80, host)) == expected
        redis.kill()
        redis.wait()
        assert in_one_window(lambda host: flood(service.address, 80, host)) == expected
        assert metric(service, "namewave_limits_store_errors_total") >= 1
        with redis_server(tmp_path, port), client_at(MONITOR, service.address) as client:
            service.until("the recovery", lambda: client.get("/info") and service.events(recovery))
            assert in_one_window(lambda host: flood(service.address, 80, host)) == expected
        assert len(service.events(failure)) == len(service.events(recovery)) == 1


@pytest.mark.row(35)
@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_clock_jump_changes_no_rate_limit(monkeypatch: pytest.MonkeyPatch, jump: int) -> None:
    offset, real = [0], time.time
    monkeypatch.setattr(time, "time", lambda: real() + offset[0])
    # A copy of the module binds its default clock now.
    counters = runpy.run_path(rate_limiter.__file__)["SlidingWindowCounters"](1000)
    before = counters.add("a", 1000)
    assert before.fits
    offset[0] = jump
    after = counters.add("a", 200)
    assert not after.fits
    assert after.previous + after.current == before.previous + before.current
    assert after.used > 900
    assert 0 < after.wait(200) <= 120


def test_metrics_of_all_workers_add_up(shared_stores: Path, tmp_path: Path) -> None:
    """A killed worker's counters stay, its gauges go; the shared folder is private, and removed at the end."""
    extra = {"NAMEWAVE_WORKERS": "2", "NAMEWAVE_LIMIT": "0", "TMPDIR": str(tmp_path)}
    requests = 'namewave_requests_total{route="/info",status="200"} 200.0'
    with served(**extra, **store_settings(shared_stores)) as service:
        assert flood(service.address, 200, CLIENT) == {200: 200}
        # A process writes its counts twice a second.
        service.until("all counts", lambda: requests in httpx.get(f"{service.address}/metrics", timeout=LIMIT).text)
        for _ in range(3):
            assert requests in httpx.get(f"{service.address}/metrics", timeout=LIMIT).text
        [folder] = tmp_path.glob("namewave-metrics-*")
        assert folder.stat().st_mode & 0o777 == 0o700
        victim = service.workers()[0]
        os.kill(victim, signal.SIGKILL)
        service.until("a new worker", lambda: victim not in (now := service.workers()) and len(now) == 2)
        service.until("no gauges of the killed one", lambda: not [*folder.glob(f"gauge_live*_{victim}.db")])
        text = httpx.get(f"{service.address}/metrics", timeout=LIMIT).text
        assert requests in text
        assert "namewave_workers 2.0" in text
        assert service.stop()[0] == 0
    assert list(tmp_path.iterdir()) == []
