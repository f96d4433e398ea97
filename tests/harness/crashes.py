"""A store under failing disks and dying writers: after each fault it is the old one or the new one, never between.

Faults are injected by SQLite's method: the k-th file operation of an action fails, for every k.
"""

import errno
import fcntl
import io
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

from models import Kernels, ModelError, ModelRegistry
from models.store.files import Store
from tests.harness.stores import ARCHITECTURE, DATASET, MODEL, View, leftovers, open_registry, small_draft, view

OPERATIONS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (os, ("open", "mkdir", "chmod", "fsync", "rename", "replace", "unlink", "rmdir", "scandir", "stat")),
    (fcntl, ("flock",)),
    (io, ("open",)),
)
Action = Callable[[ModelRegistry], object]
ACTIONS: Mapping[str, Action] = {
    "publish": lambda registry: registry.publish(small_draft(7)),
    "alias": lambda registry: registry.alias(DATASET, "default", f"{ARCHITECTURE}@2", "why"),
    "remove": lambda registry: registry.remove(f"{MODEL}@3", "why"),
}
FAULTS: Mapping[str, int | None] = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "EROFS": errno.EROFS, "death": None}


class Died(BaseException):
    """Simulates the end of the process."""


class Faults:
    """Let the `k`-th file operation of a block fail, from 1; `failed` names it.

    `errno` is the error. Without one the process "dies": that call and all later ones raise `Died`, so that no cleanup
    succeeds, as after SIGKILL; `killed` sends a real SIGKILL. A failed write keeps the first half of its content.
    """

    def __init__(self, k: int, errno: int | None = None, killed: bool = False) -> None:
        self.k, self.errno, self.killed = k, errno, killed
        self.calls, self.failed = 0, ""
        self._patches = [
            patch.object(module, name, partial(self._call, name, getattr(module, name)))
            for module, names in OPERATIONS
            for name in names
        ]

    def __enter__(self) -> Self:
        for each in self._patches:
            each.start()
        return self

    def __exit__(self, *failure: object) -> None:
        for each in self._patches:
            each.stop()

    def _call(self, name: str, real: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        self.count(name)
        result = real(*arguments, **named)
        return _FaultyFile(result, self) if isinstance(result, io.BufferedWriter) else result

    def count(self, name: str, write_half: Callable[[], object] = lambda: None) -> None:
        """Count an operation, and fail if it is the `k`-th."""
        if not self.failed or self.errno is not None:
            self.calls += 1
            if self.calls != self.k:
                return
            self.failed = f"{name}, call {self.calls}"
            write_half()
        if self.killed:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.errno is None:
            raise Died
        raise OSError(self.errno, os.strerror(self.errno))


class _FaultyFile:
    """A file whose writes and flushes may fail."""

    def __init__(self, file: io.BufferedWriter, faults: Faults) -> None:
        self._file, self._faults = file, faults

    def write(self, content: bytes) -> int:
        self._faults.count("write", partial(self._write_half, content))
        return self._file.write(content)

    def _write_half(self, content: bytes) -> None:
        self._file.write(content[: len(content) // 2])
        self._file.flush()

    def flush(self) -> None:
        self._faults.count("flush")
        self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._file.close()


def each_failure(
    action: Action, start: Path, scratch: Path, kernels: Kernels, code: int | None = None, killed: bool = False
) -> Iterator[str]:
    """Yield "old" or "new" for every k: the state of a copy of `start` after the k-th file operation of `action` fails.

    `code` and `killed` as in `Faults`; `killed` forks, which only a process without other threads may do.
    A new process must see no other state, the action repeated must give the new one, and no temporary files may remain.
    """
    states = view(start, kernels), _state_after(action, start, scratch, kernels)
    for k in count(1):
        attempt = partial(_attempt, action, open_registry(_copy(start, scratch), kernels), Faults(k, code, killed))
        fault = _signal_of(fork(attempt)) if killed else attempt()
        if not fault:
            return
        yield _state_after_fault(action, scratch, kernels, states, fault)


def _attempt(action: Action, registry: ModelRegistry, faults: Faults) -> str:
    with suppress(ModelError, Died), faults:
        action(registry)
    return faults.failed


def _signal_of(child: int) -> str:
    status = os.waitpid(child, 0)[1]
    return f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else ""


def fork(work: Callable[[], object]) -> int:
    """Start a fork of this process that does `work`, and return its id. It exits with 0, after an error with 1."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException as error:
        os.write(2, f"{error!r}\n".encode())
        os._exit(1)


def publish_concurrently(root: Path, kernels: Kernels, publishers: int, rounds: int) -> int:
    """Publish `rounds` versions from each of `publishers` processes to one store; return the number of versions."""

    def publish_often(variant: int) -> None:
        registry = ModelRegistry([Store(root / "shipped"), Store(root / "user")], kernels)
        for _ in range(rounds):
            registry.publish(small_draft(variant))

    children = [fork(partial(publish_often, variant)) for variant in range(publishers)]
    assert not [child for child in children if os.waitpid(child, 0)[1]]
    seen, total = view(root, kernels), publishers * rounds
    assert seen.versions.keys() == {f"{MODEL}@{number}" for number in range(1, total + 1)}
    assert Store(root / "user").aliases().of(DATASET).versions[ARCHITECTURE]["latest"] == total
    assert (seen.problems, leftovers(root)) == ((), [])
    return len(seen.versions)


def _copy(start: Path, scratch: Path) -> Path:
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(start, scratch)
    return scratch


def _state_after(action: Action, start: Path, scratch: Path, kernels: Kernels) -> View:
    action(open_registry(_copy(start, scratch), kernels))
    return view(scratch, kernels)


def _state_after_fault(action: Action, root: Path, kernels: Kernels, states: tuple[View, View], fault: str) -> str:
    """Return which of the `states`, old or new, `root` has, after a check that the next writer succeeds."""
    old, new = states
    seen = view(root, kernels)
    assert seen in states, f"{fault}: {seen}\nold: {old}\nnew: {new}"
    if seen == old:
        action(open_registry(root, kernels))
        assert not view(root, kernels).versions.keys() < new.versions.keys(), fault
    else:
        open_registry(root, kernels).publish(small_draft(8))
    assert leftovers(root) == [], fault
    return "old" if seen == old else "new"
