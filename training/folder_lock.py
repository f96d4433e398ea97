"""One command at a time in a folder: a lock that the kernel gives back when its holder dies, however it dies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training.errors import TrainingError

LOCK = ".lock"


@contextmanager
def alone_in(folder: Path, work: str) -> Iterator[None]:
    """Hold the lock of `folder`, which is there, or raise `TrainingError` at once where another `work` holds it."""
    with (folder / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainingError(
                f"Another {work} is at work in {folder}. Wait until it ends, or give another --output."
            ) from None
        yield
