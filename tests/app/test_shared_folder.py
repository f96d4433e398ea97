"""The folder in which workers count together, and the pause between starts that fail."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict

from app.processes.retries import Retries
from app.processes.shared_folder import OWNER, PREFIX, clear, forget, shared_folder

OWN = """
import time
from app.processes.shared_folder import shared_folder
with shared_folder() as folder:
    print(folder, flush=True)
    time.sleep(60)
"""
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own for what is temporary."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_the_folder_of_a_killed_owner_is_removed(temporary: Path) -> None:
    """The next owner removes it, and leaves those whose owner lives, those that have no lock, and links."""
    foreign = temporary / f"{PREFIX}foreign"
    foreign.mkdir()
    (temporary / f"{PREFIX}link").symlink_to(foreign)
    command = [sys.executable, "-c", OWN]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        folder = Path(owner.stdout.readline().strip())
        (folder / "counter_1.db").write_bytes(b"x")
        clear()
        assert (folder / "counter_1.db").exists()
        owner.kill()
    assert folder.exists()
    with shared_folder() as mine:
        clear()
        assert (mine / OWNER).exists()
        assert not folder.exists()
        assert foreign.exists()
    assert not mine.exists()


def test_what_was_counted_stays(tmp_path: Path) -> None:
    """Of a process that is gone files of zeros, of gauges and without a head go; a file that adds to a sum stays, and
    so does what another process left.
    """
    for name, value in (("counter_1", 2.0), ("histogram_1", 0.0), ("gauge_livesum_1", 3.0), ("counter_11", 0.0)):
        file = MmapedDict(str(tmp_path / f"{name}.db"))  # type: ignore[no-untyped-call]
        file.write_value("key", value, 0.0)  # type: ignore[no-untyped-call]
        file.close()  # type: ignore[no-untyped-call]
    (tmp_path / "summary_1.db").write_bytes(b"")
    forget(tmp_path, 1)
    assert {path.stem for path in tmp_path.glob("*.db")} == {"counter_1", "counter_11"}


def test_the_pause_doubles_up_to_a_minute() -> None:
    """1, 2, 4 ... 60 seconds after failures; none at first, and none after a reset."""
    now = [0.0]
    retries = Retries(lambda: now[0])
    assert retries.due()
    assert [retries.failed() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    now[0] = 59.9
    assert not retries.due()
    now[0] = 60.0
    assert retries.due()
    retries.failed()
    retries.reset()
    assert retries.due()
    assert retries.failed() == 1
