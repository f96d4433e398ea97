"""Row 32: sampling threads never exceed the processors."""

import itertools
import os
import sys
from pathlib import Path

import pytest

from app.settings import Settings
from app.startup import available_processors, sampling_threads
from tests.harness.app_client import app_client
from tests.harness.service import run_python

pytestmark = [pytest.mark.row(32), pytest.mark.anyio]
PROGRAM = """
import os
for name in [name for name in os.environ if "THREADS" in name]:
    del os.environ[name]
import app.__main__
print(len(os.listdir("/proc/self/task")))
"""
SHARES = {"150000 100000": 1, "50000 100000": 1, "200000 100000": 2, "6400000 100000": 64, "max 100000": 64, "": 64}


@pytest.mark.parametrize(("share", "expected"), SHARES.items(), ids=SHARES)
def test_processors_are_limited_by_the_containers_share(
    share: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    (tmp_path / "cpu.max").write_text(f"{share}\n")
    assert available_processors(tmp_path / "cpu.max") == expected
    assert available_processors(tmp_path / "missing") == 64


def test_threads_of_all_workers_fit_the_processors() -> None:
    """Except for one thread in each worker."""
    for processors, workers, wanted in itertools.product(range(1, 20), range(1, 20), range(1, 10)):
        threads = sampling_threads(Settings.model_construct(threads=wanted, workers=workers), processors)
        assert 1 <= threads <= wanted
        assert threads == 1 or threads * workers <= processors
        assert threads == wanted or (threads + 1) * workers > processors


@pytest.mark.skipif(sys.platform != "linux", reason="/proc lists the threads on Linux only")
def test_numpy_starts_without_threads_of_its_own() -> None:
    assert run_python("-c", PROGRAM).stdout == "1\n"


@pytest.mark.parametrize("wanted", [5, None])
@pytest.mark.parametrize(("processors", "threads"), [(1, 1), (4, 2), (16, 5)])
async def test_service_limits_threads_and_warns_if_set(
    processors: int,
    threads: int,
    wanted: int | None,
    shared_stores: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """With two workers, the default number of threads is reduced silently if each worker has a processor."""
    monkeypatch.setattr("app.main.available_processors", lambda: processors)
    settings = Settings(store=shared_stores / "user", shipped_store=shared_stores / "shipped", workers=2, watchdog=0)
    async with app_client(settings, **({"threads": wanted} if wanted else {})) as client:
        admission = client.service.admission
        assert admission.queue.slots == admission.limiter.total_tokens == min(threads, wanted or settings.threads)
    warned = "fewer processors than threads" in capfd.readouterr().err
    assert warned == (threads < 5 if wanted else processors < 2)
