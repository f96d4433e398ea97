"""The prefix cache: trees that keep logits and state of prefixes from call to call, within a bound.

A tree serves all temperatures and other options, because those act on the logits. It changes no result.
"""

import math
import mmap
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.kernel.evaluate import BOUNDARIES, COMPUTED, PARTS, QUARTER, ROOM, ROOT, STAYING
from models.kernel.plan import Plan

# The C library keeps what large arrays gave back, in pieces: a process whose trees grow and go would come to hold many
# times what its trees have (man 3 mallopt, M_MMAP_THRESHOLD). So trees ask the system for pages.
# Below this number of bytes the C library is the better place: a page is 4 KiB, and asking the system takes time.
FEW = 2**18
# Arrays of this size or more use pages of 2 MiB, because sampling reads them at random.
MANY = 2**22
# Python's default is memory that is shared with forked processes, and that has no large pages; Windows knows neither.
PRIVATE = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
# Each array begins on a line of the processor's caches.
LINE = 64

Form = tuple[tuple[int, ...], type[np.generic]]
MEBIBYTE = 2**20
# Candidates of the largest chunk of a stream.
MAX_CHUNK = 2048
# No tree takes all there is: a long stream leaves something for the small requests beside it.
LARGEST_SHARE = 0.875
# Up to this share of it is left to prefixes that only pass, for pieces larger than those so far.
LARGEST_PASSING = 0.25
# Where a distribution is looked up anyway, a tree is worth its place only in the processor's own caches.
LARGEST_LOOKED_UP = 16_384
# For each kind of product there is room for one in this number of nodes.
SHARED_BY = 16
FEWEST_SHARED = 128
# After growth was refused, it is tried again after this number of loans.
LOANS_UNTIL_GROWTH = 64
# A tree starts with room for this number of nodes, and doubles.
FIRST_ROOM = 1024
# The node before the root, and the root: what a tree has even where nothing is to be remembered.
LEAST_ROOM = ROOT + 1


class TreeKey(NamedTuple):
    """The model, and the weights of a blend: what logits depend on beside the prefix."""

    plan: int
    shares: bytes

    @classmethod
    def of(cls, plan: Plan, shares: NDArray[np.float32]) -> "TreeKey":
        """Return the key of `plan` (and a blend's `shares`)."""
        # A tree holds on to its plan, so that no other plan can have its id.
        return cls(id(plan), shares.tobytes())


def tree_bytes(plan: Plan, room: int, passing: int) -> int:
    """Return the bytes of a tree's arrays, and of those that it keeps alive with its plan."""
    node = BOUNDARIES + PARTS * plan.vocab_size + plan.state + 1
    remembered = plan.shared * _entries(room) * (plan.shared_width + 1)
    return plan.own_bytes + 8 * (COMPUTED + 1) + 4 * ((room + passing) * node + remembered)


def ring_of(plan: Plan) -> int:
    """Return how many nodes of a candidate pass at a time."""
    return max(plan.reach, 1) + 1


