"""Two stores read together: publishing, numbers, aliases, references, and what is refused."""

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from models import (
    CheckpointError,
    Draft,
    Kernels,
    ModelRegistry,
    OptionError,
    StoreError,
    UnknownReference,
)
from models.checkpoint import load_checkpoint
from models.config import ModelConfig
from models.inference import AS_DRAWN
from models.manifest import DataRecord, Manifest
from models.store import Key, Store


def test_a_published_version_comes_back_bit_for_bit(registry: ModelRegistry, elf_draft: Draft) -> None:
    """Publishing and loading round-trips arrays, names and facts, and the golden names are drawn again."""
    manifest = registry.publish(elf_draft)
    version = registry.resolve("elves")
    checkpoint = load_checkpoint(version.folder)
    assert checkpoint.manifest == manifest
    assert checkpoint.names == elf_draft.names
    assert all((checkpoint.arrays[name] == array).all() for name, array in elf_draft.arrays.items())
    assert version.file("card.md") == elf_draft.files["card.md"]
    assert list(manifest.golden) == version.generator.generate(20, seed=0, constraints=AS_DRAWN).names


def test_numbers_and_aliases_go_on_over_both_stores(
    registry: ModelRegistry, elf_draft: Draft, kernels: Kernels
) -> None:
    """A number is the next over both stores; latest moves; default and stable stay where the first publication set
    them.
    """
    shipped = ModelRegistry(registry.stores[:1], kernels)
    shipped.publish(elf_draft)
    registry.refresh()
    assert registry.publish(elf_draft).reference == "elves/wavenet@2"
    user_file = json.loads((registry.stores[1].root / "aliases.json").read_text())
    assert user_file == {"elves": {"wavenet": {"latest": 2}}, "reasons": []}
    assert registry.aliases("elves").as_json() == {"default": "wavenet@1", "wavenet": {"latest": 2, "stable": 1}}
    assert registry.resolve("elves").reference == "elves/wavenet@1"
    assert registry.resolve("elves", "wavenet").reference == "elves/wavenet@2"


@pytest.mark.parametrize(
    ("dataset", "model"),
    [
        ("elves", None),
        ("elves", "wavenet"),
        ("elves", "wavenet@1"),
        ("elves", "wavenet@latest"),
        ("elves", "wavenet@stable"),
        ("elves", "elves/wavenet@1"),
        (None, "elves/wavenet@1"),
        (None, "elves/wavenet"),
    ],
)
def test_every_form_of_a_reference_is_understood(
    registry: ModelRegistry, elf_draft: Draft, dataset: str | None, model: str | None
) -> None:
    """All forms of DESIGN's `model` field find the one version that is there."""
    registry.publish(elf_draft)
    assert registry.resolve(dataset, model).reference == "elves/wavenet@1"


@pytest.mark.parametrize(
    ("dataset", "model", "field", "nearest"),
    [
        ("elfs", None, "dataset", "elves"),
        (None, None, "dataset", "elves"),
        ("elves", "wavnet", "model", "wavenet"),
        ("elves", "wavenet@9", "model", "wavenet@1"),
        ("elves", "wavenet@stabel", "model", "wavenet@stable"),
        ("elves", "wavenet@../../x", "model", "wavenet@1"),
        ("../elves", None, "dataset", "elves"),
        ("elves", "@1", "model", "wavenet"),
    ],
)
def test_unknown_references_name_the_nearest(
    registry: ModelRegistry, elf_draft: Draft, dataset: str | None, model: str | None, field: str, nearest: str
) -> None:
    """A reference that no store has raises an error with the field and the nearest valid names."""
    registry.publish(elf_draft)
    with pytest.raises(UnknownReference) as caught:
        registry.resolve(dataset, model)
    assert caught.value.field == field
    assert nearest in caught.value.nearest


def test_two_data_sets_in_one_request_are_refused(registry: ModelRegistry, elf_draft: Draft) -> None:
    """A data set and a model of another data set contradict each other."""
    registry.publish(elf_draft)
    with pytest.raises(OptionError):
        registry.resolve("human", "elves/wavenet@1")


