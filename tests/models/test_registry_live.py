"""A registry that follows its stores: changes, aliases, removals, and the versions that stay served."""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from models import CheckpointError, Draft, Kernels, ModelRegistry, OptionError, StoreError, UnknownReference
from models.store.checkpoint import load_checkpoint
from models.store.files import Store
from tests.conftest import CONFIGS, untrained
from tests.models.store_edits import damage, reopened, version_folder, write_aliases

CHANGES: dict[str, Callable[[ModelRegistry, Draft], object]] = {
    "a publication": lambda registry, draft: registry.publish(draft),
    "the first of a data set": lambda registry, draft: registry.publish(replace(draft, dataset="fays")),
    "an alias moved": lambda registry, draft: registry.alias("elves/wavenet", "stable", "2", "why"),
    "aliases of the same size": lambda registry, draft: write_aliases(registry.stores[-1], stable=9),
    "a removal": lambda registry, draft: registry.remove("elves/wavenet@2", "why"),
    "a version deleted by hand": lambda registry, draft: shutil.rmtree(version_folder(registry, 2)),
    "a version replaced by hand": lambda registry, draft: shutil.copytree(
        shutil.move(version_folder(registry, 2), version_folder(registry, 2).parent / "old"),
        version_folder(registry, 2),
    ),
    "no aliases any more": lambda registry, draft: (registry.stores[-1].root / "aliases.json").unlink(),
}


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The numbers of the versions that registries load during the test."""
    numbers: list[str] = []

    def recorded(place: Path, **options: object) -> object:
        numbers.append(place.name)
        return load_checkpoint(place, **options)

    monkeypatch.setattr("models.store.registry.load_checkpoint", recorded)
    return numbers


@pytest.mark.parametrize("change", CHANGES)
def test_changes_by_another_process_are_detected(twice_published: ModelRegistry, elf_draft: Draft, change: str) -> None:
    other = reopened(twice_published)
    assert not twice_published.changed()
    CHANGES[change](other, elf_draft)
    assert twice_published.changed()
    twice_published.refresh()
    assert not twice_published.changed()


def test_alias_change_with_equal_file_stamp_is_detected(published: ModelRegistry) -> None:
    path = published.stores[-1].root / "aliases.json"
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b'"stable": 1', b'"stable": 7'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)
    assert published.changed()


def test_refused_version_is_reloaded_only_after_it_changes(twice_published: ModelRegistry, loaded: list[str]) -> None:
    damage(twice_published, 2)
    live = reopened(twice_published)
    loaded.clear()
    write_aliases(live.stores[-1], stable=1)
    live.refresh()
    assert loaded == []
    assert list(live.refused) == ["elves/wavenet@2"]
    assert not live.changed()
    damage(live, 2)
    assert live.changed()
    live.refresh()
    assert loaded == ["2"]
    assert live.refused == {}
    assert live.resolve("elves", "wavenet").reference == "elves/wavenet@2"


def test_version_is_retried_after_a_transient_error(published: ModelRegistry) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise CheckpointError("cannot be read") from OSError(24, "Too many open files")

    with pytest.MonkeyPatch.context() as broken:
        broken.setattr("models.store.registry.load_checkpoint", exhausted)
        live = reopened(published)
        assert list(live.refused) == ["elves/wavenet@1"]
    assert live.changed()
    live.refresh()
    assert live.refused == {}
    assert not live.changed()


def test_unexpected_load_error_refuses_one_version_only(
    twice_published: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(place: Path, **options: object) -> object:
        if place.name == "1":
            raise ZeroDivisionError("never seen before")
        return load_checkpoint(place, **options)

    monkeypatch.setattr("models.store.registry.load_checkpoint", breaks)
    live = reopened(twice_published)
    assert "never seen before" in live.refused["elves/wavenet@1"]
    assert [version.reference for version in live.versions()] == ["elves/wavenet@2"]


def test_concurrent_refreshes_load_a_new_version_once(
    published: ModelRegistry, elf_draft: Draft, loaded: list[str]
) -> None:
    live = reopened(published)
    before = live.resolve("elves", "wavenet@1")
    published.publish(elf_draft)
    loaded.clear()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: live.refresh(), range(8)))
    assert loaded == ["2"]
    assert live.resolve("elves", "wavenet@1") is before


def test_loaded_version_serves_after_its_files_are_altered(published: ModelRegistry) -> None:
    """It serves from memory, the damage is reported, and its files are refused until they are whole again."""
    live = reopened(published)
    before = live.resolve("elves")
    copy = version_folder(live, 1).parent / "copy"
    shutil.copytree(version_folder(live, 1), copy)
    shutil.rmtree(version_folder(live, 1))
    copy.rename(version_folder(live, 1))
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


def test_unreadable_store_is_not_treated_as_empty(
    published: ModelRegistry, elf_draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = reopened(published)
    monkeypatch.setattr(os, "scandir", Mock(side_effect=OSError(5, "Input/output error")))
    assert live.changed()
    live.refresh()
    assert live.resolve("elves").reference == "elves/wavenet@1"
    assert any("Input/output error" in line for line in live.fallbacks)
    with pytest.raises(StoreError):
        live.publish(elf_draft)
    monkeypatch.undo()
    live.refresh()
    assert live.fallbacks == []


def test_alias_of_an_unserved_version_keeps_its_last_meaning(twice_published: ModelRegistry, elf_draft: Draft) -> None:
    """A process without a last meaning takes the newest version of the architecture; both report it."""
    twice_published.publish(elf_draft)
    live = reopened(twice_published)
    twice_published.publish(elf_draft)
    damage(twice_published, 4)
    for number, why in ((4, "is refused"), (9, "no store has")):
        write_aliases(live.stores[-1], stable=number)
        live.refresh()
        line = f"elves/wavenet stable: elves/wavenet@{{}} serves instead of elves/wavenet@{number}, which {why}."
        assert live.resolve("elves", "wavenet@stable").reference == "elves/wavenet@1"
        assert live.fallbacks == [line.format(1)]
        fresh = reopened(live)
        assert fresh.resolve("elves", "wavenet@stable").reference == "elves/wavenet@3"
        assert fresh.fallbacks == [line.format(3)]
        assert live.problems() == fresh.problems() == []
    write_aliases(live.stores[-1], stable=2)
    live.refresh()
    assert live.fallbacks == []
    assert live.resolve("elves", "wavenet@stable").reference == "elves/wavenet@2"


def test_latest_is_the_newest_served_version(twice_published: ModelRegistry) -> None:
    damage(twice_published, 2)
    fresh = reopened(twice_published)
    assert fresh.stores[-1].aliases().of("elves").versions["wavenet"]["latest"] == 2
    for model in ("wavenet", "wavenet@latest"):
        assert fresh.resolve("elves", model).reference == "elves/wavenet@1"
    assert fresh.aliases("elves").versions["wavenet"]["latest"] == 1
    with pytest.raises(CheckpointError):
        fresh.resolve("elves", "wavenet@2")


def test_default_falls_back_to_the_lowest_dev_loss(published: ModelRegistry, elf_draft: Draft) -> None:
    network = untrained(CONFIGS["bigram"], len(elf_draft.vocabulary))
    for dev in (2.7, 2.5, 2.6):
        published.publish(replace(elf_draft, config=network.config, arrays=network.to_arrays(), metrics={"dev": dev}))
    damage(published, 1)
    fresh = reopened(published)
    assert fresh.resolve("elves").reference == "elves/bigram@2"
    assert fresh.problems() == []
    assert fresh.fallbacks[0] == "elves default: elves/bigram@2 serves instead of elves/wavenet@1, which is refused."
    with pytest.raises(CheckpointError):
        fresh.resolve("elves", "wavenet")


def test_data_set_with_every_version_refused_is_not_ready(published: ModelRegistry) -> None:
    damage(published, 1)
    fresh = reopened(published)
    assert len(fresh.problems()) == 1
    assert fresh.fallbacks == []
    with pytest.raises(CheckpointError):
        fresh.resolve("elves")


def test_damaged_alias_file_keeps_the_aliases_read_before(registry: ModelRegistry, elf_draft: Draft) -> None:
    """A fresh registry goes by the other store's file; both report the damage."""
    ModelRegistry(registry.stores[:1], registry.kernels).publish(elf_draft)
    registry.publish(elf_draft)
    registry.alias("elves", "default", "wavenet@2", "why")
    live = reopened(registry)
    reopened(registry).publish(elf_draft)
    (live.stores[-1].root / "aliases.json").write_text("{")
    live.refresh()
    assert live.resolve("elves").reference == "elves/wavenet@2"
    assert live.resolve("elves", "wavenet@latest").reference == "elves/wavenet@3"
    assert ["last readable aliases apply" in line for line in live.fallbacks] == [True]
    fresh = reopened(live)
    assert fresh.resolve("elves").reference == "elves/wavenet@1"
    assert ["aliases.json is damaged" in line for line in fresh.fallbacks] == [True]
    assert fresh.problems() == []


