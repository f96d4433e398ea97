"""The folder in which workers count together (see `app.metrics`): who owns it, and what is removed from it when. What
is counted is not known here.
"""

import fcntl
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import mark_process_dead

PREFIX, OWNER = "namewave-metrics-", "owner"


@contextmanager
def shared_folder() -> Iterator[Path]:
    """Make a folder that nobody else may read or write, and that is removed at the end; remove first those whose
    owners were killed.
    """
    clear()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        folder = Path(name)
        # The lock is the kernel's, which takes it back however the owner ends. It is there before its name is.
        with (folder / f".{OWNER}").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            Path(lock.name).rename(folder / OWNER)
            yield folder


def clear() -> None:
    """Remove folders of this user whose owner is gone; what cannot be removed stays."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            # One without a lock is just being made, or none of ours.
            with (folder / OWNER).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)


def forget(folder: Path, pid: int) -> None:
    """Remove what a process that is gone leaves in the folder: its gauges, which tell of the living only, and files in
    which it counted nothing, as those of a start that failed are: without end such tries would fill the disk.

    All else stays until the supervisor ends, as prometheus_client wants it: the workers' sum is one counter to
    Prometheus, and a counter that falls is taken for a restart from 0. What adds 0 to the sum may go.
    """
    mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
    for path in folder.glob(f"*_{pid}.db"):
        if not _counted(path):
            path.unlink(missing_ok=True)


def _counted(path: Path) -> bool:
    try:
        return any(value for _, value, *_ in MmapedDict.read_all_values_from_file(str(path)))  # type: ignore[no-untyped-call]
    except struct.error:
        # Its writer was killed before the head of the file was there; nobody else could read it either.
        return False
