"""A bucket as a store, in memory: against a store on disk, with several writers, and with damage on both sides."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import obstore
import pytest
from obstore.store import MemoryStore

from models import Draft, Kernels, ModelRegistry, StoreError
from models.manifest import sha256
from models.store import bucket as bucket_module
from models.store.bucket import LATER, SOON, Bucket, BucketStore, open_store, parse_location
from models.store.files import Key, Store
from models.store.pins import Pins
from tests.harness.clock import Clock
from tests.harness.stores import ARCHITECTURE, DATASET, MODEL, small_draft
from tests.models.store_edits import flip_bit

URL = "s3://bucket/prefix"
FIRST = f"{DATASET}/{ARCHITECTURE}/1"


@dataclass
class Machines:
    """Machines over one bucket, each with a copy of its own."""

    folder: Path
    kernels: Kernels
    objects: MemoryStore
    clock: Clock

    def start(self, name: str, pins: Pins | None = None) -> ModelRegistry:
        """Start a process on a machine."""
        store = BucketStore(Bucket(URL, self.objects, self.objects), self.folder / name, self.clock)
        registry = ModelRegistry([Store(self.folder / "shipped"), store], self.kernels, pins)
        follow(registry)
        return registry

    def read(self, path: str) -> bytes:
        """Return an object."""
        return bytes(obstore.get(self.objects, path).bytes())


def follow(registry: ModelRegistry) -> None:
    """Do what the watcher does."""
    registry.pull()
    registry.refresh()


def served(registry: ModelRegistry) -> list[str]:
    """Return the references of the versions."""
    return [version.reference for version in registry.versions()]


@pytest.fixture
def machines(tmp_path: Path, kernels: Kernels) -> Machines:
    """Machines over an empty bucket."""
    return Machines(tmp_path, kernels, MemoryStore(), Clock())


def change(registry: ModelRegistry) -> None:
    """Publish three versions, move aliases, and remove one."""
    for variant in (1, 2, 3):
        registry.publish(small_draft(variant))
    registry.alias(DATASET, "default", f"{ARCHITECTURE}@2", "it sounds better")
    registry.alias(MODEL, "stable", "3", "the newest")
    registry.remove(f"{MODEL}@1", "too old")


def test_changes_are_those_of_a_store_on_disk(machines: Machines, registry: ModelRegistry) -> None:
    change(machines.start("writer"))
    change(registry)
    reader = machines.start("reader")
    assert served(reader) == served(registry) == [f"{MODEL}@2", f"{MODEL}@3"]
    assert reader.aliases(DATASET) == registry.aliases(DATASET)
    for mine, other in zip(reader.versions(), registry.versions(), strict=True):
        assert mine.generator.generate(20, seed=7).names == other.generator.generate(20, seed=7).names
    without_times = [(each.alias, each.target, each.reason) for each in reader.reasons()]
    assert without_times == [(each.alias, each.target, each.reason) for each in registry.reasons()]
    assert reader.publish(small_draft(4)).reference == registry.publish(small_draft(4)).reference == f"{MODEL}@4"


def test_bucket_has_the_files_of_a_store(machines: Machines) -> None:
    version = machines.start("writer").publish(small_draft(1))
    paths = {each["path"] for chunk in obstore.list(machines.objects) for each in chunk}
    assert paths == {"aliases.json", *(f"{FIRST}/{name}" for name in ("manifest.json", *version.files))}
    for name, record in version.files.items():
        assert sha256(machines.read(f"{FIRST}/{name}")) == record.sha256


def test_writers_at_the_same_time_get_different_numbers(machines: Machines) -> None:
    writers = [machines.start(f"writer {number}") for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        published = list(pool.map(lambda each: each[1].publish(small_draft(each[0])), enumerate(writers)))
    assert len({manifest.version for manifest in published}) == 6
    reader = machines.start("reader")
    digests = {version.reference: version.manifest.seal for version in reader.versions()}
    assert digests == {manifest.reference: manifest.seal for manifest in published}
    highest = max(manifest.version for manifest in published)
    assert reader.aliases(DATASET).versions[ARCHITECTURE]["latest"] == highest


def test_aliases_moved_at_the_same_time_are_all_kept(machines: Machines) -> None:
    machines.start("first").publish(small_draft(1))
    writers = [machines.start(f"writer {number}") for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda each: each[1].alias(MODEL, f"alias-{each[0]}", "1", "a race"), enumerate(writers)))
    aliases = machines.start("reader").aliases(DATASET).versions[ARCHITECTURE]
    assert aliases == {"latest": 1, "stable": 1, **{f"alias-{number}": 1 for number in range(6)}}


def test_unfinished_version_is_no_version_and_keeps_its_number(machines: Machines) -> None:
    obstore.put(machines.objects, f"{FIRST}/names.txt", b"of a writer that was killed\n")
    writer = machines.start("writer")
    assert served(writer) == []
    assert writer.publish(small_draft(1)).reference == f"{MODEL}@2"


def test_alias_file_is_asked_for_each_time_the_list_seldom(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = machines.start("reader"), machines.start("writer")
    writer.publish(small_draft(1))
    lists = []
    etags = Bucket.etags
    monkeypatch.setattr(Bucket, "etags", lambda self, prefix=None: lists.append(prefix) or etags(self, prefix))

    def seen(seconds: float) -> int:
        machines.clock.now += seconds
        before = len(lists)
        follow(reader)
        return len(lists) - before

    assert [seen(0), seen(0), seen(SOON - 1), seen(2), seen(SOON + 1), seen(LATER)] == [1, 0, 0, 1, 0, 1]
    assert served(reader) == [f"{MODEL}@1"]


def test_version_published_during_a_listing_stays(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    machines.start("shared").publish(small_draft(1))
    reader, writer = machines.start("shared"), machines.start("shared")
    etags = Bucket.etags

    def publish_after(bucket: Bucket, prefix: str | None = None) -> dict[str, str]:
        found = etags(bucket, prefix)
        monkeypatch.setattr(Bucket, "etags", etags)
        writer.publish(small_draft(2))
        return found

    monkeypatch.setattr(Bucket, "etags", publish_after)
    machines.clock.now += LATER
    follow(reader)
    assert served(reader) == [f"{MODEL}@1", f"{MODEL}@2"]


def test_version_without_an_alias_comes_with_the_next_list(machines: Machines) -> None:
    machines.start("writer").publish(small_draft(1))
    reader = machines.start("reader")
    elsewhere = ModelRegistry([Store(machines.folder / "shipped"), Store(machines.folder / "disk")], machines.kernels)
    for _ in range(2):
        elsewhere.publish(small_draft(2))
    for path in elsewhere.stores[-1].folder(Key(DATASET, ARCHITECTURE, 2)).iterdir():
        obstore.put(machines.objects, f"{DATASET}/{ARCHITECTURE}/2/{path.name}", path.read_bytes())
    follow(reader)
    assert served(reader) == [f"{MODEL}@1"]
    machines.clock.now += LATER
    follow(reader)
    assert served(reader) == [f"{MODEL}@1", f"{MODEL}@2"]


@pytest.mark.parametrize("name", ["model.safetensors", "names.txt", "card.md", "manifest.json"])
def test_wrong_bytes_are_not_copied_until_they_are_right(machines: Machines, name: str) -> None:
    writer = machines.start("writer")
    writer.publish(small_draft(1))
    reader = machines.start("reader")
    writer.publish(small_draft(2))
    path = f"{DATASET}/{ARCHITECTURE}/2/{name}"
    right = machines.read(path)
    obstore.put(machines.objects, path, right[:-5] + bytes([right[-5] ^ 1]) + right[-4:])
    follow(reader)
    assert served(reader) == [f"{MODEL}@1"]
    [problem, *_] = reader.fallbacks
    assert problem.startswith(f"{URL}/{DATASET}/{ARCHITECTURE}/2/{name}")
    obstore.put(machines.objects, path, right)
    machines.clock.now += LATER
    follow(reader)
    assert served(reader) == [f"{MODEL}@1", f"{MODEL}@2"]
    assert reader.fallbacks == []


def test_version_damaged_in_the_bucket_is_served_from_the_copy(machines: Machines) -> None:
    machines.start("writer").publish(small_draft(1))
    machines.start("reader")
    obstore.put(machines.objects, f"{FIRST}/manifest.json", b"{}")
    later = machines.start("reader")
    assert served(later) == [f"{MODEL}@1"]
    assert len(later.fallbacks) == 1


def test_damaged_copy_is_repaired_at_the_next_start(machines: Machines) -> None:
    machines.start("writer").publish(small_draft(1))
    reader = machines.start("reader")
    folder = reader.stores[-1].folder(Key(DATASET, ARCHITECTURE, 1))
    flip_bit(folder / "model.safetensors")
    later = machines.start("reader")
    assert served(later) == [f"{MODEL}@1"]
    assert (folder / "model.safetensors").read_bytes() == machines.read(f"{FIRST}/model.safetensors")


@pytest.mark.parametrize(
    "vanish",
    [
        lambda objects: obstore.delete(objects, [each["path"] for chunk in obstore.list(objects) for each in chunk]),
        lambda objects: obstore.put(objects, "aliases.json", b"{"),
    ],
    ids=["nothing is there any more", "the alias file is cut"],
)
def test_last_good_copy_is_served(machines: Machines, vanish: Callable[[MemoryStore], None]) -> None:
    machines.start("writer").publish(small_draft(1))
    reader = machines.start("reader")
    vanish(machines.objects)
    follow(reader)
    for registry in (reader, machines.start("reader")):
        assert served(registry) == [f"{MODEL}@1"]
        assert registry.resolve(DATASET).reference == f"{MODEL}@1"
        [problem] = registry.fallbacks
        assert problem.startswith(URL)
        assert problem.endswith("Until then its last copy is served.")


def test_writer_refuses_a_bucket_that_lost_its_aliases(machines: Machines) -> None:
    writer = machines.start("writer")
    writer.publish(small_draft(1))
    obstore.delete(machines.objects, "aliases.json")
    with pytest.raises(StoreError, match=r"has no aliases\.json any more"):
        writer.publish(small_draft(2))


def test_pins_are_checked_as_on_disk(machines: Machines) -> None:
    writer = machines.start("writer")
    for variant in (1, 2):
        writer.publish(small_draft(variant))
    pins = Pins({f"{MODEL}@2": sha256(machines.read(f"{DATASET}/{ARCHITECTURE}/2/manifest.json"))})
    reader = machines.start("reader", pins)
    assert served(reader) == [f"{MODEL}@2"]
    assert reader.refused == {f"{MODEL}@1": f"{MODEL}@1 is not pinned in the pins."}


def test_objects_that_are_no_versions_are_not_copied(machines: Machines) -> None:
    for path in ("notes.txt", "elves/bigram/01/manifest.json", "elves/bigram/1/.etag", "Elves/x/1/manifest.json"):
        obstore.put(machines.objects, path, b"{}")
    machines.start("reader")
    assert not (machines.folder / "reader").exists() or list((machines.folder / "reader").rglob("*.json")) == []


def test_location_is_a_folder_or_the_url_of_a_bucket() -> None:
    assert parse_location("a/b") == Path("a/b")
    assert parse_location("s3://names/of/models/") == "s3://names/of/models"
    for wrong in (
        "gs://names",
        "s3://",
        "s3://Names",
        "s3://names/../x",
        "s3://names//x",
        "s3://names/a b",
        "http://a",
    ):
        with pytest.raises(ValueError, match="allowed: a folder, or s3://bucket/prefix"):
            parse_location(wrong)


def test_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(StoreError, match=r"needs obstore: .*requirements/bucket\.txt"):
        open_store(URL)


def test_each_bucket_has_a_copy_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bucket_module, "default_folder", lambda: tmp_path / "kernels")
    roots = {open_store(url).root for url in ("s3://names", "s3://names/a", "s3://names/a-b", "s3://names/a/b")}
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    roots.add(open_store("s3://names").root)
    assert len(roots) == 5
    assert {root.parent for root in roots} == {tmp_path / "stores"}


def test_draft_is_the_same_after_the_bucket(machines: Machines, elf_draft: Draft) -> None:
    machines.start("writer").publish(elf_draft)
    version = machines.start("reader").resolve("elves")
    assert {name: array.tolist() for name, array in version.arrays().items()} == {
        name: array.tolist() for name, array in elf_draft.arrays.items()
    }
