"""Rows 18 to 22: real processes, real signals, under load. `python -m benchmarks.reliability processes` is the long
form.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from uvicorn import Config

from app.access.keys import key_line, new_key
from app.cli import main
from app.processes.supervision import LOOK, SILENCE, Worker
from models import Kernels
from tests.harness.crashes import prepared
from tests.harness.fleet import Fleet, Load, alive, fleet, listens
from tests.harness.processes import BODY, PAUSE, ended, orphaned, reloaded, struck
from tests.harness.stores import leftovers

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory, kernels: Kernels) -> Path:
    """Stores with two small versions."""
    return prepared(tmp_path_factory.mktemp("fleet") / "stores", kernels, versions=2)


@pytest.fixture(scope="module")
def running(stores: Path) -> Iterator[Fleet]:
    """A service of two workers, which every test leaves with two."""
    with fleet(stores, stores.parent / "log", 2) as each:
        yield each


@pytest.fixture
def mortal(stores: Path, tmp_path: Path) -> Iterator[Fleet]:
    """A service of two workers of one's own, to be ended."""
    with fleet(stores, tmp_path / "log", 2) as each:
        yield each


@pytest.mark.parametrize("wish", [signal.SIGKILL, signal.SIGSTOP], ids=["row_18_killed", "row_19_hangs"])
def test_rows_18_19_a_worker_that_goes_is_replaced(running: Fleet, stores: Path, wish: signal.Signals) -> None:
    """Under load, a worker that is killed or hangs costs each client one request at most, another takes its place, and
    nothing of it stays in the store.
    """
    before = set(running.workers())
    assert "answered" in struck(running, wish)
    assert len(before & set(running.workers())) == 1
    assert len(running.workers()) == 2
    assert leftovers(stores) == []


@pytest.mark.parametrize("body", [None, BODY], ids=["GET", "POST"])
def test_row_22_a_rolling_reload_fails_no_request(running: Fleet, body: bytes | None) -> None:
    """Across a reload of all workers under load every request is answered with 200, on connections that are kept."""
    before = set(running.workers())
    told = reloaded(running, reloads=1, requests=500, body=body, pause=PAUSE)
    assert ": 0 failures [], 0 asked again" in told
    assert not before & set(running.workers())


@pytest.mark.parametrize("body", [None, BODY], ids=["GET", "POST"])
def test_row_22_a_stop_comes_to_its_end(mortal: Fleet, body: bytes | None) -> None:
    """SIGTERM under load ends the supervisor with 0 and all workers, and no request that was taken is lost; who comes
    later is not taken.
    """
    assert "with 0, 0 left, 0 requests lost" in (told := ended(mortal, body)), told


def test_row_22_a_stop_does_not_wait_for_a_hanging_worker(mortal: Fleet) -> None:
    """SIGTERM while a worker is stopped ends everything nevertheless."""
    os.kill(mortal.workers()[0], signal.SIGSTOP)
    assert ", 0 left" in ended(mortal)


def test_row_18_workers_do_not_outlive_their_supervisor(mortal: Fleet) -> None:
    """A supervisor that is killed takes its workers along, and the port is free again."""
    assert "the port is free" in orphaned(mortal)


def test_row_20_a_worker_that_starts_may_take_its_time() -> None:
    """A silent worker is given up after some seconds where it served before, and after minutes while it starts."""
    worker = Worker(Config("nothing:here", timeout_worker_healthcheck=120), [])
    worker.process = SimpleNamespace(is_alive=lambda: True)  # type: ignore[assignment]
    looks = int(SILENCE / LOOK)
    assert all(worker.look() for _ in range(240))
    assert not worker.look()
    worker.serves, worker.silent_looks = True, 0
    assert all(worker.look() for _ in range(looks))
    assert not worker.look()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_row_21_nothing_to_serve_is_one_line_and_a_status(tmp_path: Path, kernels: Kernels, workers: str) -> None:
    """Where no version can be served, each process says so in one line, without a stack, and all end with status 3: no
    supervisor tries again. (Where one can, it starts: `test_ready_while_something_can_be_served`.)
    """
    stores = prepared(tmp_path / "stores", kernels, versions=1)
    (stores / "user/elves/bigram/1/model.safetensors").write_bytes(b"")
    mine = {
        "NAMEWAVE_STORE": str(stores / "user"),
        "NAMEWAVE_SHIPPED_STORE": str(stores / "shipped"),
        "NAMEWAVE_WORKERS": workers,
        "NAMEWAVE_LOG_FORMAT": "json",
    }
    command = [sys.executable, "-m", "app", "serve", "--port", "0"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **mine}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 3
    assert 1 <= done.stderr.count('"event":"nothing can be served"') <= int(workers)
    assert done.stderr.count('"model":"elves/bigram@1"') >= 1
    assert "Traceback" not in done.stderr


