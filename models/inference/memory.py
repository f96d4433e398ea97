"""What is remembered of prefixes from call to call, within a bound: trees of distributions. No kernels, no names.

Nothing here changes any result: a tree only saves computing again. A memory is for one thread at a time.
"""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from models.inference.evaluation import ROOT
from models.inference.plan import Plan
from models.inference.sampler import COMPUTED, ROOM, STAYING, SamplingOptions

MEBIBYTE = 2**20
# A tree begins with room for so many nodes, and doubles.
FIRST_ROOM = 1024
# The node before the root, and the root: what a tree has even where nothing is to be remembered.
LEAST_ROOM = ROOT + 1


@dataclass(frozen=True)
class _Key:
    """What a distribution depends on beside its prefix."""

    plan: int
    temperature: float
    top_k: int | None
    top_p: float | None
    min_length: int


class PrefixTree:
    """Nodes of one plan under one set of options: N boundaries and children (N, V), states (N, S).

    The first `used[ROOM]` nodes stay; behind them is room for those that only pass (see `sampler.sample`).
    """

    def __init__(self, plan: Plan, room: int = LEAST_ROOM) -> None:
        self.plan = plan
        self.ring = max(plan.reach, 1) + 1
        self.used = np.array([0, room, 0], np.int64)
        self._passing = 0
        self._allocate()

    @property
    def node_bytes(self) -> int:
        """Bytes of one node."""
        return 4 * (2 * self.plan.vocab_size + self.plan.state + 1)

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self.node_bytes * len(self.slot)

    @property
    def room(self) -> int:
        """How many nodes can stay."""
        return int(self.used[ROOM])

    @property
    def full(self) -> bool:
        """Whether no further node can stay."""
        return bool(self.used[STAYING] >= self.used[ROOM])

    @property
    def computed(self) -> int:
        """How many distributions were computed so far."""
        return int(self.used[COMPUTED])

    def arrays(self) -> tuple[np.ndarray, ...]:
        """Return what the kernel works on."""
        return self.boundaries, self.children, self.state, self.slot, self.used

    def make_way(self, candidates: int) -> None:
        """See to it that so many candidates find room to pass."""
        if candidates * self.ring > self._passing:
            self._passing = candidates * self.ring
            self._move()

    def grow(self, room: int) -> None:
        """Let `room` nodes stay."""
        self.used[ROOM] = room
        self._move()

    def _allocate(self) -> None:
        n, V = int(self.used[ROOM]) + self._passing, self.plan.vocab_size
        self.boundaries, self.children = np.empty((n, V), np.int32), np.empty((n, V), np.int32)
        self.state, self.slot = np.empty((n, self.plan.state), np.float32), np.zeros(n, np.int32)
        self.state[:LEAST_ROOM], self.children[:LEAST_ROOM] = 0, 0

    def _move(self) -> None:
        before, kept = self.arrays()[:3], int(self.used[STAYING])
        self._allocate()
        for old, new in zip(before, self.arrays()[:3], strict=True):
            new[:kept] = old[:kept]


class PrefixMemory:
    """Trees for the options in use, at most `mebibytes` in all; the least recently used ones go first. 0: none."""

    def __init__(self, mebibytes: float) -> None:
        self.limit = int(mebibytes * MEBIBYTE)
        self._trees: OrderedDict[_Key, PrefixTree] = OrderedDict()

    @property
    def size(self) -> int:
        """Bytes of all trees."""
        return sum(tree.size for tree in self._trees.values())

    def tree(self, plan: Plan, options: SamplingOptions, candidates: int) -> PrefixTree:
        """Return the tree for `plan` under `options`, with room for so many candidates to pass."""
        # The tree holds on to its plan, so that no other plan can have its id.
        key = _Key(id(plan), options.temperature, options.top_k, options.top_p, options.min_length)
        tree = self._trees.get(key) or PrefixTree(plan)
        tree.make_way(candidates)
        if self.limit:
            self._trees[key] = tree
            self._trees.move_to_end(key)
            self._shrink()
            if tree.full:
                self._grow(tree)
        return tree

    def _grow(self, tree: PrefixTree) -> None:
        """Double the room of the tree in use, at the cost of the others, as far as the limit allows."""
        passing = tree.size - tree.room * tree.node_bytes
        most = (self.limit - passing) // tree.node_bytes
        room = min(max(FIRST_ROOM, 2 * tree.room), most)
        if room > tree.room:
            tree.grow(room)
            self._shrink()

    def _shrink(self) -> None:
        while len(self._trees) > 1 and self.size > self.limit:
            self._trees.popitem(last=False)
