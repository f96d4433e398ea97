"""What an alias means while a registry serves, where its version is gone or its file is damaged."""

import pytest

from models import CheckpointError, Draft, ModelRegistry
from tests.models.altering import bigram, damage, opened, say


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
