"""Row 32: no more threads draw than there are processors."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.main import create_app
from app.processes.quota import drawing_threads, processors
from app.settings import Settings
from models import Draft, Kernels, ModelRegistry

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]


@pytest.fixture
def anyio_backend() -> str:
    """uvicorn's loop."""
    return "asyncio"


TOLD = {"150000 100000": 1, "50000 100000": 1, "200000 100000": 2, "6400000 100000": 64, "max 100000": 64, "": 64}


@pytest.mark.parametrize(("told", "expected"), TOLD.items(), ids=TOLD)
def test_row_32_a_containers_share_is_what_there_is(
    told: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 64 processors a container may use the whole ones of its share, at least one; without a limit all of them."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    (tmp_path / "cpu.max").write_text(f"{told}\n")
    assert processors(tmp_path / "cpu.max") == expected
    assert processors(tmp_path / "missing") == 64


def test_row_32_threads_times_processes_stay_within_the_processors() -> None:
    """For any wish the product is at most the processors there are, but each process has one thread."""
    for there in range(1, 20):
        for workers in range(1, 20):
            for wanted in range(1, 10):
                threads = drawing_threads(wanted, workers, there)
                assert 1 <= threads <= wanted
                assert threads == 1 or threads * workers <= there
                assert threads == wanted or (threads + 1) * workers > there


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted as Linux tells them")
def test_row_32_numbers_have_no_threads_of_their_own() -> None:
    """However many processors there are, numpy begins with one thread: a container's share is not known to it."""
    counted = "import os, app.__main__; print(len(os.listdir('/proc/self/task')))"
    environment = {name: value for name, value in os.environ.items() if "THREADS" not in name}
    done = subprocess.run(
        [sys.executable, "-c", counted], env=environment, capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "1\n"


@pytest.mark.parametrize("wanted", [5, None])
@pytest.mark.parametrize(("there", "threads"), [(1, 1), (4, 2), (16, 5)])
async def test_row_32_the_service_keeps_to_it(
    there: int,
    threads: int,
    wanted: int | None,
    tmp_path: Path,
    kernels: Kernels,
    elf_draft: Draft,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Five threads wanted in each of two processes: the service takes as many as fit, and says where that is fewer.
    Where nobody said how many, and there is a processor for each process, it says nothing.
    """
    monkeypatch.setattr("app.main.processors", lambda: there)
    store = tmp_path / "user"
    ModelRegistry.open(kernels, user=store, shipped=tmp_path / "shipped").publish(elf_draft)
    threads_wanted = {} if wanted is None else {"threads": wanted}
    settings = Settings(store=store, shipped_store=tmp_path / "shipped", workers=2, watchdog=0, **threads_wanted)
    app = create_app(settings)
    async with app.router.lifespan_context(app) as state:
        admission = state["service"].admission
    assert admission.turns.slots == admission.limiter.total_tokens == min(threads, wanted or settings.threads)
    warned = "fewer processors than threads" in capfd.readouterr().err
    assert warned == (threads < 5 if wanted else there < 2)
