"""Damaged versions: truncated, with flipped bits, swapped, foreign. Each must be refused before it is used."""

import os
import pickle
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from models import CheckpointError, Kernels
from models.store.checkpoint import MANIFEST, NAMES, WEIGHTS, load_checkpoint
from tests.harness.stores import ARCHITECTURE, DATASET, MODEL, open_registry, version_folder

FILES = (WEIGHTS, NAMES, MANIFEST)


def assert_refused(folder: Path) -> None:
    """Check that the version in `folder` is refused with one line."""
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder)
    assert "\n" not in str(caught.value)


def truncate(folder: Path, name: str) -> Iterator[int]:
    """Cut the file to every shorter length, each refused; yield the lengths, then restore it."""
    content = (folder / name).read_bytes()
    for size in range(len(content)):
        (folder / name).write_bytes(content[:size])
        assert_refused(folder)
        yield size
    (folder / name).write_bytes(content)


def flip_bits(folder: Path, count: int, seed: int) -> Iterator[tuple[str, int]]:
    """Flip `count` random single bits, in proportion to the files' sizes, each refused; yield file and bit."""
    contents = {name: (folder / name).read_bytes() for name in FILES}
    random_numbers = random.Random(seed)
    for name in random_numbers.choices(FILES, [len(contents[name]) for name in FILES], k=count):
        bit = random_numbers.randrange(8 * len(contents[name]))
        altered = bytearray(contents[name])
        altered[bit // 8] ^= 1 << bit % 8
        (folder / name).write_bytes(altered)
        assert_refused(folder)
        (folder / name).write_bytes(contents[name])
        yield name, bit


class MaliciousPickle:
    """An object that creates the folder `trace` when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.trace),)


def foreign_versions(folder: Path, trace: Path) -> Mapping[str, Callable[[], object]]:
    """Return ways to replace the version in `folder`, next to version 1, by a foreign one."""
    other = folder.parent / "1"
    poison = pickle.dumps(MaliciousPickle(trace))

    def take(*names: str) -> None:
        for name in names:
            shutil.copy(other / name, folder / name)

    def replace_weights(put: Callable[[Path], None] = lambda path: None) -> None:
        (folder / WEIGHTS).unlink()
        put(folder / WEIGHTS)

    def keep(*names: str) -> None:
        for path in folder.iterdir():
            if path.name not in names:
                path.unlink()

    return {
        "weights of another version": lambda: take(WEIGHTS),
        "manifest of another version": lambda: take(MANIFEST),
        "all of another version": lambda: take(*(path.name for path in other.iterdir())),
        "a pickle for weights": lambda: (folder / WEIGHTS).write_bytes(poison),
        "a pickle for a list": lambda: (folder / NAMES).write_bytes(poison),
        "a pickle for a manifest": lambda: (folder / MANIFEST).write_bytes(poison),
        "a folder for weights": lambda: replace_weights(Path.mkdir),
        "a broken link": lambda: replace_weights(lambda path: path.symlink_to("/nowhere/at/all")),
        "no weights": replace_weights,
        "no list": lambda: keep(WEIGHTS, MANIFEST, "card.md"),
        "an empty manifest": lambda: (folder / MANIFEST).write_bytes(b""),
        "half a copy": lambda: keep(MANIFEST, NAMES),
    }


def refuse_foreign_versions(root: Path, kernels: Kernels, scratch: Path) -> Iterator[str]:
    """Replace version 2 in every way, and yield the way: it is refused, nothing of it runs, and version 1 serves."""
    trace = scratch.parent / "trace"
    folder = version_folder(scratch, 2)
    for way, replace in foreign_versions(folder, trace).items():
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(root, scratch)
        replace()
        registry = open_registry(scratch, kernels)
        [reason] = registry.refused.values()
        assert "\n" not in reason, way
        assert not trace.exists(), way
        assert f"{MODEL}@2" not in {version.reference for version in registry.versions()}, way
        assert registry.resolve(DATASET, ARCHITECTURE).manifest.version == 1, way
        yield way