def test_removed_version_and_its_number_are_gone(twice_published: ModelRegistry, elf_draft: Draft) -> None:
    """A version that is held draws on, but its files are unknown."""
    live = reopened(twice_published)
    held = live.resolve("elves", "wavenet@2")
    names = held.generator.generate(5, seed=1).names
    assert twice_published.remove("elves/wavenet@2", "sounds worse") == "elves/wavenet@2"
    assert not version_folder(twice_published, 2).exists()
    assert not list(twice_published.stores[-1].root.glob("*/*/.tmp-*"))
    [reason] = twice_published.reasons()
    assert (reason.alias, reason.target, reason.reason) == ("elves/wavenet@2", "removed", "sounds worse")
    assert held.generator.generate(5, seed=1).names == names
    with pytest.raises(UnknownReference):
        held.file("card.md")
    live.refresh()
    with pytest.raises(UnknownReference):
        live.resolve("elves", "wavenet@2")
    assert live.resolve("elves", "wavenet").reference == "elves/wavenet@1"
    assert twice_published.publish(elf_draft).reference == "elves/wavenet@3"


def test_aliased_version_is_removed_only_after_its_aliases_move(twice_published: ModelRegistry) -> None:
    with pytest.raises(OptionError) as caught:
        twice_published.remove("elves/wavenet@1", "why")
    assert 'models alias elves/wavenet stable 2 --reason "..."' in str(caught.value)
    assert 'models alias elves default wavenet@2 --reason "..."' in str(caught.value)
    twice_published.alias("elves/wavenet", "stable", "2", "why")
    with pytest.raises(OptionError, match="elves default wavenet@2"):
        twice_published.remove("elves/wavenet@1", "why")
    twice_published.alias("elves", "default", "wavenet@2", "why")
    damage(twice_published, 1)
    fresh = reopened(twice_published)
    fresh.remove("elves/wavenet@1", "why")
    assert fresh.refused == {}
    assert fresh.fallbacks == []