def test_aliases_move_with_a_reason(registry: ModelRegistry, elf_draft: Draft, kernels: Kernels) -> None:
    """default and stable move to versions that are served; the reason is kept; a fresh registry sees it."""
    registry.publish(elf_draft)
    registry.publish(elf_draft)
    registry.alias("elves/wavenet", "stable", "2", "sounds better")
    registry.alias("elves", "default", "wavenet@2", "sounds better")
    fresh = ModelRegistry(registry.stores, kernels)
    fresh.refresh()
    assert fresh.resolve("elves").reference == fresh.resolve("elves", "wavenet@stable").reference == "elves/wavenet@2"
    reasons = registry.stores[-1].aliases().reasons
    assert [(r.alias, r.target, r.reason) for r in reasons] == [
        ("elves/wavenet stable", "wavenet@2", "sounds better"),
        ("elves default", "wavenet@2", "sounds better"),
    ]
    for place, alias, target, reason in [
        ("elves", "default", "wavenet@2", " "),
        ("elves", "stable", "wavenet@2", "why"),
        ("elves/wavenet", "latest", "1", "why"),
    ]:
        with pytest.raises(OptionError):
            registry.alias(place, alias, target, reason)
    with pytest.raises(UnknownReference):
        registry.alias("elves", "default", "wavenet@7", "why")


