"""Versions are removed while a registry serves: what goes, what stays, what is refused."""

from pathlib import Path

import pytest

from models import Draft, Kernels, ModelRegistry, OptionError, UnknownReference
from models.store import Store
from tests.models.altering import damage, folder, opened


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
