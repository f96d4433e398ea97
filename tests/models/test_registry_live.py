"""A registry that follows its stores: what it sees, what goes on serving, what an alias means where its version is
gone.
"""

import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models import CheckpointError, Draft, Kernels, ModelRegistry, OptionError, StoreError, UnknownReference
from models import registry as registry_module
from models.aliases import Aliases
from models.config import ModelConfig
from models.networks import build_model
from models.store import Key, Store

Change = Callable[[ModelRegistry, Draft], object]


def opened(registry: ModelRegistry) -> ModelRegistry:
    """A fresh registry over the same stores: another process."""
    fresh = ModelRegistry(registry.stores, registry.kernels)
    fresh.refresh()
    return fresh


def folder(registry: ModelRegistry, number: int) -> Path:
    """Where a version of the elves lies in the user's store."""
    return registry.stores[-1].folder(Key("elves", "wavenet", number))


def damage(registry: ModelRegistry, number: int) -> None:
    """Flip a bit of a version's weights."""
    path = folder(registry, number) / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def say(store: Store, **names: int) -> None:
    """Write aliases of the elves' wavenet as a hand would, whether there are such versions or not."""

    def change(aliases: Aliases) -> Aliases:
        mine = aliases.of("elves")
        for name, number in names.items():
            mine = mine.moved("wavenet", name, number)
        return aliases.with_dataset("elves", mine)

    store.change_aliases(change)


def bigram(draft: Draft, dev: float) -> Draft:
    """A version of another architecture over the same list, with a dev loss of its own."""
    network = build_model(
        ModelConfig(architecture="bigram", block_size=1), len(draft.vocabulary), torch.Generator().manual_seed(1)
    )
    return replace(draft, config=network.config, arrays=network.to_arrays(), metrics={"dev": dev})


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


def test_an_alias_means_what_it_meant_before(registry: ModelRegistry, elf_draft: Draft) -> None:
    """An alias that is moved to a refused or missing version goes on meaning the last good one, not the newest; a
    process that never saw that takes the newest of the architecture. Both say so.
    """
    for _ in range(3):
        registry.publish(elf_draft)
    live = opened(registry)
    registry.publish(elf_draft)
    damage(registry, 4)
    for number, why in ((4, "is refused"), (9, "no store has")):
        say(live.stores[-1], stable=number)
        live.refresh()
        told = f"elves/wavenet stable: elves/wavenet@{{}} serves instead of elves/wavenet@{number}, which {why}."
        assert live.resolve("elves", "wavenet@stable").reference == "elves/wavenet@1"
        assert live.stand_ins == [told.format(1)]
        fresh = opened(live)
        assert fresh.resolve("elves", "wavenet@stable").reference == "elves/wavenet@3"
        assert fresh.stand_ins == [told.format(3)]
        assert live.problems() == fresh.problems() == []
    say(live.stores[-1], stable=2)
    live.refresh()
    assert live.stand_ins == []
    assert live.resolve("elves", "wavenet@stable").reference == "elves/wavenet@2"


def test_latest_is_the_newest_that_is_served(registry: ModelRegistry, elf_draft: Draft) -> None:
    """`latest`, and an architecture alone, never mean a refused version, whatever the alias file says; a number does,
    and is an error.
    """
    registry.publish(elf_draft)
    registry.publish(elf_draft)
    damage(registry, 2)
    fresh = opened(registry)
    assert fresh.stores[-1].aliases().of("elves").versions["wavenet"]["latest"] == 2
    for model in ("wavenet", "wavenet@latest"):
        assert fresh.resolve("elves", model).reference == "elves/wavenet@1"
    assert fresh.aliases("elves").versions["wavenet"]["latest"] == 1
    with pytest.raises(CheckpointError):
        fresh.resolve("elves", "wavenet@2")


def test_a_default_is_stood_in_for_by_the_best_of_the_data_set(registry: ModelRegistry, elf_draft: Draft) -> None:
    """Where no version of the default's architecture is served, the lowest dev loss of the data set decides."""
    registry.publish(elf_draft)
    for dev in (2.7, 2.5, 2.6):
        registry.publish(bigram(elf_draft, dev))
    damage(registry, 1)
    fresh = opened(registry)
    assert fresh.resolve("elves").reference == "elves/bigram@2"
    assert fresh.problems() == []
    assert fresh.stand_ins[0] == ("elves default: elves/bigram@2 serves instead of elves/wavenet@1, which is refused.")
    with pytest.raises(CheckpointError):
        fresh.resolve("elves", "wavenet")


def test_nothing_left_is_not_ready(registry: ModelRegistry, elf_draft: Draft) -> None:
    """A data set of which every version is refused is a problem, and asking for it is an error."""
    registry.publish(elf_draft)
    damage(registry, 1)
    fresh = opened(registry)
    assert len(fresh.problems()) == 1
    assert fresh.stand_ins == []
    with pytest.raises(CheckpointError):
        fresh.resolve("elves")


