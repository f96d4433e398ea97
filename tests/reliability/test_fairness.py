"""Row 14, one client floods: limits that hold over processes, with and without a common store; row 35 for limits; and
what all processes count together.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.access import windows
from app.access.purse import REQUEST
from app.access.shared_windows import SharedWindows
from app.access.windows import Windows
from models import Draft, Kernels, ModelRegistry

pytestmark = pytest.mark.usefixtures("within_one_window")
ROOT = Path(__file__).parents[2]
DAY = 86_400


@pytest.fixture(scope="module")
def elf_store(tmp_path_factory: pytest.TempPathFactory, kernels: Kernels, elf_draft: Draft) -> Path:
    """A store with one version of the elves' wavenet."""
    root = tmp_path_factory.mktemp("stores")
    ModelRegistry.open(kernels, user=root / "user", shipped=root / "shipped").publish(elf_draft)
    return root


@contextmanager
def served(store: Path, **more: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A real server in a process of its own that is ready, and its address; stopped at the end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("NAMEWAVE_")}
    stores = {"NAMEWAVE_STORE": str(store / "user"), "NAMEWAVE_SHIPPED_STORE": str(store / "shipped")}
    # A pipe that nobody reads would be full after some hundred lines, and the service would wait for it.
    with (store / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "serve", "--port", str(port)],
            cwd=ROOT,
            env={**kept, **stores, "NAMEWAVE_LOG_FORMAT": "json", **more},
            stderr=log,
        )
    try:
        wait_until_ready(f"http://127.0.0.1:{port}")
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def wait_until_ready(address: str) -> None:
    """Ask until the service answers, at most a minute."""
    for _ in range(600):
        try:
            if httpx.get(f"{address}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("the service did not become ready")


@contextmanager
def redis_server(folder: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A Redis server of its own that keeps nothing, and its address."""
    pytest.importorskip("redis", reason="the package redis is not installed")
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed: make system-packages")
    if not port:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen([*command, "--dir", str(folder)], stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield process, f"redis://127.0.0.1:{port}/0"
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def flood(address: str, requests: int, host: str = "127.0.0.1") -> Counter[int]:
    """Ask so many times over eight connections of `host`; return how often each status came."""

    def ask(times: int) -> list[int]:
        transport = httpx.HTTPTransport(local_address=host)
        with httpx.Client(transport=transport, base_url=address) as client:
            return [client.get("/info").status_code for _ in range(times)]

    with ThreadPoolExecutor(8) as pool:
        return Counter(status for statuses in pool.map(ask, [requests // 8] * 8) for status in statuses)


def metric(address: str, name: str) -> float:
    """The sum of a metric's samples, as /metrics tells them, asked by a client of its own."""
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.9"), base_url=address) as client:
        families = text_string_to_metric_families(client.get("/metrics").text)
        return sum(sample.value for family in families for sample in family.samples if sample.name == name)


def test_row_14_processes_with_a_common_store_grant_the_limit_exactly(elf_store: Path, tmp_path: Path) -> None:
    """Three processes that count in Redis grant a flooding client just the limit, not one request more or less, and
    serve another client meanwhile.
    """
    more = {"NAMEWAVE_WORKERS": "3", "NAMEWAVE_LIMIT": str(100 * REQUEST)}
    with redis_server(tmp_path) as (_, store), served(elf_store, NAMEWAVE_LIMITS_STORE=store, **more) as (_, address):
        assert flood(address, 320) == {200: 100, 429: 220}
        assert flood(address, 8, "127.0.0.2") == {200: 8}
        assert metric(address, "namewave_workers") == 3


def test_row_14_nobody_chooses_an_address(elf_store: Path) -> None:
    """Without trusted proxies X-Forwarded-For is believed of nobody, who asks from this machine neither."""
    with served(elf_store, NAMEWAVE_LIMIT=str(3 * REQUEST)) as (_, address), httpx.Client(base_url=address) as client:
        asked = [client.get("/info", headers={"X-Forwarded-For": f"192.0.2.{k}"}) for k in range(6)]
    assert [answer.status_code for answer in asked] == [200] * 3 + [429] * 3


def test_row_14_a_common_store_gives_no_credit(tmp_path: Path) -> None:
    """What is given back to a counter that has less, because its window began anew, leaves it at nothing, not below."""

    async def given_back(address: str) -> list[int]:
        counters = SharedWindows(address, 1000)
        await counters.correct("a", -900)
        used = [(await counters.window("a")).used]
        await counters.hit("a", 500)
        await counters.correct("a", -200)
        used.append((await counters.window("a")).used)
        await counters.correct("a", -900)
        used.append((await counters.window("a")).used)
        await counters.hang_up()
        return used

    with redis_server(tmp_path) as (_, store):
        assert asyncio.run(given_back(store)) == [0, 300, 0]


def test_row_14_processes_that_count_alone_grant_no_more_than_the_limit(elf_store: Path) -> None:
    """Two processes without a common store grant a flooding client at most the limit together, each its half, and
    serve another client meanwhile.
    """
    with served(elf_store, NAMEWAVE_WORKERS="2", NAMEWAVE_LIMIT=str(100 * REQUEST)) as (_, address):
        granted = flood(address, 320)
        assert set(granted) == {200, 429}
        assert 50 <= granted[200] <= 100
        assert flood(address, 8, "127.0.0.2") == {200: 8}


def test_row_14_a_store_that_is_away_neither_stops_nor_opens_the_service(elf_store: Path, tmp_path: Path) -> None:
    """When Redis is killed, requests are served and limited by the process alone; it is logged once and counted; when
    Redis is there again, it counts again.
    """
    with redis_server(tmp_path) as (redis, store):
        more = {"NAMEWAVE_LIMITS_STORE": store, "NAMEWAVE_LIMIT": str(50 * REQUEST)}
        with served(elf_store, **more) as (_, address):
            assert flood(address, 80) == {200: 50, 429: 30}
            redis.kill()
            redis.wait()
            assert flood(address, 80) == {200: 50, 429: 30}
            assert metric(address, "namewave_limits_store_errors_total") >= 1
            with redis_server(tmp_path, int(re.findall(r"\d+", store)[-2])):
                time.sleep(1.1)
                assert flood(address, 80) == {200: 50, 429: 30}
        log = map(json.loads, (elf_store / "log").read_text("utf-8").splitlines())
        events = Counter(line["event"] for line in log)
        assert events["the store of the limits does not answer: each process counts for itself"] == 1
        assert events["the store of the limits answers again"] == 1


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_row_35_a_clock_that_jumps_moves_no_limit(monkeypatch: pytest.MonkeyPatch, jump: int) -> None:
    """When the system's time jumps by a day either way, who had enough still had enough, and waits no longer."""
    account = Windows(1000)
    assert account.hit("a", 1000)
    before = account.window("a")
    real = time.time
    moved = SimpleNamespace(time=lambda: real() + jump, monotonic=time.monotonic)
    monkeypatch.setattr(time, "time", moved.time)
    monkeypatch.setattr(windows, "time", moved)
    after = account.window("a")
    assert (after.previous + after.current, after.used > 900) == (before.previous + before.current, True)
    assert not account.hit("a", 200)
    assert 0 < after.wait(1000, 200) <= 120


def test_what_all_processes_count_is_told_by_any(elf_store: Path, tmp_path: Path) -> None:
    """Counters add up over the processes, those of a killed one stay and its gauges go; the folder that they share is
    private, and gone when the service ends.
    """
    more = {"NAMEWAVE_WORKERS": "2", "NAMEWAVE_LIMIT": "0", "TMPDIR": str(tmp_path)}
    with served(elf_store, **more) as (process, address):
        assert flood(address, 200) == {200: 200}
        for _ in range(3):
            text = httpx.get(f"{address}/metrics").text
            assert 'namewave_requests_total{route="/info",status="200"} 200.0' in text
        (folder,) = tmp_path.glob("namewave-metrics-*")
        assert folder.stat().st_mode & 0o777 == 0o700
        victim = int(next(folder.glob("gauge_livesum_*.db")).stem.rpartition("_")[2])
        os.kill(victim, signal.SIGKILL)
        for _ in range(200):
            time.sleep(0.1)
            alive = {path.stem.rpartition("_")[2] for path in folder.glob("gauge_livesum_*.db")} - {str(victim)}
            if len(alive) == 2:
                break
        text = httpx.get(f"{address}/metrics").text
        assert 'namewave_requests_total{route="/info",status="200"} 200.0' in text
        assert "namewave_workers 2.0" in text
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert list(tmp_path.iterdir()) == []
