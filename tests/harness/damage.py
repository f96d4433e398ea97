"""Files that are not what they were: cut, flipped, swapped, foreign. Each is refused before anything of it is used,
with one line, and the last good version goes on. How a file is read is `models.checkpoint`'s job.
"""

import os
import pickle
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from models import CheckpointError, Kernels
from models.checkpoint import MANIFEST, NAMES, WEIGHTS, load_checkpoint
from models.store import Key, Store
from tests.harness.stores import ARCHITECTURE, DATASET, opened

FILES = (WEIGHTS, NAMES, MANIFEST)


class AcceptedError(AssertionError):
    """A damaged version was taken for a good one, or refused in another way than by one clear line."""


def refusal(folder: Path) -> str:
    """Return the line with which the version in `folder` is refused. Raises `AcceptedError` where it is not."""
    try:
        load_checkpoint(folder)
    except CheckpointError as error:
        if "\n" in str(error):
            raise AcceptedError(f"more than one line: {error}") from None
        return str(error)
    raise AcceptedError(f"{folder} was loaded")


def cut(folder: Path, name: str, step: int = 1) -> Iterator[int]:
    """Cut the file at every `step`-th length, each refused, and mend it at the end; yield the lengths.

    The last byte of a manifest is a line's end, without which it says the same and is sealed the same.
    """
    content = (folder / name).read_bytes()
    for size in sorted({*range(0, len(content), step), len(content) - 1}):
        (folder / name).write_bytes(content[:size])
        refusal(folder)
        yield size
    (folder / name).write_bytes(content)


def flip(folder: Path, count: int, seed: int) -> Iterator[tuple[str, int]]:
    """Flip `count` single bits of weights, list and manifest, drawn by `seed` in the proportion of their sizes, each
    refused; yield file and bit.
    """
    contents = {name: (folder / name).read_bytes() for name in FILES}
    drawn = random.Random(seed)
    names = drawn.choices(FILES, [len(contents[name]) for name in FILES], k=count)
    for name in names:
        bit = drawn.randrange(8 * len(contents[name]))
        altered = bytearray(contents[name])
        altered[bit // 8] ^= 1 << bit % 8
        (folder / name).write_bytes(altered)
        refusal(folder)
        (folder / name).write_bytes(contents[name])
        yield name, bit


class Canary:
    """An object whose pickle makes a folder when it is read."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        """Return what unpickling does."""
        return os.mkdir, (str(self.place),)


def foreign(folder: Path, canary: Path) -> Mapping[str, Callable[[], object]]:
    """Return ways to make the version in `folder` a foreign one; the version beside it is called 1."""
    other = folder.parent / "1"
    poison = pickle.dumps(Canary(canary))

    def take(name: str) -> None:
        shutil.copy(other / name, folder / name)

    def take_all() -> None:
        for path in other.iterdir():
            take(path.name)

    def without_weights(put: Callable[[Path], None] = lambda place: None) -> None:
        (folder / WEIGHTS).unlink()
        put(folder / WEIGHTS)

    def only(*kept: str) -> None:
        for path in folder.iterdir():
            if path.name not in kept:
                path.unlink()

    return {
        "weights of another version": lambda: take(WEIGHTS),
        "manifest of another version": lambda: take(MANIFEST),
        "all of another version": take_all,
        "a pickle for weights": lambda: (folder / WEIGHTS).write_bytes(poison),
        "a pickle for a list": lambda: (folder / NAMES).write_bytes(poison),
        "a pickle for a manifest": lambda: (folder / MANIFEST).write_bytes(poison),
        "a folder for weights": lambda: without_weights(Path.mkdir),
        "a link to nowhere": lambda: without_weights(lambda place: place.symlink_to("/nowhere/at/all")),
        "no weights": lambda: without_weights(),
        "no list": lambda: only(WEIGHTS, MANIFEST, "card.md"),
        "an empty manifest": lambda: (folder / MANIFEST).write_bytes(b""),
        "half a copy": lambda: only(MANIFEST, NAMES),
    }


def foreigners(root: Path, kernels: Kernels, scratch: Path) -> Iterator[str]:
    """Make version 2 of the store a foreign one in every way, and yield the way once it is refused by a fresh process,
    nothing of it was run, and version 1 serves in its place. Raises `AcceptedError`.
    """
    canary = scratch.parent / "canary"
    for way in foreign(Path("2"), canary):
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(root, scratch)
        folder = Store(scratch / "user").folder(Key(DATASET, ARCHITECTURE, 2))
        foreign(folder, canary)[way]()
        registry = opened(scratch, kernels)
        served = {version.reference for version in registry.versions()}
        reasons = list(registry.refused.values())
        if canary.exists() or f"{DATASET}/{ARCHITECTURE}@2" in served or "\n" in "".join(reasons) or len(reasons) != 1:
            raise AcceptedError(f"{way}: {served}, {reasons}, run: {canary.exists()}")
        if registry.resolve(DATASET, ARCHITECTURE).manifest.version != 1:
            raise AcceptedError(f"{way}: version 1 does not serve")
        yield way
