"""File operations that fail: the k-th one that an action makes, whichever it is. SQLite's method. What the action does
is not known here.

    with Faults(k=3, errno=errno.ENOSPC) as faults:
        ...

Every call of the standard library that opens, writes, syncs, locks, lists, renames or deletes goes through here, and
counts. A file that fails while it is written keeps the first half of what it was given. With no errno the process
"dies": the call and every one after it raise `Died`, so that nothing can be tidied up, as after SIGKILL. (`crashes`
has the real one.)
"""

import fcntl
import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

PLACES: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (os, ("open", "mkdir", "chmod", "fsync", "rename", "replace", "unlink", "rmdir", "scandir", "stat", "close")),
    (fcntl, ("flock",)),
    (io, ("open",)),
)


class Died(BaseException):
    """Stands for the end of the process."""


class Faults:
    """Replaces file operations within a block. `k`: which one fails, from 1, 0 for none; `errno`: how, None for dying,
    `killed`: by a real SIGKILL. `calls` counts; `broke` tells which one failed.
    """

    def __init__(self, k: int, errno: int | None = None, killed: bool = False) -> None:
        self.k, self.errno, self.killed = k, errno, killed
        self.calls, self.broke = 0, ""
        self._real: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> "Faults":
        for module, names in PLACES:
            for name in names:
                real = getattr(module, name)
                self._real.append((module, name, real))
                setattr(module, name, self._wrapped(name, real))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for module, name, real in self._real:
            setattr(module, name, real)

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            # Closing never fails here: the operating system closes the files of a process that dies.
            if name != "close":
                self.count(name)
            opened = real(*arguments, **named)
            return _Written(opened, self) if isinstance(opened, io.BufferedWriter) else opened

        return call

    def count(self, name: str, half: Callable[[], object] = lambda: None) -> None:
        """Count one operation, and fail if it is the one; `half`: what of it is done nevertheless."""
        dead = bool(self.broke) and self.errno is None
        self.calls += not dead
        if not dead and self.calls != self.k:
            return
        if not dead:
            self.broke = f"{name}, call {self.calls}"
            half()
        if self.killed:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.errno is None:
            raise Died
        raise OSError(self.errno, os.strerror(self.errno))


class _Written:
    """A file that is written, each write and flush an operation that may fail."""

    def __init__(self, file: io.BufferedWriter, faults: Faults) -> None:
        self._file, self._faults = file, faults

    def write(self, content: bytes) -> int:
        """Write, or half of it."""

        def half() -> None:
            self._file.write(content[: len(content) // 2])
            self._file.flush()

        self._faults.count("write", half)
        return self._file.write(content)

    def flush(self) -> None:
        """Hand over to the operating system."""
        self._faults.count("flush")
        self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "_Written":
        return self

    def __exit__(self, *failure: object) -> None:
        self._file.close()


def folder_files(root: Path) -> list[str]:
    """Return all files and folders under `root`, sorted."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))
