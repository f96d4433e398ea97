"""A generator that draws nothing: the same names for every seed. Only what the app calls to draw is replaced."""

from typing import Any

import numpy as np

from models import Constraints, NameGenerator, SamplingOptions
from models.inference import PrefixMemory, PreparedSampler
from models.inference.prepared import Codes

# Twenty names of ordinary length, in lower case as a generator gives them.
NAMES = (
    "anzlee",
    "lema",
    "albi",
    "jarora",
    "jadel",
    "pao",
    "jersia",
    "myra",
    "patlyn",
    "broxten",
    "leonna",
    "nichu",
    "aeron",
    "dalyse",
    "kenlo",
    "marvin",
    "osiah",
    "tavia",
    "jorel",
    "emmery",
)
REPEATED = list(NAMES) * 500


def constant_names(count: int) -> list[str]:
    """Return `count` names, at most 10,000."""
    return REPEATED[:count]


class ConstantSampler:
    """A `PreparedSampler` whose `draw` returns constant names; everything else is delegated."""

    def __init__(self, sampler: PreparedSampler) -> None:
        self._sampler = sampler
        self._codes = np.zeros((len(NAMES), sampler.longest), np.int32)
        self._lengths = np.array([len(name) for name in NAMES], np.int32)
        for row, name in zip(self._codes, NAMES, strict=True):
            row[: len(name)] = sampler.vocabulary.encode(name)

    def draw(self, seed: int, first: int, n: int, memory: PrefixMemory | None = None) -> tuple[Codes, Codes]:
        """Return n constant candidates."""
        rows = np.arange(n) % len(NAMES)
        return self._codes[rows], self._lengths[rows]

    def __getattr__(self, name: str) -> Any:
        """Return what else is asked of a sampler."""
        return getattr(self._sampler, name)


class ConstantGenerator:
    """A `NameGenerator` that prepares samplers of constant names; everything else is delegated."""

    def __init__(self, generator: NameGenerator) -> None:
        self._generator = generator

    def prepare(
        self, options: SamplingOptions | None = None, constraints: Constraints | None = None
    ) -> ConstantSampler:
        """Return what draws the constant names."""
        return ConstantSampler(self._generator.prepare(options, constraints))

    def __getattr__(self, name: str) -> Any:
        """Return what else the app asks a generator for."""
        return getattr(self._generator, name)