def _entries(room: int) -> int:
    """Return how many products of each kind a tree remembers: a power of two, as the kernel wants it."""
    return 1 << max(FEWEST_SHARED, room // SHARED_BY).bit_length() - 1


class PrefixTree:
    """Nodes of one plan: `nodes` (N, 1 + 3 V; see `evaluate`), `state` (N, S), and for every kind of product that is
    remembered some that were computed, `shared`, with the nodes or characters that they are of.

    The first `room` nodes stay; behind them is room for those that only pass (see `sample.sample`). `size`: bytes in
    all. `loans_until_growth`: see `LOANS_UNTIL_GROWTH`.
    """

    def __init__(self, plan: Plan, candidates: int = 0) -> None:
        self.plan = plan
        self.ring = ring_of(plan)
        self.passing, self.loans_until_growth = candidates * self.ring, 0
        self.used = np.array([0, LEAST_ROOM, 0, 0], np.int64)
        # How many nodes can stay.
        self.room = LEAST_ROOM
        self._allocate()

    @property
    def full(self) -> bool:
        """Whether no further node can stay."""
        return bool(self.used[STAYING] >= self.used[ROOM])

    @property
    def computed(self) -> int:
        """How many prefixes were computed so far."""
        return int(self.used[COMPUTED])

    @property
    def children(self) -> NDArray[np.int32]:
        """The children of each node (N, V), 0 or negative for none."""
        V = self.plan.vocab_size
        return self.nodes[:, BOUNDARIES + V : BOUNDARIES + 2 * V]

    @property
    def logits(self) -> NDArray[np.float32]:
        """The logits of each node (N, V)."""
        return self.nodes[:, BOUNDARIES + 2 * self.plan.vocab_size :].view(np.float32)

    def make_room(self, room: int, passing: int, most: int) -> None:
        """Let `room` nodes stay and `passing` ones pass; neither becomes less. `most`: the largest room there will
        be.
        """
        self.used[QUARTER] = -(-most // 4)
        if (room, passing) != (self.room, self.passing):
            self.used[ROOM], self.room, self.passing = room, room, passing
            before, kept = self.arrays[:2], int(self.used[STAYING])
            self._allocate()
            for old, new in zip(before, self.arrays[:2], strict=True):
                new[:kept] = old[:kept]

    def _allocate(self) -> None:
        self.size = tree_bytes(self.plan, self.room, self.passing)
        n, kinds, entries = self.room + self.passing, self.plan.shared, _entries(self.room)
        self.nodes, self.state, slot, shared, shared_of = arrays_of(
            (
                ((n, BOUNDARIES + PARTS * self.plan.vocab_size), np.int32),
                ((n, self.plan.state), np.float32),
                ((n,), np.int32),
                ((kinds, entries, self.plan.shared_width), np.float32),
                ((kinds, entries), np.int32),
            )
        )
        self.state[:LEAST_ROOM], self.nodes[:LEAST_ROOM] = 0, 0
        slot[:], shared_of[:] = 0, -1
        # What the kernel works on.
        self.arrays = (self.nodes, self.state, slot, self.used, shared, shared_of)


class PrefixMemory:
    """Trees for the options in use, at most `mebibytes` in all; the least recently used ones go first. 0: none.

    Safe to share between threads: a tree is in one hand at a time, and who finds none of his options free gets a new
    one. Only what is lent may pass the limit, where the candidates of one call need more than there is.
    """

    def __init__(self, mebibytes: float) -> None:
        self.limit = int(mebibytes * MEBIBYTE)
        self._largest = int(self.limit * LARGEST_SHARE)
        self._lock = threading.Lock()
        # Bytes of all trees, and of those that are free.
        self._held = self._kept = 0
        # By the time of their return, the oldest first; and by key.
        self._free: OrderedDict[int, tuple[TreeKey, PrefixTree]] = OrderedDict()
        self._free_by_key: dict[TreeKey, list[PrefixTree]] = {}

    @property
    def size(self) -> int:
        """Bytes of all trees, lent ones included."""
        return self._held

    def take(self, key: TreeKey, plan: Plan, candidates: int) -> PrefixTree:
        """Lend a tree of `plan`, with room for the nodes of `candidates` that pass; `give_back` must follow.

        Raises `MemoryError`.
        """
        if not self.limit:
            return PrefixTree(plan, candidates)
        with self._lock:
            # The free tree of this key that has most room, of those in which the candidates fit.
            tree = None
            for free in self._free_by_key.get(key, ()):
                if (tree is None or free.room > tree.room) and self._fits(free, candidates):
                    tree = free
            if tree is None:
                tree = PrefixTree(plan)
                self._held += tree.size
            else:
                self._remove(tree)
        tree.loans_until_growth -= 1
        try:
            if candidates * tree.ring > tree.passing or (tree.loans_until_growth <= 0 and tree.full):
                self._fit(key, tree, candidates)
        except MemoryError:
            # Its arrays may be of different sizes now: it is let go, and counts no longer.
            with self._lock:
                self._held -= tree.size
            raise
        return tree

    def give_back(self, key: TreeKey, tree: PrefixTree) -> None:
        """Keep the tree where it fits in beside those that are kept; what is lent is judged when it comes back."""
        if not self.limit:
            return
        with self._lock:
            others = self._kept
            if others + tree.size > self.limit:
                others = self._evict(key, tree, others, tree.size)
            if tree.size <= self._largest and others + tree.size <= self.limit:
                self._free[id(tree)] = key, tree
                self._free_by_key.setdefault(key, []).append(tree)
                self._kept += tree.size
            else:
                self._held -= tree.size

    def _fits(self, tree: PrefixTree, candidates: int) -> bool:
        passing = candidates * tree.ring
        return passing <= tree.passing or tree_bytes(tree.plan, tree.room, passing) <= self._largest

    def _remove(self, tree: PrefixTree) -> None:
        """Take a free tree off the books of free ones."""
        key, _ = self._free.pop(id(tree))
        trees = self._free_by_key[key]
        trees.remove(tree)
        if not trees:
            del self._free_by_key[key]
        self._kept -= tree.size

    def _fit(self, key: TreeKey, tree: PrefixTree, candidates: int) -> None:
        """Give the tree the room it needs, and more to stay in if it is full: at the cost of free trees, not of lent
        ones.
        """
        plan, passing = tree.plan, max(candidates * tree.ring, tree.passing)
        most = self._most_room(plan, passing)
        wants_growth = tree.full
        room = max(tree.room, min(most, max(FIRST_ROOM, 2 * tree.room))) if wants_growth else tree.room
        with self._lock:
            others = self._evict(key, tree, self._held - tree.size, tree_bytes(plan, room, passing))
            if others + tree_bytes(plan, room, passing) > self.limit:
                room = tree.room
            self._held = others + tree_bytes(plan, room, passing)
        tree.loans_until_growth = LOANS_UNTIL_GROWTH if wants_growth and room == tree.room else 0
        tree.make_room(room, passing, most)

    def _most_room(self, plan: Plan, passing: int) -> int:
        """Return how many nodes may stay in a tree at most, beside so many that pass, or will: pieces become larger,
        and a tree in which they do not fit is of no use.
        """
        likely = min(tree_bytes(plan, 0, MAX_CHUNK * ring_of(plan)), int(self._largest * LARGEST_PASSING))
        node = tree_bytes(plan, SHARED_BY * FEWEST_SHARED, 0) / (SHARED_BY * FEWEST_SHARED)
        most = int((self._largest - max(likely, tree_bytes(plan, 0, passing))) / node)
        return max(LEAST_ROOM, most if plan.multiply_adds else min(most, LARGEST_LOOKED_UP))

    def _evict(self, key: TreeKey, tree: PrefixTree, others: int, wanted: int) -> int:
        """Let free trees go, the oldest first, until `wanted` bytes of this one fit in beside so many of others, and
        return what is left of those. None goes that has more room for the same options: two threads that take turns
        with two trees would each have the other's go, and remember nothing.
        """
        if others + wanted <= self.limit:
            return others
        for of, other in list(self._free.values()):
            if others + wanted <= self.limit:
                break
            if of != key or other.room <= tree.room:
                self._remove(other)
                self._held -= other.size
                others -= other.size
        return others


def arrays_of(forms: Sequence[Form]) -> list[np.ndarray[Any, Any]]:
    """Return an array for each shape and type, without any order in what is in them; their memory goes back to the
    system with the last of them. Raises `MemoryError` where there is no more.
    """
    sizes = [math.prod(shape) * np.dtype(kind).itemsize for shape, kind in forms]
    starts = [0]
    for size in sizes:
        starts.append(starts[-1] + -(-size // LINE) * LINE)
    if starts[-1] < FEW:
        return [np.empty(shape, kind) for shape, kind in forms]
    try:
        pages = mmap.mmap(-1, starts[-1], **PRIVATE)
    except OSError as error:
        raise MemoryError(f"{starts[-1]} bytes: {error.strerror}") from error
    if starts[-1] >= MANY and hasattr(mmap, "MADV_HUGEPAGE"):
        # Some systems have none.
        with suppress(OSError):
            pages.madvise(mmap.MADV_HUGEPAGE)
    return [
        np.frombuffer(pages, kind, math.prod(shape), start).reshape(shape)
        for (shape, kind), start in zip(forms, starts, strict=False)
    ]