def settings_file(kind: str, stores: Path, place: Path) -> Path:
    """A good file of keys or of pins."""
    path = place / kind
    if kind == "keys":
        path.write_text(key_line("alice", new_key()))
    else:
        places = {"NAMEWAVE_STORE": str(stores / "user"), "NAMEWAVE_SHIPPED_STORE": str(stores / "shipped")}
        path.write_text(CliRunner(env=places).invoke(main, ["models", "pins"]).stdout)
    return path


@pytest.mark.parametrize("kind", ["keys", "pins"])
def test_row_21_a_file_that_became_bad_ends_no_worker_that_serves(stores: Path, tmp_path: Path, kind: str) -> None:
    """Where a worker is killed and its successor cannot start for a file that was good before, the other worker serves
    on, each try is one line without a stack and leaves nothing in the metrics' folder, and a reload with a good file
    brings both back, the pause forgotten.
    """
    path = settings_file(kind, stores, tmp_path)
    good = path.read_text()
    more = {f"NAMEWAVE_{kind.upper()}": str(path), "TMPDIR": str(tmp_path)}
    with fleet(stores, tmp_path / "log", 2, **more) as each:
        lost, kept = each.workers()
        with Load(each.port, "/health/live") as load:
            each.until("counted answers", lambda: load.answered > 100)
        path.write_text("no line of any file\n")
        os.kill(lost, signal.SIGKILL)
        each.until("tries", lambda: "next try in 4 s" in each.log.read_text())
        assert each.workers() == [kept]
        assert listens(each.port)
        [folder] = tmp_path.glob("namewave-metrics-*")
        pids = {file.stem.rpartition("_")[2] for file in folder.glob("*.db")}
        # What the killed one counted is kept, its gauges are not.
        assert pids == {str(lost), str(kept)}
        assert not [*folder.glob(f"gauge_live*_{lost}.db")]
        path.write_text(good)
        each.process.send_signal(signal.SIGHUP)
        each.until("two new workers", lambda: len({*each.workers()} - {kept}) == 2)
        each.until("the old one's end", lambda: not alive(kept))
        each.until("reloaded", lambda: bool(each.lines("reloaded")))
        each.process.terminate()
        assert each.process.wait(30) == 0
    told = [json.loads(line)["event"] for line in (tmp_path / "log").read_text().splitlines()]
    assert sum("with 3 before it served: next try in" in event for event in told) == told.count("cannot start") >= 2
    assert told.count("reloading") == told.count("reloaded") == 1
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert [*tmp_path.glob("namewave-metrics-*")] == []


@pytest.mark.parametrize("kind", ["keys", "pins", "redis"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_row_21_a_bad_setting_is_told_before_anything_starts(tmp_path: Path, kind: str, workers: str) -> None:
    """A file that is bad from the start, or a package that is missing, is one line and status 2."""
    (tmp_path / "bad").write_text("no line of any file\n")
    (tmp_path / "redis.py").write_text("raise ImportError\n")
    mine = {f"NAMEWAVE_{kind.upper()}": str(tmp_path / "bad")}
    if kind == "redis":
        mine = {"NAMEWAVE_LIMITS_STORE": "redis://127.0.0.1:1/0", "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "app", "serve", "--port", "0"],
        cwd=ROOT,
        env={**os.environ, **mine, "NAMEWAVE_WORKERS": workers},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