def rewrite(folder: Path, **changes: object) -> None:
    """Change a version's manifest and seal it again, as someone would who knows how."""
    path = folder / "manifest.json"
    manifest = Manifest.model_validate_json(path.read_bytes()).model_copy(update=changes)
    path.write_bytes(manifest.sealed().as_file())


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "a flipped bit in the weights": lambda folder: _flip(folder / "model.safetensors"),
    "a cut list": lambda folder: (folder / "names.txt").write_text("ka\n"),
    "a missing card": lambda folder: (folder / "card.md").unlink(),
    "a manifest that is no JSON": lambda folder: (folder / "manifest.json").write_text("{"),
    "a pickle": lambda folder: (folder / "model.safetensors").write_bytes(b"\x80\x04K\x01."),
    "another version's manifest": lambda folder: shutil.copy(
        folder.parent / "2" / "manifest.json", folder / "manifest.json"
    ),
    "an altered manifest": lambda folder: (folder / "manifest.json").write_text(
        (folder / "manifest.json").read_text().replace("2.1", "1.1")
    ),
    "other golden names": lambda folder: rewrite(folder, golden=("xyz",)),
    "another sampling number": lambda folder: rewrite(folder, sampling=99),
    "another list than is described": lambda folder: rewrite(
        folder, data=DataRecord(title="Elves", sha256="0" * 64, names=7, longest=9, split_seed=42)
    ),
    "another alphabet": lambda folder: rewrite(folder, vocabulary=tuple("adehiklmnorstuz")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_version_is_refused_and_the_others_serve(
    registry: ModelRegistry, elf_draft: Draft, kernels: Kernels, damage: str
) -> None:
    """Whatever is wrong with a version, it is listed with one line, and the other version goes on, for it, too, where
    an alias points to it. A number never means another version.
    """
    registry.publish(elf_draft)
    registry.publish(elf_draft)
    DAMAGE[damage](registry.stores[-1].folder(Key("elves", "wavenet", 1)))
    fresh = ModelRegistry(registry.stores, kernels)
    fresh.refresh()
    assert list(fresh.refused) == ["elves/wavenet@1"]
    assert "\n" not in fresh.refused["elves/wavenet@1"]
    assert fresh.resolve("elves", "wavenet@2").reference == "elves/wavenet@2"
    assert fresh.problems() == []
    assert fresh.resolve("elves").reference == "elves/wavenet@2"
    assert fresh.stand_ins == [
        f"{alias}: elves/wavenet@2 serves instead of elves/wavenet@1, which is refused."
        for alias in ("elves default", "elves/wavenet stable")
    ]
    with pytest.raises(CheckpointError):
        fresh.resolve("elves", "wavenet@1")


def test_a_damaged_alias_file_is_told_and_stays(registry: ModelRegistry, elf_draft: Draft) -> None:
    """A broken alias file is reported, never taken for empty and overwritten; what was served before stays."""
    registry.publish(elf_draft)
    path = registry.stores[-1].root / "aliases.json"
    for broken in ("{", '{"elves": 3}', '{"elves": {"default": 1}}', '{"BAD NAME": {}}', "[]"):
        path.write_text(broken)
        registry.refresh()
        assert [line for line in registry.stand_ins if "aliases.json is damaged" in line] == registry.stand_ins != []
        assert "cannot be read" in registry.stand_ins[0]
        assert "before count" in registry.stand_ins[0]
        assert "validation error" not in registry.stand_ins[0]
        with pytest.raises(StoreError):
            registry.publish(elf_draft)
        assert [version.reference for version in registry.versions()] == ["elves/wavenet@1"]
        assert path.read_text() == broken
    assert registry.resolve("elves").reference == "elves/wavenet@1"


def test_publishers_take_turns(registry: ModelRegistry, elf_draft: Draft, kernels: Kernels) -> None:
    """Publishers in several threads get numbers of their own, and every version is whole."""
    threads = [threading.Thread(target=registry.publish, args=(elf_draft,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fresh = ModelRegistry(registry.stores, kernels)
    fresh.refresh()
    assert [v.manifest.version for v in fresh.versions("elves")] == list(range(1, 9))
    assert fresh.aliases("elves").versions["wavenet"]["latest"] == 8


def test_a_store_that_is_not_there_is_empty(tmp_path: Path, kernels: Kernels) -> None:
    """A folder that does not exist is an empty store, and an empty registry says that it is not ready."""
    registry = ModelRegistry([Store(tmp_path / "none")], kernels)
    registry.refresh()
    assert registry.datasets() == []
    assert registry.problems() == ["No store holds a model."]
    with pytest.raises(UnknownReference, match="'human': there is none at all") as caught:
        registry.resolve("human")
    assert caught.value.allowed == "nothing, for there is none"


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path, kernels: Kernels, elf_draft: Draft) -> None:
    """Publishing where a file stands in the way raises one clear line."""
    (tmp_path / "store").write_text("")
    registry = ModelRegistry([Store(tmp_path / "store")], kernels)
    with pytest.raises(StoreError, match="cannot be written"):
        registry.publish(elf_draft)


def test_reserved_and_misfitting_drafts_are_refused(registry: ModelRegistry, elf_draft: Draft) -> None:
    """A data set called like the alias file's own word, and weights of another shape, never get a version."""
    with pytest.raises(StoreError):
        registry.publish(replace(elf_draft, dataset="reasons"))
    with pytest.raises(CheckpointError):
        registry.publish(replace(elf_draft, config=ModelConfig(architecture="wavenet", block_size=4, n_hidden=20)))
    assert registry.datasets() == []


def test_a_version_of_an_earlier_sampling_is_published_again(registry: ModelRegistry, elf_draft: Draft) -> None:
    """republish() gives the weights of a refused version a new number, with all files; the aliases that meant the old
    one mean the new one, and say why. What is served need not be published again.
    """
    registry.publish(elf_draft)
    rewrite(registry.stores[-1].root / "elves/wavenet/1", sampling=1)
    again = ModelRegistry(registry.stores, registry.kernels)
    again.refresh()
    assert "python -m app models republish elves/wavenet@1" in again.refused["elves/wavenet@1"]
    published = again.republish("elves/wavenet@1")
    assert published.reference == again.resolve("elves").reference == "elves/wavenet@2"
    assert again.resolve("elves", "wavenet@stable").reference == "elves/wavenet@2"
    assert again.resolve("elves").file("card.md") == elf_draft.files["card.md"]
    assert {reason.alias for reason in again.reasons()} == {"elves default", "elves/wavenet stable"}
    with pytest.raises(OptionError, match="served as it is"):
        again.republish("elves/wavenet@2")


def test_a_data_set_that_went_is_missed(registry: ModelRegistry, elf_draft: Draft) -> None:
    """Where a store's folder of a data set is gone but its aliases name one, the service is not ready; where the last
    version was removed as it should be, nothing is missed.
    """
    registry.publish(elf_draft)
    registry.publish(replace(elf_draft, dataset="orcs"))
    registry.remove("orcs/wavenet@1", "nobody wants orcs")
    assert registry.problems() == []
    shutil.rmtree(registry.stores[-1].root / "elves")
    registry.refresh()
    [problem] = [line for line in registry.problems() if "elves" in line]
    assert problem == "elves is gone: its default is wavenet@1, but no store has a version of it."
