"""A Hypothesis state machine of a store and its users; the oracle is a plain model in dictionaries.

In whatever order operations come, what is served is complete, verified and what was published.
"""

import itertools
import os
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
)

from models import CheckpointError, Kernels, ModelError, ModelRegistry, NameGenerator, OptionError, prepare
from models.inference import AS_DRAWN
from models.store.checkpoint import MANIFEST, NAMES, WEIGHTS
from models.store.files import Store
from models.store.publishing import draft_generator
from tests.harness.crashes import FAULTS, Died, Faults
from tests.harness.stores import ARCHITECTURE, DATASET, MODEL, open_registry, small_draft, version_folder

VARIANTS = (1, 2, 3)


@cache
def shared_kernels() -> Kernels:
    return prepare()


def first_names(generator: NameGenerator) -> list[str]:
    return list(generator.generate(5, seed=9, constraints=AS_DRAWN).names)


@cache
def expected_names(variant: int) -> list[str]:
    """Return the first names of a draft, computed from its weights without a store."""
    return first_names(draft_generator(small_draft(variant), shared_kernels()))


class StoreMachine(RuleBasedStateMachine):
    """The model of the store.

    `published`: variant by version number; `highest`: last number ever given; `broken`: damaged numbers, `altered`
    those with a damaged manifest, which a running process notices; `aliases`: targets in the alias file.
    For the running process `live`: `loaded`: numbers read while complete; `targets`: its targets of aliases.
    """

    numbers: Bundle[int] = Bundle("numbers")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.live = self._open()
        self.ticks = itertools.count(1)
        self.published: dict[int, int] = {}
        self.highest = 0
        self.broken: set[int] = set()
        self.altered: set[int] = set()
        self.aliases: dict[str, int] = {}
        self.loaded: set[int] = set()
        self.targets: dict[str, int] = {}

    def teardown(self) -> None:
        self.folder.cleanup()

    @rule(target=numbers, variant=st.sampled_from(VARIANTS))
    def publish(self, variant: int) -> int:
        """Publish a version: it gets the next number, and the aliases that did not exist."""
        number = self._open().publish(small_draft(variant)).version
        assert number > self.highest
        expected = {"default": number, "stable": number, **self.aliases}
        self._add(number, variant)
        assert self.aliases == expected
        return number

    @rule(
        target=numbers, variant=st.sampled_from(VARIANTS), k=st.integers(1, 80), fault=st.sampled_from(sorted(FAULTS))
    )
    def publish_and_crash(self, variant: int, k: int, fault: str) -> MultipleResults[int]:
        """Publish while the k-th file operation fails: the version exists complete, or not at all."""
        registry, before = self._open(), self._present()
        with suppress(ModelError, Died), Faults(k, FAULTS[fault]):
            registry.publish(small_draft(variant))
        new, aliases = self._present() - before, self.aliases
        assert len(new) <= 1
        for number in new:
            self._add(number, variant)
            assert self.aliases in (aliases, {"default": number, "stable": number, **aliases})
        return multiple(*new)

    @rule(number=numbers, name=st.sampled_from([WEIGHTS, NAMES, MANIFEST]), place=st.floats(0, 1, exclude_max=True))
    def corrupt(self, number: int, name: str, place: float) -> None:
        """Flip a bit of a version, once."""
        if number not in self.published or number in self.broken:
            return
        path = version_folder(self.root, number) / name
        content = bytearray(path.read_bytes())
        content[int(place * len(content))] ^= 1
        path.write_bytes(content)
        self.broken.add(number)
        if name == MANIFEST:
            # Two changes within one tick of the clock have the same time.
            os.utime(path, ns=(0, next(self.ticks)))
            self.altered.add(number)

    @rule(number=numbers, alias=st.sampled_from(["default", "stable"]))
    def alias(self, number: int, alias: str) -> None:
        """Move an alias to a version: refused unless that is served."""
        registry = self._open()
        place, target = (DATASET, f"{ARCHITECTURE}@{number}") if alias == "default" else (MODEL, str(number))
        if number in self.published and number not in self.broken:
            registry.alias(place, alias, target, "why")
            self.aliases[alias] = number
        else:
            with pytest.raises(ModelError):
                registry.alias(place, alias, target, "why")

    @rule(number=consumes(numbers))
    def remove(self, number: int) -> None:
        """Remove a version: refused if an alias that could mean another one means it."""
        if number not in self.published:
            return
        kept = number in self.aliases.values() and len(self.published) > 1
        try:
            self._open().remove(f"{MODEL}@{number}", "why")
        except OptionError:
            assert kept
            return
        assert not kept
        del self.published[number]
        for numbers in (self.broken, self.altered, self.loaded):
            numbers.discard(number)
        if not self.published:
            self.aliases.clear()

    @rule()
    def refresh(self) -> None:
        """Refresh the running process: it serves what it has loaded and what is complete, and nothing else."""
        self.live.refresh()
        assert not self.live.changed()
        refused = {n for n in self.broken if n not in self.loaded or n in self.altered}
        self.loaded = {n for n in self.published if n in self.loaded or n not in self.broken}
        self._check(self.live, self.loaded, refused, self.targets)
        self.targets = {alias: self._target(alias, self.loaded, self.targets) for alias in self.aliases if self.loaded}

    @precondition(lambda self: self.loaded)
    @rule(data=st.data())
    def generate(self, data: st.DataObject) -> None:
        """Generate with any version of the running process: the names are those of what was published."""
        version = data.draw(st.sampled_from(self.live.versions()))
        names = first_names(version.generator)
        assert names in map(expected_names, VARIANTS)
        if version.manifest.version in self.published:
            assert names == expected_names(self.published[version.manifest.version])

    @invariant()
    def new_process_serves_complete_versions(self) -> None:
        """A process that starts now serves every complete version and no other."""
        self._check(self._open(), set(self.published) - self.broken, self.broken, {})

    def _check(self, registry: ModelRegistry, served: set[int], refused: set[int], before: dict[str, int]) -> None:
        assert {version.manifest.version for version in registry.versions()} == served
        assert {key.version for key in registry.now.refusals} == refused
        for number in served:
            version = registry.resolve(DATASET, f"{ARCHITECTURE}@{number}")
            assert first_names(version.generator) == expected_names(self.published[number])
        if served:
            assert registry.resolve(DATASET, ARCHITECTURE).manifest.version == max(served)
            for alias in self.aliases:
                model = None if alias == "default" else f"{ARCHITECTURE}@{alias}"
                assert registry.resolve(DATASET, model).manifest.version == self._target(alias, served, before)
        elif self.published:
            with pytest.raises(CheckpointError):
                registry.resolve(DATASET)

    def _target(self, alias: str, served: set[int], before: dict[str, int]) -> int:
        """Return the first served of: the alias's target, what it meant before, the newest version."""
        candidates = (self.aliases[alias], before.get(alias, 0))
        return next((number for number in candidates if number in served), max(served))

    def _add(self, number: int, variant: int) -> None:
        self.published[number], self.highest = variant, number
        aliases = Store(self.root / "user").aliases().of(DATASET)
        stable = aliases.versions.get(ARCHITECTURE, {}).get("stable")
        self.aliases = {"stable": stable} if stable else {}
        if aliases.default:
            self.aliases["default"] = int(aliases.default.rpartition("@")[2])

    def _open(self) -> ModelRegistry:
        return open_registry(self.root, shared_kernels())

    def _present(self) -> set[int]:
        return {key.version for key in Store(self.root / "user").present()}