def test_removing_the_last_version_removes_its_aliases(published: ModelRegistry, elf_draft: Draft) -> None:
    published.remove("elves/wavenet@1", "not needed")
    assert published.datasets() == []
    assert published.fallbacks == []
    assert published.publish(elf_draft).reference == published.resolve("elves").reference == "elves/wavenet@2"
    assert published.resolve("elves", "wavenet@stable").reference == "elves/wavenet@2"


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
def test_invalid_removals_are_refused(
    registry: ModelRegistry, elf_draft: Draft, reference: str, reason: str, words: str
) -> None:
    ModelRegistry(registry.stores[:1], registry.kernels).publish(elf_draft)
    registry.refresh()
    registry.publish(elf_draft)
    with pytest.raises((OptionError, UnknownReference), match=words):
        registry.remove(reference, reason)
    assert [version.reference for version in reopened(registry).versions()] == ["elves/wavenet@1", "elves/wavenet@2"]


def test_shipped_store_is_read_only_through_a_link(tmp_path: Path, kernels: Kernels, elf_draft: Draft) -> None:
    shipped = ModelRegistry([Store(tmp_path / "shipped")], kernels)
    shipped.publish(elf_draft)
    (tmp_path / "link").symlink_to(tmp_path / "shipped")
    registry = ModelRegistry.open(kernels, user=tmp_path / "link", shipped=tmp_path / "shipped")
    with pytest.raises(OptionError, match="what ships is released"):
        registry.remove("elves/wavenet@1", "why")
    assert reopened(shipped).resolve("elves").reference == "elves/wavenet@1"
