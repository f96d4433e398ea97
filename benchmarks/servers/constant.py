"""A generator that draws nothing: the same names for every seed. Only what the app calls to draw is replaced."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import Constraints, NameGenerator, SamplingOptions
from models.inference import LineWriter, PrefixMemory, PreparedSampler
from models.inference.constraints import CHARACTERS, LOOKED
from models.inference.constraints import NAMES as NAMES_FOUND
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
    """A `PreparedSampler` whose `select` returns constant names; everything else is delegated."""

    def __init__(self, sampler: PreparedSampler) -> None:
        self._sampler = sampler
        self._codes = np.zeros((len(NAMES), sampler.longest), np.int32)
        self._lengths = np.array([len(name) for name in NAMES], np.int32)
        for row, name in zip(self._codes, NAMES, strict=True):
            row[: len(name)] = sampler.vocabulary.encode(name)

    def select(
        self,
        seed: int,
        first: int,
        n: int,
        wanted: int,
        seen: Codes,
        counts: NDArray[np.int64],
        writer: LineWriter | None = None,
        memory: PrefixMemory | None = None,
    ) -> tuple[Codes, Codes, bytes]:
        """Return n constant names."""
        rows = np.arange(n) % len(NAMES)
        codes, lengths = self._codes[rows], self._lengths[rows]
        counts[[NAMES_FOUND, LOOKED]] += n
        counts[CHARACTERS] += int(lengths.sum()) + n
        return codes, lengths, b"" if writer is None else writer(codes, lengths, n)[0]

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
