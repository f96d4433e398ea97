"""The registry over two stores: publishing, numbers, aliases, references, and refused versions."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from models import CheckpointError, Draft, Kernels, ModelRegistry, OptionError, StoreError, UnknownReference
from models.config import ModelConfig
from models.inference import AS_DRAWN
from models.manifest import DataRecord, Manifest
from models.store.checkpoint import load_checkpoint
from models.store.files import Store
from tests.models.store_edits import flip_bit, reopened, version_folder


def test_published_version_loads_bit_for_bit(registry: ModelRegistry, elf_draft: Draft) -> None:
    manifest = registry.publish(elf_draft)
    version = registry.resolve("elves")
    checkpoint = load_checkpoint(version.folder)
    assert checkpoint.manifest == manifest
    assert tuple(checkpoint.names) == elf_draft.names
    assert all((checkpoint.arrays[name] == array).all() for name, array in elf_draft.arrays.items())
    assert version.file("card.md") == elf_draft.files["card.md"]
    assert list(manifest.golden) == version.generator.generate(20, seed=0, constraints=AS_DRAWN).names


def test_numbers_and_aliases_span_both_stores(registry: ModelRegistry, elf_draft: Draft, kernels: Kernels) -> None:
    """`latest` moves with each publication; `default` and `stable` stay where the first one set them."""
    ModelRegistry(registry.stores[:1], kernels).publish(elf_draft)
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
def test_every_form_of_reference_resolves(published: ModelRegistry, dataset: str | None, model: str | None) -> None:
    assert published.resolve(dataset, model).reference == "elves/wavenet@1"


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
def test_unknown_reference_error_has_field_and_nearest_names(
    published: ModelRegistry, dataset: str | None, model: str | None, field: str, nearest: str
) -> None:
    with pytest.raises(UnknownReference) as caught:
        published.resolve(dataset, model)
    assert caught.value.field == field
    assert nearest in caught.value.nearest


def test_dataset_and_model_of_different_data_sets_are_refused(published: ModelRegistry) -> None:
    with pytest.raises(OptionError):
        published.resolve("human", "elves/wavenet@1")


def test_moved_aliases_keep_their_reasons(twice_published: ModelRegistry) -> None:
    twice_published.alias("elves/wavenet", "stable", "2", "sounds better")
    twice_published.alias("elves", "default", "wavenet@2", "sounds better")
    fresh = reopened(twice_published)
    assert fresh.resolve("elves").reference == fresh.resolve("elves", "wavenet@stable").reference == "elves/wavenet@2"
    assert [(r.alias, r.target, r.reason) for r in twice_published.stores[-1].aliases().reasons] == [
        ("elves/wavenet stable", "wavenet@2", "sounds better"),
        ("elves default", "wavenet@2", "sounds better"),
    ]


@pytest.mark.parametrize(
    ("place", "alias", "target", "reason", "error"),
    [
        ("elves", "default", "wavenet@2", " ", OptionError),
        ("elves", "stable", "wavenet@2", "why", OptionError),
        ("elves/wavenet", "latest", "1", "why", OptionError),
        ("elves", "default", "wavenet@7", "why", UnknownReference),
    ],
)
def test_invalid_alias_moves_are_refused(
    twice_published: ModelRegistry, place: str, alias: str, target: str, reason: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        twice_published.alias(place, alias, target, reason)


def reseal(folder: Path, **changes: object) -> None:
    """Change a version's manifest and seal it again."""
    path = folder / "manifest.json"
    manifest = Manifest.model_validate_json(path.read_bytes()).model_copy(update=changes)
    path.write_bytes(manifest.sealed().as_file())


