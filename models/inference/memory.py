"""What is remembered of prefixes from call to call, within a bound: trees of distributions. No kernels, no names.

Nothing here changes any result: a tree only saves computing again.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from models.inference.evaluation import COMPUTED, EASY, ROOM, ROOT, STAYING
from models.inference.plan import N_OUT, SHARED, Plan
from models.inference.sampler import SamplingOptions

MEBIBYTE = 2**20
# No tree takes all there is: a long stream leaves something for the small requests beside it.
LARGEST_SHARE = 0.875
# Where a distribution is looked up anyway, a tree is worth its place only in the processor's own caches.
LARGEST_LOOKED_UP = 16_384
# Up to this share of its final room, a tree keeps every node.
EASY_SHARE = 0.5
# One node in so many has room for each kind of product.
SHARED_BY = 16
FEWEST_SHARED = 1024
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
    """Nodes of one plan under one set of options: N boundaries and children (N, V), states (N, S), and for every kind
    of product that looks back some that were computed, `shared`, with the nodes that they are of.

    The first `room` nodes stay; behind them is room for those that only pass (see `sampler.sample`).
    """

    def __init__(self, plan: Plan, candidates: int = 0) -> None:
        self.plan = plan
        self.ring = max(plan.reach, 1) + 1
        self.passing = candidates * self.ring
        self.used = np.array([0, LEAST_ROOM, 0, 0], np.int64)
        self._product = int(plan.stages[plan.stage_of(plan.terms[:, SHARED] >= 0), N_OUT].max(initial=0))
        # Bytes of one node, its share of the products included.
        self.node_bytes = 4 * (2 * plan.vocab_size + plan.state + 1 + plan.shared * self._product // SHARED_BY)
        self._allocate()

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self.node_bytes * (self.room + self.passing)

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
        return self.boundaries, self.children, self.state, self.slot, self.used, self.shared, self.shared_of

    def make_room(self, room: int, passing: int, easy: int) -> None:
        """Let `room` nodes stay and `passing` ones pass; neither becomes less. The first `easy` ones stay at once."""
        self.used[EASY] = easy
        if (room, passing) != (self.room, self.passing):
            self.used[ROOM], self.passing = room, passing
            before, kept = self.arrays()[:3], int(self.used[STAYING])
            self._allocate()
            for old, new in zip(before, self.arrays()[:3], strict=True):
                new[:kept] = old[:kept]

    def _allocate(self) -> None:
        n, V = self.room + self.passing, self.plan.vocab_size
        self.boundaries, self.children = np.empty((n, V), np.int32), np.empty((n, V), np.int32)
        self.state, self.slot = np.empty((n, self.plan.state), np.float32), np.zeros(n, np.int32)
        self.state[:LEAST_ROOM], self.children[:LEAST_ROOM] = 0, 0
        entries = 1 << max(FEWEST_SHARED, self.room // SHARED_BY).bit_length() - 1  # a power of two
        self.shared = np.empty((self.plan.shared, entries, self._product), np.float32)
        self.shared_of = np.full((self.plan.shared, entries), -1, np.int32)


class PrefixMemory:
    """Trees for the options in use, at most `mebibytes` in all; the least recently used ones go first. 0: none.

    Safe to share between threads: a tree is in one hand at a time, and who finds none of his options free gets a new
    one.
    """

    def __init__(self, mebibytes: float) -> None:
        self.limit = int(mebibytes * MEBIBYTE)
        self._lock = threading.Lock()
        self._held = 0
        # By the time of their return, the oldest first.
        self._free: OrderedDict[int, tuple[_Key, PrefixTree]] = OrderedDict()

    @property
    def size(self) -> int:
        """Bytes of all trees, lent ones included."""
        return self._held

    @contextmanager
    def lend(self, plan: Plan, options: SamplingOptions, candidates: int) -> Iterator[PrefixTree]:
        """Lend a tree for `plan` under `options`, with room for so many candidates to pass."""
        if not self.limit:
            yield PrefixTree(plan, candidates)
            return
        # A tree holds on to its plan, so that no other plan can have its id.
        key = _Key(id(plan), options.temperature, options.top_k, options.top_p, options.min_length)
        tree = self._take(key) or PrefixTree(plan)
        if tree.full or candidates * tree.ring > tree.passing:
            self._fit(tree, candidates)
        try:
            yield tree
        finally:
            with self._lock:
                self._free[id(tree)] = key, tree

    def _take(self, key: _Key) -> PrefixTree | None:
        with self._lock:
            for number, (of, tree) in reversed(self._free.items()):
                if of == key:
                    del self._free[number]
                    return tree
        return None

    def _fit(self, tree: PrefixTree, candidates: int) -> None:
        """Give the tree the room it needs, and more to stay in if it is full: at the cost of free trees, not of lent
        ones.
        """
        passing = max(candidates * tree.ring, tree.passing)
        room = max(FIRST_ROOM, 2 * tree.room) if tree.full else tree.room
        with self._lock:
            most = (int(self.limit * LARGEST_SHARE) - passing * tree.node_bytes) // tree.node_bytes
            if not tree.plan.multiply_adds:
                most = min(most, LARGEST_LOOKED_UP)
            room = max(min(room, most), tree.room)
            before, wanted = tree.size, (room + passing) * tree.node_bytes
            while self._free and self._held - before + wanted > self.limit:
                _, (_, oldest) = self._free.popitem(last=False)
                self._held -= oldest.size
            if self._held - before + wanted > self.limit:
                room = tree.room
            self._held += (room + passing) * tree.node_bytes - before
        tree.make_room(room, passing, int(EASY_SHARE * most))
