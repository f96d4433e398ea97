"""A store and those who use it, as a machine of Hypothesis: whatever order things come in, what is served is whole,
verified, and what was published. The oracle is a plain model: three dictionaries.
"""

import itertools
import os
import tempfile
from contextlib import suppress
from pathlib import Path

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

from models import CheckpointError, Draft, Kernels, ModelError, ModelRegistry, OptionError, prepare
from models.checkpoint import MANIFEST, NAMES, WEIGHTS
from models.inference import AS_DRAWN
from models.publication import draft_generator
from models.store import Key, Store
from tests.harness.crashes import FAULTS
from tests.harness.faults import Died, Faults
from tests.harness.stores import ARCHITECTURE, DATASET, opened, small_draft

PLACE = f"{DATASET}/{ARCHITECTURE}"
VARIANTS = (1, 2, 3)


def drawn(draft: Draft, kernels: Kernels) -> list[str]:
    """Return the first names of a draft: computed from its weights, never from a store."""
    return list(draft_generator(draft, kernels).generate(5, seed=9, constraints=AS_DRAWN).names)


class StoreMachine(RuleBasedStateMachine):
    """`published`: number to variant, of what is there; `broken`: numbers of damaged ones, `altered` of those
    whose manifest it is, which a live process notices; `said`: what the aliases were
    told; `loaded`: what the live process has read while it was whole. `highest`: the last number that was given.
    """

    numbers: Bundle[int] = Bundle("numbers")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.kernels = _Shared.kernels()
        self.names = _Shared.names(self.kernels)
        self.live = opened(self.root, self.kernels)
        self.published: dict[int, int] = {}
        self.broken: set[int] = set()
        self.altered: set[int] = set()
        self.ticks = itertools.count(1).__next__
        self.said: dict[str, int] = {}
        self.meant: dict[str, int] = {}
        self.loaded: set[int] = set()
        self.highest = 0

    def teardown(self) -> None:
        """Take the folder away."""
        self.folder.cleanup()

    @rule(target=numbers, variant=st.sampled_from(VARIANTS))
    def publish(self, variant: int) -> int:
        """Publish a version: it has the next number, and the aliases that there were not."""
        number = opened(self.root, self.kernels).publish(small_draft(variant)).version
        assert number > self.highest
        expected = {"default": number, "stable": number, **self.said}
        self._add(number, variant)
        assert self.said == expected
        return number

    @rule(
        target=numbers, variant=st.sampled_from(VARIANTS), k=st.integers(1, 80), fault=st.sampled_from(sorted(FAULTS))
    )
    def publish_and_crash(self, variant: int, k: int, fault: str) -> MultipleResults[int]:
        """Publish while the k-th file operation fails: the version is there whole, or not at all."""
        other, before = opened(self.root, self.kernels), self._present()
        with suppress(ModelError, Died), Faults(k, FAULTS[fault]):
            other.publish(small_draft(variant))
        new, said = self._present() - before, self.said
        assert len(new) <= 1
        for number in new:
            self._add(number, variant)
            assert self.said in (said, {"default": number, "stable": number, **said})
        return multiple(*new)

    @rule(number=numbers, name=st.sampled_from([WEIGHTS, NAMES, MANIFEST]), place=st.floats(0, 1, exclude_max=True))
    def corrupt(self, number: int, name: str, place: float) -> None:
        """Flip a bit of a version, once."""
        if number in self.published and number not in self.broken:
            path = self._folder(number) / name
            content = bytearray(path.read_bytes())
            content[int(place * len(content))] ^= 1
            path.write_bytes(content)
            self.broken.add(number)
            if name == MANIFEST:
                # Two changes within one tick of the clock are told apart by nothing.
                os.utime(path, ns=(0, self.ticks()))
                self.altered.add(number)

    @rule(number=numbers, alias=st.sampled_from(["default", "stable"]))
    def alias(self, number: int, alias: str) -> None:
        """Move an alias, forward or back: to a version that is served, else it is refused."""
        other = opened(self.root, self.kernels)
        place, target = (DATASET, f"{ARCHITECTURE}@{number}") if alias == "default" else (PLACE, str(number))
        if number in self.published and number not in self.broken:
            other.alias(place, alias, target, "why")
            self.said[alias] = number
        else:
            with suppress(ModelError):
                other.alias(place, alias, target, "why")
                raise AssertionError(f"{alias} was moved to {number}")

    @rule(number=consumes(numbers))
    def remove(self, number: int) -> None:
        """Remove a version: it goes unless an alias means it and could mean another."""
        if number not in self.published:
            return
        kept = number in self.said.values() and len(self.published) > 1
        try:
            opened(self.root, self.kernels).remove(f"{PLACE}@{number}", "why")
        except OptionError:
            assert kept
            return
        assert not kept
        del self.published[number]
        for numbers in (self.broken, self.altered, self.loaded):
            numbers.discard(number)
        if not self.published:
            self.said.clear()

    @rule()
    def refresh(self) -> None:
        """Let the live process look again: it serves what it knows and what is whole, and nothing else."""
        self.live.refresh()
        assert not self.live.changed()
        refused = {n for n in self.broken if n not in self.loaded or n in self.altered}
        self.loaded = {n for n in self.published if n in self.loaded or n not in self.broken}
        self._holds(self.live, self.loaded, refused, self.meant)
        self.meant = {alias: self._meaning(alias, self.loaded, self.meant) for alias in self.said if self.loaded}

    @precondition(lambda self: self.loaded)
    @rule(data=st.data())
    def generate(self, data: st.DataObject) -> None:
        """Draw names from whatever the live process serves: they are those of what was published under the number."""
        version = data.draw(st.sampled_from(self.live.versions()))
        names = version.generator.generate(5, seed=9, constraints=AS_DRAWN).names
        assert list(names) in self.names.values()
        if version.manifest.version in self.published:
            assert list(names) == self.names[self.published[version.manifest.version]]

    @invariant()
    def a_fresh_process_serves_what_is_whole(self) -> None:
        """A process that starts now serves every whole version and no other."""
        self._holds(opened(self.root, self.kernels), set(self.published) - self.broken, self.broken, {})

    def _holds(self, registry: ModelRegistry, served: set[int], refused: set[int], before: dict[str, int]) -> None:
        assert {version.manifest.version for version in registry.versions()} == served
        assert {key.version for key in registry.now.refusals} == refused
        for number in served:
            version = registry.resolve(DATASET, f"{ARCHITECTURE}@{number}")
            names = version.generator.generate(5, seed=9, constraints=AS_DRAWN).names
            assert list(names) == self.names[self.published[number]]
        if served:
            assert registry.resolve(DATASET, ARCHITECTURE).manifest.version == max(served)
            for alias in self.said:
                model = None if alias == "default" else f"{ARCHITECTURE}@{alias}"
                assert registry.resolve(DATASET, model).manifest.version == self._meaning(alias, served, before)
        elif self.published:
            with suppress(CheckpointError):
                registry.resolve(DATASET)
                raise AssertionError("something is served")

    def _meaning(self, alias: str, served: set[int], before: dict[str, int]) -> int:
        """Return what an alias means: what it says, what it meant, the newest, whichever is served first."""
        wished = (self.said[alias], before.get(alias, 0))
        return next((number for number in wished if number in served), max(served))

    def _add(self, number: int, variant: int) -> None:
        self.published[number], self.highest = variant, number
        said = Store(self.root / "user").aliases().of(DATASET)
        stable = said.versions.get(ARCHITECTURE, {}).get("stable")
        self.said = {"stable": stable} if stable else {}
        if said.default:
            self.said["default"] = int(said.default.rpartition("@")[2])

    def _present(self) -> set[int]:
        return {key.version for key in Store(self.root / "user").present()}

    def _folder(self, number: int) -> Path:
        return Store(self.root / "user").folder(Key(DATASET, ARCHITECTURE, number))


class _Shared:
    """What every run of the machine needs and none changes."""

    _kernels: Kernels | None = None
    _names: dict[int, list[str]] | None = None

    @classmethod
    def kernels(cls) -> Kernels:
        cls._kernels = cls._kernels or prepare()
        return cls._kernels

    @classmethod
    def names(cls, kernels: Kernels) -> dict[int, list[str]]:
        cls._names = cls._names or {variant: drawn(small_draft(variant), kernels) for variant in VARIANTS}
        return cls._names