DAMAGE = {
    "a flipped bit in the weights": lambda folder: flip_bit(folder / "model.safetensors"),
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
    "other golden names": lambda folder: reseal(folder, golden=("xyz",)),
    "another sampling number": lambda folder: reseal(folder, sampling=99),
    "another list than is described": lambda folder: reseal(
        folder, data=DataRecord(title="Elves", sha256="0" * 64, names=7, longest=9, split_seed=42)
    ),
    "another alphabet": lambda folder: reseal(folder, vocabulary=tuple("adehiklmnorstuz")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_version_is_refused_and_the_others_serve(twice_published: ModelRegistry, damage: str) -> None:
    """Aliases of the damaged version mean the other one; its number never does."""
    DAMAGE[damage](version_folder(twice_published, 1))
    fresh = reopened(twice_published)
    assert list(fresh.refused) == ["elves/wavenet@1"]
    assert "\n" not in fresh.refused["elves/wavenet@1"]
    assert fresh.resolve("elves", "wavenet@2").reference == "elves/wavenet@2"
    assert fresh.problems() == []
    assert fresh.resolve("elves").reference == "elves/wavenet@2"
    assert fresh.fallbacks == [
        f"{alias}: elves/wavenet@2 serves instead of elves/wavenet@1, which is refused."
        for alias in ("elves default", "elves/wavenet stable")
    ]
    with pytest.raises(CheckpointError):
        fresh.resolve("elves", "wavenet@1")


@pytest.mark.parametrize("broken", ["{", '{"elves": 3}', '{"elves": {"default": 1}}', '{"BAD NAME": {}}', "[]"])
def test_damaged_alias_file_is_reported_and_never_overwritten(
    published: ModelRegistry, elf_draft: Draft, broken: str
) -> None:
    path = published.stores[-1].root / "aliases.json"
    path.write_text(broken)
    published.refresh()
    assert [line for line in published.fallbacks if "aliases.json is damaged" in line] == published.fallbacks != []
    assert "cannot be read" in published.fallbacks[0]
    assert "last readable aliases apply" in published.fallbacks[0]
    assert "validation error" not in published.fallbacks[0]
    with pytest.raises(StoreError):
        published.publish(elf_draft)
    assert [version.reference for version in published.versions()] == ["elves/wavenet@1"]
    assert path.read_text() == broken
    assert published.resolve("elves").reference == "elves/wavenet@1"


def test_concurrent_publishers_get_distinct_numbers(registry: ModelRegistry, elf_draft: Draft) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(registry.publish, [elf_draft] * 8))
    fresh = reopened(registry)
    assert [v.manifest.version for v in fresh.versions("elves")] == list(range(1, 9))
    assert fresh.aliases("elves").versions["wavenet"]["latest"] == 8


def test_missing_store_is_empty_and_not_ready(tmp_path: Path, kernels: Kernels) -> None:
    registry = ModelRegistry([Store(tmp_path / "none")], kernels)
    registry.refresh()
    assert registry.datasets() == []
    assert registry.problems() == ["No store holds a model."]
    with pytest.raises(UnknownReference, match="'human': there is none at all") as caught:
        registry.resolve("human")
    assert caught.value.allowed == "one that exists; there is none"


def test_publishing_to_an_unwritable_store_is_an_error(tmp_path: Path, kernels: Kernels, elf_draft: Draft) -> None:
    (tmp_path / "store").write_text("")
    registry = ModelRegistry([Store(tmp_path / "store")], kernels)
    with pytest.raises(StoreError, match="cannot be written"):
        registry.publish(elf_draft)


def test_reserved_names_and_misfitting_weights_are_refused(registry: ModelRegistry, elf_draft: Draft) -> None:
    with pytest.raises(StoreError):
        registry.publish(replace(elf_draft, dataset="reasons"))
    with pytest.raises(CheckpointError):
        registry.publish(replace(elf_draft, config=ModelConfig(architecture="wavenet", block_size=4, n_hidden=20)))
    assert registry.datasets() == []


def test_republish_gives_an_outdated_version_a_new_number(published: ModelRegistry, elf_draft: Draft) -> None:
    reseal(version_folder(published, 1), sampling=1)
    fresh = reopened(published)
    assert "python -m app models republish elves/wavenet@1" in fresh.refused["elves/wavenet@1"]
    republished = fresh.republish("elves/wavenet@1")
    assert republished.reference == fresh.resolve("elves").reference == "elves/wavenet@2"
    assert fresh.resolve("elves", "wavenet@stable").reference == "elves/wavenet@2"
    assert fresh.resolve("elves").file("card.md") == elf_draft.files["card.md"]
    assert {reason.alias for reason in fresh.reasons()} == {"elves default", "elves/wavenet stable"}


def test_republishing_a_served_version_is_refused(published: ModelRegistry) -> None:
    with pytest.raises(OptionError, match="served as it is"):
        published.republish("elves/wavenet@1")


def test_lost_data_set_is_a_problem_but_a_removed_one_is_not(published: ModelRegistry, elf_draft: Draft) -> None:
    published.publish(replace(elf_draft, dataset="orcs"))
    published.remove("orcs/wavenet@1", "nobody wants orcs")
    assert published.problems() == []
    shutil.rmtree(published.stores[-1].root / "elves")
    published.refresh()
    [problem] = [line for line in published.problems() if "elves" in line]
    assert problem == "elves is gone: its default is wavenet@1, but no store has a version of it."
