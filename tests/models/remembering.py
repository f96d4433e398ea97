"""What tests of the memory of prefixes draw with, and a memory that is watched."""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from models import NameGenerator, SamplingOptions
from models.inference import PrefixMemory
from models.inference.memory import PrefixTree
from models.inference.plan import Plan

MEBIBYTE = 2**20
LONGEST = 12
OPTIONS = (
    SamplingOptions(),
    SamplingOptions(temperature=0.7),
    SamplingOptions(temperature=2.0, top_k=9),
    SamplingOptions(top_p=0.8, min_length=4),
    SamplingOptions(prefix="ka"),
    SamplingOptions(prefix="shavel", temperature=0.7),
)


def drawn(
    generator: NameGenerator,
    options: SamplingOptions,
    seed: int,
    first: int,
    n: int,
    memory: PrefixMemory | None = None,
) -> bytes:
    """What `draw` gives, as bytes."""
    prefix = np.array(generator.vocabulary.encode(options.prefix), np.int64)
    codes, lengths = generator.draw(prefix, options, LONGEST, seed, first, n, memory)
    return codes.tobytes() + lengths.tobytes()


class Watched(PrefixMemory):
    """A memory that knows every tree it ever lent, as long as the tree lives."""

    def __init__(self, mebibytes: float) -> None:
        super().__init__(mebibytes)
        self.trees: list[weakref.ref[PrefixTree]] = []

    @contextmanager
    def lend(self, plan: Plan, options: SamplingOptions, candidates: int, shares: bytes = b"") -> Iterator[PrefixTree]:
        """Lend as ever, and note the tree."""
        with super().lend(plan, options, candidates, shares) as tree:
            if not any(known() is tree for known in self.trees):
                self.trees.append(weakref.ref(tree))
            yield tree

    @property
    def bytes_alive(self) -> int:
        """Bytes of all arrays of all trees that were not let go."""
        trees = [tree for known in self.trees if (tree := known()) is not None]
        return sum(array.nbytes for tree in trees for array in tree.arrays())


def computed(memory: PrefixMemory, generator: NameGenerator, options: SamplingOptions) -> int:
    """How many distributions the tree has computed that is lent for these options; 0 if it is a new one."""
    with memory.lend(generator.plan, options, 1) as tree:
        return tree.computed
