"""Several worker processes under real signals and load; long form: `python -m benchmarks.reliability processes`."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from prometheus_client.mmap_dict import MmapedDict
from uvicorn import Config

from app.cli.main import main
from app.security.api_keys import generate_key, key_line
from app.server.workers import CHECK_INTERVAL, MAX_SILENCE, Worker
from models import Kernels
from tests.harness.processes import BODY, PAUSE, Load, kill_supervisor, reload_workers, replace_worker, stop_under_load
from tests.harness.service import Service, is_alive, is_listening, run_python, served
from tests.harness.stores import MODEL, leftovers, make_stores, store_settings, version_folder

SERVE = ("-m", "app", "serve", "--port", "0")
GET_AND_POST = (None, BODY)


@pytest.fixture(scope="module")
def shared(shared_stores: Path) -> Iterator[Service]:
    """A service of two workers, which every test leaves with two."""
    with served(NAMEWAVE_WORKERS="2", **store_settings(shared_stores)) as service:
        yield service


@pytest.fixture
def own(shared_stores: Path) -> Iterator[Service]:
    """A service of two workers for one test, which may end it."""
    with served(NAMEWAVE_WORKERS="2", **store_settings(shared_stores)) as service:
        yield service


@pytest.mark.row(18)
@pytest.mark.row(19)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hanging"])
def test_lost_worker_is_replaced_and_costs_few_requests(
    shared: Service, shared_stores: Path, number: signal.Signals
) -> None:
    before = set(shared.workers())
    load, _, _ = replace_worker(shared, number)
    assert load.retried + len(load.failures) <= load.clients, load.failures
    assert len(before & set(shared.workers())) == 1
    assert len(shared.workers()) == 2
    assert leftovers(shared_stores) == []


@pytest.mark.row(22)
def test_rolling_reload_fails_no_request(shared: Service) -> None:
    before = set(shared.workers())
    loads = reload_workers(shared, reloads=1, requests=500, bodies=GET_AND_POST, pause=PAUSE)
    assert [(load.retried, load.failures) for load in loads] == [(0, []), (0, [])]
    assert not before & set(shared.workers())


@pytest.mark.row(22)
def test_sigterm_loses_no_request_and_no_process_stays(own: Service) -> None:
    workers = own.workers()
    lost, _ = stop_under_load(own, GET_AND_POST, clients=4)
    assert lost == []
    assert own.process.returncode == 0
    assert not any(map(is_alive, workers))


@pytest.mark.row(22)
def test_sigterm_ends_a_hanging_worker(own: Service) -> None:
    workers = own.workers()
    os.kill(workers[0], signal.SIGSTOP)
    stop_under_load(own)
    assert not any(map(is_alive, workers))


@pytest.mark.row(18)
def test_workers_end_with_their_supervisor(own: Service) -> None:
    kill_supervisor(own)
    assert not is_listening(own.port)


@pytest.mark.row(20)
def test_starting_worker_may_be_silent_for_minutes() -> None:
    worker = Worker(Config("nothing:here", timeout_worker_healthcheck=120), [])
    worker.process = SimpleNamespace(is_alive=lambda: True)  # type: ignore[assignment]
    assert all(worker.is_healthy() for _ in range(240))
    assert not worker.is_healthy()
    worker.serves, worker.silent_checks = True, 0
    assert all(worker.is_healthy() for _ in range(int(MAX_SILENCE / CHECK_INTERVAL)))
    assert not worker.is_healthy()


@pytest.mark.row(21)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_start_without_any_model_exits_with_status_3(tmp_path: Path, kernels: Kernels, workers: str) -> None:
    stores = make_stores(tmp_path, kernels, versions=1)
    (version_folder(stores, 1) / "model.safetensors").write_bytes(b"")
    done = run_python(*SERVE, NAMEWAVE_WORKERS=workers, **store_settings(stores))
    assert done.returncode == 3
    assert 1 <= done.stderr.count('"event":"nothing can be served"') <= int(workers)
    assert done.stderr.count(f'"model":"{MODEL}@1"') >= 1
    assert "Traceback" not in done.stderr


def has_counts(folder: Path, pid: int) -> bool:
    """Whether a process has written what it counted."""
    files = folder.glob(f"counter_{pid}.db")
    return any(value for file in files for _, value, *_ in MmapedDict.read_all_values_from_file(str(file)))  # type: ignore[no-untyped-call]


@pytest.mark.slow
@pytest.mark.row(21)
@pytest.mark.parametrize("kind", ["keys", "pins"])
def test_file_that_becomes_bad_ends_no_serving_worker(shared_stores: Path, tmp_path: Path, kind: str) -> None:
    """One of two workers is killed and cannot start again; a reload with a good file restores both immediately."""
    stores = store_settings(shared_stores)
    pins = CliRunner(env=stores).invoke(main, ["models", "pins"]).stdout
    good = key_line("alice", generate_key()) if kind == "keys" else pins
    path = tmp_path / kind
    path.write_text(good)
    extra = {f"NAMEWAVE_{kind.upper()}": str(path), "TMPDIR": str(tmp_path), "NAMEWAVE_WORKERS": "2"}
    with served(**stores, **extra) as service:
        lost, kept = service.workers()
        with Load(service.port, "/health/live") as load:
            service.until("counted answers", lambda: load.answered > 100)
        [folder] = tmp_path.glob("namewave-metrics-*")
        service.until("the counts in the files", lambda: all(has_counts(folder, pid) for pid in (lost, kept)))
        path.write_text("no line of any file\n")
        os.kill(lost, signal.SIGKILL)
        service.until("the third try", lambda: "next try in 4 s" in service.log.read_text())
        assert service.workers() == [kept]
        assert is_listening(service.port)
        # The counters of the killed worker stay, its gauges do not, and failed starts leave nothing.
        assert {file.stem.rpartition("_")[2] for file in folder.glob("*.db")} == {str(lost), str(kept)}
        assert not [*folder.glob(f"gauge_live*_{lost}.db")]
        path.write_text(good)
        service.process.send_signal(signal.SIGHUP)
        service.until("two new workers", lambda: len({*service.workers()} - {kept}) == 2)
        service.until("the end of the old one", lambda: not is_alive(kept))
        service.until("the reload", lambda: service.events("reloaded"))
        assert service.stop()[0] == 0
        log = service.log.read_text()
    assert log.count("with 3 before it served: next try in") == log.count('"event":"cannot start"') >= 2
    assert log.count('"event":"reloading"') == log.count('"event":"reloaded"') == 1
    assert "Traceback" not in log
    assert [*tmp_path.glob("namewave-metrics-*")] == []


@pytest.mark.row(21)
@pytest.mark.parametrize("kind", ["keys", "pins", "redis"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_bad_setting_exits_with_status_2_before_the_start(tmp_path: Path, kind: str, workers: str) -> None:
    (tmp_path / "bad").write_text("no line of any file\n")
    (tmp_path / "redis.py").write_text("raise ImportError\n")
    settings = {f"NAMEWAVE_{kind.upper()}": str(tmp_path / "bad")}
    if kind == "redis":
        settings = {"NAMEWAVE_LIMITS_STORE": "redis://127.0.0.1:1/0", "PYTHONPATH": str(tmp_path)}
    done = run_python(*SERVE, NAMEWAVE_WORKERS=workers, **settings)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