def test_a_damaged_alias_file_leaves_what_there_was(registry: ModelRegistry, elf_draft: Draft) -> None:
    """The aliases that were read before a file was damaged count on, for new versions, too; a fresh start goes by the
    other store's. Both say what is wrong.
    """
    shipped = ModelRegistry(registry.stores[:1], registry.kernels)
    shipped.publish(elf_draft)
    registry.publish(elf_draft)
    registry.alias("elves", "default", "wavenet@2", "why")
    live, other = opened(registry), opened(registry)
    other.publish(elf_draft)
    (live.stores[-1].root / "aliases.json").write_text("{")
    live.refresh()
    assert live.resolve("elves").reference == "elves/wavenet@2"
    assert live.resolve("elves", "wavenet@latest").reference == "elves/wavenet@3"
    assert ["before count" in line for line in live.stand_ins] == [True]
    fresh = opened(live)
    assert fresh.resolve("elves").reference == "elves/wavenet@1"
    assert ["aliases.json is damaged" in line for line in fresh.stand_ins] == [True]
    assert fresh.problems() == []


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


def test_a_removed_version_is_gone_and_its_number_too(registry: ModelRegistry, elf_draft: Draft) -> None:
    """remove() takes the folder away and keeps the reason; others see it; who holds the version draws on; its files
    are unknown; the next publication gets the next number.
    """
    registry.publish(elf_draft)
    registry.publish(elf_draft)
    live = opened(registry)
    held = live.resolve("elves", "wavenet@2")
    names = held.generator.generate(5, seed=1).names
    assert registry.remove("elves/wavenet@2", "sounds worse") == "elves/wavenet@2"
    assert not folder(registry, 2).exists()
    assert not list(registry.stores[-1].root.glob("*/*/.tmp-*"))
    assert [(r.alias, r.target, r.reason) for r in registry.reasons()] == [
        ("elves/wavenet@2", "removed", "sounds worse")
    ]
    assert held.generator.generate(5, seed=1).names == names
    with pytest.raises(UnknownReference):
        held.file("card.md")
    live.refresh()
    with pytest.raises(UnknownReference):
        live.resolve("elves", "wavenet@2")
    assert live.resolve("elves", "wavenet").reference == "elves/wavenet@1"
    assert registry.publish(elf_draft).reference == "elves/wavenet@3"


def test_what_an_alias_points_to_is_not_removed(registry: ModelRegistry, elf_draft: Draft) -> None:
    """The version that `default` and `stable` point to stays, with one line that says which to move first; after that
    it goes. A refused one can be removed, too.
    """
    registry.publish(elf_draft)
    registry.publish(elf_draft)
    with pytest.raises(OptionError) as caught:
        registry.remove("elves/wavenet@1", "why")
    assert 'models alias elves/wavenet stable 2 --reason "..."' in str(caught.value)
    assert 'models alias elves default wavenet@2 --reason "..."' in str(caught.value)
    registry.alias("elves/wavenet", "stable", "2", "why")
    with pytest.raises(OptionError, match="elves default wavenet@2"):
        registry.remove("elves/wavenet@1", "why")
    registry.alias("elves", "default", "wavenet@2", "why")
    damage(registry, 1)
    fresh = opened(registry)
    fresh.remove("elves/wavenet@1", "why")
    assert fresh.refused == {}
    assert fresh.stand_ins == []


def test_the_last_version_takes_its_aliases_along(registry: ModelRegistry, elf_draft: Draft) -> None:
    """With the only version of a data set the data set goes, and nothing complains; the number is remembered."""
    registry.publish(elf_draft)
    registry.remove("elves/wavenet@1", "not needed")
    assert registry.datasets() == []
    assert registry.stand_ins == []
    published = registry.publish(elf_draft)
    assert registry.resolve("elves").reference == published.reference == "elves/wavenet@2"
    assert registry.resolve("elves", "wavenet@stable").reference == "elves/wavenet@2"


@pytest.mark.parametrize(
    ("reference", "reason", "words"),
    [
        ("elves/wavenet@1", "why", "not in your own store"),
        ("elves/wavenet@2", " ", "reason"),
        ("elves/wavenet@latest", "why", "write elves/wavenet@2"),
        ("elves/wavenet@9", "why", "wavenet@2"),
        ("elves/../../x@1", "why", "no model"),
    ],
)
def test_removals_that_are_refused(
    registry: ModelRegistry, elf_draft: Draft, reference: str, reason: str, words: str
) -> None:
    """A version that ships, an alias, an unknown one and a removal without a reason are refused; nothing is
    gone.
    """
    ModelRegistry(registry.stores[:1], registry.kernels).publish(elf_draft)
    registry.refresh()
    registry.publish(elf_draft)
    with pytest.raises((OptionError, UnknownReference), match=words):
        registry.remove(reference, reason)
    assert [version.reference for version in opened(registry).versions()] == ["elves/wavenet@1", "elves/wavenet@2"]


def test_the_shipped_store_is_safe_under_another_name(tmp_path: Path, kernels: Kernels, elf_draft: Draft) -> None:
    """Where the user's store is the shipped one by a link, nothing can be removed."""
    shipped = ModelRegistry([Store(tmp_path / "shipped")], kernels)
    shipped.publish(elf_draft)
    (tmp_path / "link").symlink_to(tmp_path / "shipped")
    registry = ModelRegistry.open(kernels, user=tmp_path / "link", shipped=tmp_path / "shipped")
    with pytest.raises(OptionError, match="what ships is released"):
        registry.remove("elves/wavenet@1", "why")
    assert opened(shipped).resolve("elves").reference == "elves/wavenet@1"
