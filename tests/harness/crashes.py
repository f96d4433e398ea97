"""The store under failing disks and dying writers: after each fault it is as it was or as it should be, never between.
Which call fails is `faults`' job.
"""

import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from models import Kernels, ModelError, ModelRegistry
from models.store import Store
from tests.harness.faults import Died, Faults
from tests.harness.stores import ARCHITECTURE, DATASET, leftovers, opened, small_draft, view

PLACE = f"{DATASET}/{ARCHITECTURE}"
Action = Callable[[ModelRegistry], object]
ACTIONS: Mapping[str, Action] = {
    "publish": lambda registry: registry.publish(small_draft(7)),
    "alias": lambda registry: registry.alias(DATASET, "default", f"{ARCHITECTURE}@2", "why"),
    "remove": lambda registry: registry.remove(f"{PLACE}@3", "why"),
}
FAULTS: Mapping[str, int | None] = {
    "ENOSPC": errno.ENOSPC,
    "EIO": errno.EIO,
    "EROFS": errno.EROFS,
    "death": None,
}


class NeitherOldNorNewError(AssertionError):
    """A fault left the store in a state that it must not have."""


@dataclass(frozen=True)
class Counted:
    """Faults of one action: how many were made, and after how many of them the state was the old one."""

    faults: int
    old: int


def prepared(root: Path, kernels: Kernels, versions: int = 3) -> Path:
    """Return `root` with a user's store of so many versions."""
    registry = opened(root, kernels)
    for variant in range(1, versions + 1):
        registry.publish(small_draft(variant))
    return root


def faulted(action: Action, start: Path, scratch: Path, kernels: Kernels, code: int | None) -> Iterator[str]:
    """Let the k-th file operation of `action` fail over a copy of `start`, for every k; yield "old" or "new" each time.

    After each fault a fresh process sees the old state or the new one, and the action done again gives the new one and
    leaves nothing lying about. Raises `NeitherOldNorNewError`.
    """
    old = view(start, kernels)
    new = _done(action, start, scratch, kernels)
    k = 0
    while True:
        k += 1
        place = _copy(start, scratch)
        registry = opened(place, kernels)
        faults = Faults(k, code)
        with suppress(ModelError, Died), faults:
            action(registry)
        if not faults.broke:
            return
        yield _judged(action, place, kernels, (old, new), faults.broke)


def killed(action: Action, start: Path, scratch: Path, kernels: Kernels) -> Iterator[str]:
    """Do as `faulted` does, by SIGKILL at the k-th file operation of a child process.

    Only for a process without other threads: the child is a fork.
    """
    old = view(start, kernels)
    new = _done(action, start, scratch, kernels)
    k = 0
    while True:
        k += 1
        place = _copy(start, scratch)
        status = in_child(partial(_killed_at, k, action, opened(place, kernels)))
        if not os.WIFSIGNALED(status):
            return
        yield _judged(action, place, kernels, (old, new), f"SIGKILL at call {k}")


def in_child(work: Callable[[], object]) -> int:
    """Return how a fork of this process ended that did `work`: what `os.waitpid` says."""
    return os.waitpid(start_child(work), 0)[1]


def start_child(work: Callable[[], object]) -> int:
    """Start a fork of this process that does `work`, and return its number. It ends with 0, after an error with 1."""
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


def publish_together(root: Path, kernels: Kernels, publishers: int, rounds: int) -> int:
    """Let so many processes publish into one store, so many times each, and return how many versions it has then.

    Raises `NeitherOldNorNewError` where one is lost, does not verify, or `latest` is not the last.
    """

    def publish_often(variant: int) -> None:
        registry = ModelRegistry([Store(root / "shipped"), Store(root / "user")], kernels)
        for _ in range(rounds):
            registry.publish(small_draft(variant))

    children = [start_child(lambda variant=variant: publish_often(variant)) for variant in range(publishers)]  # type: ignore[misc]
    failed = [child for child in children if os.waitpid(child, 0)[1]]
    seen, total = view(root, kernels), publishers * rounds
    expected = {f"{PLACE}@{number}" for number in range(1, total + 1)}
    said = Store(root / "user").aliases().of(DATASET).versions[ARCHITECTURE]["latest"]
    if failed or set(seen.versions) != expected or seen.wrong or said != total or leftovers(root):
        raise NeitherOldNorNewError(
            f"{len(failed)} failed, {len(seen.versions)} of {total}, latest {said}, {seen.wrong}"
        )
    return len(seen.versions)


def _killed_at(k: int, action: Action, registry: ModelRegistry) -> None:
    with Faults(k, killed=True):
        action(registry)


def _copy(start: Path, scratch: Path) -> Path:
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(start, scratch)
    return scratch


def _done(action: Action, start: Path, scratch: Path, kernels: Kernels) -> object:
    place = _copy(start, scratch)
    action(opened(place, kernels))
    return view(place, kernels)


def _judged(action: Action, place: Path, kernels: Kernels, states: tuple[object, object], broke: str) -> str:
    """Tell which of the states, old or new, `place` has, and that the action can be done again."""
    old, new = states
    seen = view(place, kernels)
    if seen not in states:
        raise NeitherOldNorNewError(f"{broke}: {seen}\nold: {old}\nnew: {new}")
    if seen == old:
        action(opened(place, kernels))
        if view(place, kernels).versions.keys() < new.versions.keys():  # type: ignore[attr-defined]
            raise NeitherOldNorNewError(f"{broke}: done again, it is still {view(place, kernels)}")
    else:
        opened(place, kernels).publish(small_draft(8))
    if leftovers(place):
        raise NeitherOldNorNewError(f"{broke}: {leftovers(place)} lie about after the next writer")
    return "old" if seen == old else "new"
