"""Blends: mixtures of versions for requests with several data sets.

`models.kernel.mixture` has the mathematics.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from models.casing import merged
from models.errors import OptionError
from models.inference import BlendPredictor, Kernels, NameGenerator
from models.store.version import Version

# Shares are whole numbers of millionths, so that those of an answer give the same names again.
MILLION = 10**6
LEAST_SHARE = 0.001
MOST_MODELS = 4
T = TypeVar("T")


@dataclass(frozen=True)
class Blend:
    """Versions of different data sets, by name, with shares that sum to 1."""

    versions: tuple[Version, ...]
    shares: tuple[float, ...]
    generator: NameGenerator

    @property
    def dataset(self) -> dict[str, float]:
        """The share of each data set."""
        return {version.manifest.dataset: share for version, share in zip(self.versions, self.shares, strict=True)}

    @property
    def model(self) -> dict[str, str]:
        """The version of each data set."""
        return {version.manifest.dataset: version.reference for version in self.versions}

    @property
    def reference(self) -> str:
        """E.g. "animal/wavenet@1,human/wavenet@1"."""
        return ",".join(version.reference for version in self.versions)

    @property
    def digest(self) -> str:
        """The digest of everything except the shares that the names depend on."""
        return ",".join(version.digest for version in self.versions)


Source = Version | Blend


def shares_of(weights: Mapping[str, float]) -> dict[str, float]:
    """Normalise positive weights by name to a sum of 1.

    Normalised shares do not change. Raises `OptionError`.
    """
    total = sum(weights.values())
    parts = {name: round(weights[name] / total * MILLION) for name in sorted(weights)}
    if parts:
        # What rounding left over or took too much. Without this, the shares' own shares could be others.
        parts[max(parts, key=parts.__getitem__)] += MILLION - sum(parts.values())
    shares = {name: part / MILLION for name, part in parts.items()}
    if not 1 <= len(shares) <= MOST_MODELS or min(shares.values()) < LEAST_SHARE:
        raise OptionError(
            f"The weights {dict(weights)} cannot be mixed: 1 to {MOST_MODELS} data sets, each at least {LEAST_SHARE:g} "
            "of the whole.",
            field="dataset",
            allowed=f"1 to {MOST_MODELS} data sets, each with at least {LEAST_SHARE:g} of the whole weight",
        )
    return shares


class Blender:
    """Makes blends, and caches the plans of recent sets of versions. Safe to share between threads.

    A plan does not depend on the shares, and takes some milliseconds and MB. The tables of names depend on no style
    either, and take tenths of a second.
    """

    def __init__(self, kernels: Kernels, most: int = MOST_MODELS) -> None:
        self._kernels, self._most = kernels, most
        self._lock = threading.Lock()
        self._predictors: OrderedDict[tuple[int, ...], tuple[tuple[Version, ...], BlendPredictor]] = OrderedDict()
        # By the generators without styles: a generator whose tables all blends of their lists share.
        self._tables: OrderedDict[tuple[int, ...], tuple[list[NameGenerator], NameGenerator]] = OrderedDict()

    def blend(self, versions: Sequence[Version], shares: Sequence[float]) -> Blend:
        """Return two or more versions as one, with these shares."""
        with self._lock:
            predictor = self._predictor(tuple(versions))
            tables = self._tables_of([version.generator.unstyled for version in versions], predictor)
        by_share = sorted(zip(shares, versions, strict=True), key=lambda pair: -pair[0])
        casing = merged([version.generator.casing for _, version in by_share], predictor.vocabulary.locale)
        generator = tables.sharing(predictor, np.array(shares, np.float32), casing)
        return Blend(tuple(versions), tuple(shares), generator)

    def _predictor(self, versions: tuple[Version, ...]) -> BlendPredictor:
        # The versions are kept beside it, so that no other object can have their ids.
        key = tuple(id(version.generator) for version in versions)
        if key not in self._predictors:
            made = BlendPredictor([version.generator.predictor for version in versions], self._kernels)
            self._predictors[key] = versions, made
        return self._recent(self._predictors, key)[1]

    def _tables_of(self, generators: list[NameGenerator], predictor: BlendPredictor) -> NameGenerator:
        key = tuple(map(id, generators))
        if key not in self._tables:
            names = frozenset().union(*(generator.names for generator in generators))
            longest = max(generator.longest for generator in generators)
            lists = [each for generator in generators for each in generator.lists]
            made = NameGenerator(predictor, names, longest, self._kernels, lists=lists)
            self._tables[key] = generators, made
        return self._recent(self._tables, key)[1]

    def _recent(self, cache: "OrderedDict[tuple[int, ...], T]", key: tuple[int, ...]) -> T:
        """Return the entry of a cache, and keep the most recent ones."""
        cache.move_to_end(key)
        while len(cache) > self._most:
            cache.popitem(last=False)
        return cache[key]
