"""A registry that follows its stores: what it sees, and what goes on serving."""

import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from models import CheckpointError, Draft, ModelRegistry, StoreError
from models import registry as registry_module
from models.store import Key
from tests.models.altering import damage, folder, opened, say

Change = Callable[[ModelRegistry, Draft], object]
CHANGES: dict[str, Change] = {
    "a publication": lambda registry, draft: registry.publish(draft),
    "the first of a data set": lambda registry, draft: registry.publish(replace(draft, dataset="fays")),
    "an alias moved": lambda registry, draft: registry.alias("elves/wavenet", "stable", "2", "why"),
    "aliases of the same size": lambda registry, draft: say(registry.stores[-1], stable=9),
    "a removal": lambda registry, draft: registry.remove("elves/wavenet@2", "why"),
    "a version deleted by hand": lambda registry, draft: shutil.rmtree(folder(registry, 2)),
    "a version replaced by hand": lambda registry, draft: shutil.copytree(
        shutil.move(folder(registry, 2), folder(registry, 2).parent / "old"), folder(registry, 2)
    ),
    "no aliases any more": lambda registry, draft: (registry.stores[-1].root / "aliases.json").unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_seen(registry: ModelRegistry, elf_draft: Draft, change: str) -> None:
    """changed() is true after whatever happened to a store in another process, and false once it was read."""
    registry.publish(elf_draft)
    registry.publish(elf_draft)
    other = opened(registry)
    assert not registry.changed()
    CHANGES[change](other, elf_draft)
    assert registry.changed()
    registry.refresh()
    assert not registry.changed()


def test_a_change_within_one_tick_is_seen(registry: ModelRegistry, elf_draft: Draft) -> None:
    """An alias file of the same size, time and inode is told from the one before by what is in it."""
    registry.publish(elf_draft)
    path = registry.stores[-1].root / "aliases.json"
    before, content = path.stat(), path.read_bytes()
    path.write_bytes(content.replace(b'"stable": 1', b'"stable": 7'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)
    assert registry.changed()


def test_a_refused_version_is_read_again_when_it_changes_and_not_before(
    registry: ModelRegistry, elf_draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions that are served or refused are not read again; one that was mended is served then."""
    registry.publish(elf_draft)
    registry.publish(elf_draft)
    damage(registry, 2)
    live = opened(registry)
    loaded, load = [], registry_module._load
    monkeypatch.setattr(registry_module, "_load", lambda key, *rest: loaded.append(key) or load(key, *rest))
    say(live.stores[-1], stable=1)
    live.refresh()
    assert loaded == []
    assert list(live.refused) == ["elves/wavenet@2"]
    assert not live.changed()
    damage(live, 2)
    assert live.changed()
    live.refresh()
    assert [key.version for key in loaded] == [2]
    assert live.refused == {}
    assert live.resolve("elves", "wavenet").reference == "elves/wavenet@2"


def test_a_version_that_could_not_be_opened_is_tried_again(
    registry: ModelRegistry, elf_draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where too many files were open, a version is refused for now: the next look tries again."""
    registry.publish(elf_draft)
    load = registry_module._load

    def exhausted(*arguments: object) -> None:
        raise CheckpointError("cannot be read") from OSError(24, "Too many open files")

    monkeypatch.setattr(registry_module, "_load", exhausted)
    live = opened(registry)
    assert list(live.refused) == ["elves/wavenet@1"]
    monkeypatch.setattr(registry_module, "_load", load)
    assert live.changed()
    live.refresh()
    assert live.refused == {}
    assert not live.changed()


def test_an_unforeseen_error_refuses_one_version_only(
    registry: ModelRegistry, elf_draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that breaks the loader in a new way is refused like any other; the next one is served."""
    registry.publish(elf_draft)
    registry.publish(elf_draft)
    load = registry_module._load

    def breaks(key: Key, *rest: object) -> object:
        if key.version == 1:
            raise ZeroDivisionError("never seen before")
        return load(key, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(registry_module, "_load", breaks)
    live = opened(registry)
    assert "never seen before" in live.refused["elves/wavenet@1"]
    assert [version.reference for version in live.versions()] == ["elves/wavenet@2"]


def test_threads_may_refresh_at_once(
    registry: ModelRegistry, elf_draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of eight threads that refresh at once, one loads what is new; nobody sees less than was there before."""
    registry.publish(elf_draft)
    live = opened(registry)
    loaded, load = [], registry_module._load
    monkeypatch.setattr(registry_module, "_load", lambda key, *rest: loaded.append(key) or load(key, *rest))
    opened_before = live.resolve("elves", "wavenet@1")
    other = ModelRegistry(registry.stores, registry.kernels)
    other.publish(elf_draft)
    loaded.clear()
    threads = [threading.Thread(target=live.refresh) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [key.version for key in loaded] == [2]
    assert live.resolve("elves", "wavenet@1") is opened_before


def test_what_was_loaded_serves_although_its_files_were_altered(registry: ModelRegistry, elf_draft: Draft) -> None:
    """A served version whose folder is replaced by a damaged one goes on serving from memory, and the reason is told;
    its files are not given out.
    """
    registry.publish(elf_draft)
    live = opened(registry)
    before = live.resolve("elves")
    shutil.copytree(folder(live, 1), folder(live, 1).parent / "copy")
    shutil.rmtree(folder(live, 1))
    (folder(live, 1).parent / "copy").rename(folder(live, 1))
    damage(live, 1)
    assert live.changed()
    live.refresh()
    assert live.resolve("elves") is before
    assert "model.safetensors differs" in live.refused["elves/wavenet@1"]
    with pytest.raises(CheckpointError):
        before.file("model.safetensors")
    assert not live.changed()
    damage(live, 1)
    live.refresh()
    assert live.refused == {}


def test_a_store_that_cannot_be_read_is_not_an_empty_one(
    registry: ModelRegistry, elf_draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a store's folder fails to be listed, its versions stay served, and none gets a number that was given."""
    registry.publish(elf_draft)
    live = opened(registry)

    def fails(path: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "scandir", fails)
    assert live.changed()
    live.refresh()
    assert live.resolve("elves").reference == "elves/wavenet@1"
    assert any("Input/output error" in line for line in live.stand_ins)
    with pytest.raises(StoreError):
        live.publish(elf_draft)
    monkeypatch.undo()
    live.refresh()
    assert live.stand_ins == []
