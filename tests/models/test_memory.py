"""A memory of prefixes changes no result, saves computing, keeps within its limit and frees its pages."""

import errno
import gc
import itertools
import mmap
import re
import sys
import threading
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import NameGenerator, SamplingOptions
from models.inference import ModelPredictor, PrefixMemory
from models.kernel.evaluate import QUARTER
from models.kernel.plan import Plan
from models.kernel.prefix_cache import FEW, LEAST_ROOM, LINE, MANY, Form, PrefixTree, TreeKey, arrays_of
from models.kernel.sample import LAST_NUMBER
from tests.models.reference import Drawn, assert_same, draw, joined, lent, with_weights

MEBIBYTE = 2**20
OPTIONS = (
    SamplingOptions(),
    SamplingOptions(temperature=0.7),
    SamplingOptions(temperature=2.0, top_k=9),
    SamplingOptions(top_p=0.8, min_length=4),
    SamplingOptions(prefix="ka"),
    SamplingOptions(prefix="shavel", temperature=0.7),
)


class WatchedMemory(PrefixMemory):
    """A memory that knows every tree it ever lent, as long as the tree lives."""

    def __init__(self, mebibytes: float) -> None:
        super().__init__(mebibytes)
        self.trees: list[weakref.ref[PrefixTree]] = []

    def take(self, key: TreeKey, plan: Plan, candidates: int) -> PrefixTree:
        """Lend a tree and record it."""
        tree = super().take(key, plan, candidates)
        if not any(known() is tree for known in self.trees):
            self.trees.append(weakref.ref(tree))
        return tree

    @property
    def bytes_alive(self) -> int:
        """Bytes of all arrays of all trees that are alive."""
        trees = [tree for known in self.trees if (tree := known()) is not None]
        return sum(array.nbytes for tree in trees for array in tree.arrays)


def computed(memory: PrefixMemory, generator: NameGenerator) -> int:
    """How many prefixes the generator's tree has computed; 0 for a new tree."""
    with lent(memory, generator, 1) as tree:
        return tree.computed


PIECES = st.tuples(
    st.sampled_from(OPTIONS), st.sampled_from([1, 2, 7, 64, 65, 300]), st.integers(0, 3), st.integers(0, 400)
)


@settings(max_examples=60)
@given(st.lists(PIECES, min_size=1, max_size=12), st.sampled_from([0, 0.002, 0.05, 0.3, 1, 8]))
def test_memory_of_any_history_changes_no_draw(
    generator: NameGenerator, pieces: list[tuple[SamplingOptions, int, int, int]], mebibytes: float
) -> None:
    memory = PrefixMemory(mebibytes)
    for options, n, seed, first in pieces:
        assert_same(draw(generator, options, seed, first, n, memory), draw(generator, options, seed, first, n))


@pytest.mark.parametrize("mebibytes", [0.2, 4])
def test_threads_sharing_a_memory_draw_unchanged_names(generator: NameGenerator, mebibytes: float) -> None:
    memory, total = PrefixMemory(mebibytes), 2500
    jobs = [(OPTIONS[0], 1), (OPTIONS[0], 2), (OPTIONS[0], 1), (OPTIONS[2], 1)]
    start = threading.Barrier(len(jobs), timeout=60)

    def drawn_in_pieces(number: int) -> Drawn:
        options, seed = jobs[number]
        sizes, first, pieces = np.random.default_rng(number), 0, []
        start.wait()
        while first < total:
            n = min(int(sizes.integers(1, 120)), total - first)
            pieces.append(draw(generator, options, seed, first, n, memory))
            first += n
        return joined(pieces)

    with ThreadPoolExecutor(len(jobs)) as pool:
        found = list(pool.map(drawn_in_pieces, range(len(jobs))))
    for drawn, (options, seed) in zip(found, jobs, strict=True):
        assert_same(drawn, draw(generator, options, seed, 0, total))


def test_repeated_draws_stop_computing_distributions(generator: NameGenerator) -> None:
    memory, options = PrefixMemory(16), SamplingOptions()
    counts = []
    for _ in range(14):
        draw(generator, options, 1, 0, 200, memory)
        counts.append(computed(memory, generator))
    assert counts[0] > 50
    assert counts[-1] == counts[-2]


def test_one_tree_serves_all_options(generator: NameGenerator) -> None:
    memory = WatchedMemory(16)
    for _ in range(14):
        draw(generator, SamplingOptions(), 1, 0, 200, memory)
    before = computed(memory, generator)
    for options in (SamplingOptions(min_length=2), SamplingOptions(top_k=27), SamplingOptions(temperature=0.999)):
        assert_same(draw(generator, options, 1, 0, 20, memory), draw(generator, options, 1, 0, 20))
    assert sum(known() is not None for known in memory.trees) == 1
    assert computed(memory, generator) - before < 100


def test_call_for_no_candidates_leaves_the_tree_sound(generator: NameGenerator) -> None:
    memory = PrefixMemory(4)
    draw(generator, SamplingOptions(), 1, 0, 0, memory)
    assert_same(draw(generator, SamplingOptions(), 1, 0, 9, memory), draw(generator, SamplingOptions(), 1, 0, 9))


def test_options_after_the_last_number_change_no_draw(
    generator: NameGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.inference.prepared._numbers", itertools.count(LAST_NUMBER))
    memory = PrefixMemory(4)
    # None of these was seen before: the first gets the last number.
    for temperature in (0.7301, 1.4302, 0.3303, 1.4302, 0.7301):
        options = SamplingOptions(temperature=temperature)
        assert_same(draw(generator, options, 1, 0, 40, memory), draw(generator, options, 1, 0, 40))


def test_memory_of_zero_mebibytes_keeps_nothing(generator: NameGenerator) -> None:
    memory = WatchedMemory(0)
    for _ in range(3):
        draw(generator, SamplingOptions(), 1, 0, 100, memory)
        assert memory.size == 0
        assert memory.bytes_alive == 0
        assert computed(memory, generator) == 0


def test_memory_stays_valid_after_an_error_during_a_loan(generator: NameGenerator) -> None:
    memory, options = PrefixMemory(4), SamplingOptions()
    draw(generator, options, 1, 0, 50, memory)
    with pytest.raises(RuntimeError), lent(memory, generator, 5):
        raise RuntimeError
    assert computed(memory, generator) > 0
    assert_same(draw(generator, options, 1, 0, 50, memory), draw(generator, options, 1, 0, 50))


def test_concurrent_loans_and_other_models_get_distinct_trees(generator: NameGenerator) -> None:
    memory = PrefixMemory(4)
    with lent(memory, generator, 5) as one, lent(memory, generator, 5) as two:
        assert one is not two
    assert isinstance(generator.predictor, ModelPredictor)
    twin = ModelPredictor(generator.predictor.model, generator.vocabulary, generator.kernels)
    other = NameGenerator(twin, generator.names, generator.longest, generator.kernels)
    with lent(memory, other, 5) as foreign:
        assert foreign is not one
        assert foreign is not two
        assert foreign.plan is other.plan


def test_tree_keeps_prefixes_that_come_again(generator: NameGenerator) -> None:
    memory, sampler = PrefixMemory(0.5), generator.prepare(SamplingOptions(temperature=1.5))
    sampler.draw(1, 0, 1, memory)
    with lent(memory, generator, 1) as tree:
        missing = Counter[str]()
    kept: set[str] = set()
    for k in range(4000):
        before, expected, settled = tree.computed, 0, kept | {""}
        codes, lengths = sampler.draw(2, k % 700, 1, memory)
        length = int(lengths[0]) if lengths[0] >= 0 else sampler.longest
        path = [""] + ["".join(map(chr, codes[0, :n])) for n in range(1, length + 1)]
        for parent, prefix in pairwise(path):
            if prefix in kept:
                continue
            expected += 1
            if parent not in kept | {""}:
                continue
            missing[prefix] += 1
            quarter, nodes = tree.used[QUARTER], len(kept) + LEAST_ROOM
            comes_again = parent in settled and nodes < quarter * (missing[prefix] + 1)
            if nodes < tree.room and (nodes < quarter or comes_again):
                kept.add(prefix)
        assert tree.computed == before + expected
    assert len(kept) + LEAST_ROOM > 3 * tree.used[QUARTER]


@pytest.mark.parametrize("wide", [1, 1000])
def test_fullest_tree_survives_alternating_loans(generator: NameGenerator, wide: int) -> None:
    memory, options = WatchedMemory(4), SamplingOptions(temperature=3.0)
    # The last quarter takes prefixes that come again.
    for k in range(1000):
        draw(generator, options, 1, k % 250 * 64, 64, memory)
    with lent(memory, generator, 1) as most:
        room = most.room
    for k in range(60):
        first, second = ExitStack(), ExitStack()
        assert first.enter_context(lent(memory, generator, 1)) is most
        second.enter_context(lent(memory, generator, wide))
        first.close()
        second.close()
        with lent(memory, generator, 1):
            draw(generator, options, 2, k * 256, 64, memory)
        assert memory.bytes_alive <= 4 * MEBIBYTE
    assert most.room == room
    assert most in (known() for known in memory.trees)


HOT = SamplingOptions(temperature=3.0)


def test_failed_allocation_releases_the_tree_and_its_size(
    generator: NameGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = PrefixMemory(16)
    expected = draw(generator, SamplingOptions(), 1, 0, 50, memory)
    before = memory.size
    for k in range(3):
        with monkeypatch.context() as broken:
            broken.setattr("models.kernel.prefix_cache.arrays_of", Mock(side_effect=MemoryError))
            with pytest.raises(MemoryError):
                draw(generator, SamplingOptions(), 1, 0, 2_000 + k, memory)
        assert memory.size == 0
        assert_same(draw(generator, SamplingOptions(), 1, 0, 50, memory), expected)
        assert memory.size == before


@pytest.mark.row(33)
@pytest.mark.parametrize("mebibytes", [1, 3])
def test_size_stays_within_the_limit_as_blends_change(generator: NameGenerator, mebibytes: int) -> None:
    memory, sizes = WatchedMemory(mebibytes), np.random.default_rng(0)
    for k in range(500):
        blend = with_weights(generator, float(sizes.choice([0.5, 1.0, 1.5, 2.0 + k / 1000])))
        draw(blend, SamplingOptions(), 1, k * 20, int(sizes.integers(1, 20)), memory)
        assert 0 < memory.size <= mebibytes * MEBIBYTE
        assert memory.bytes_alive <= mebibytes * MEBIBYTE
    assert memory.bytes_alive > 0.3 * MEBIBYTE


def test_size_does_not_drift_over_thousands_of_blends(generator: NameGenerator) -> None:
    """A quarter above the limit allows for the odd bytes of so many small trees."""
    memory = WatchedMemory(0.25)
    for k in range(2500):
        with lent(memory, with_weights(generator, k), 1):
            pass
        if k % 100 == 99:
            memory.trees = [known for known in memory.trees if known() is not None]
    assert memory.bytes_alive <= 0.25 * MEBIBYTE * 5 / 4


def test_piece_larger_than_the_limit_is_drawn_but_not_kept(generator: NameGenerator) -> None:
    memory, n = WatchedMemory(1), 8000
    assert_same(draw(generator, SamplingOptions(), 1, 0, n, memory), draw(generator, SamplingOptions(), 1, 0, n))
    assert memory.size <= MEBIBYTE
    assert memory.bytes_alive <= MEBIBYTE


def test_reported_size_is_the_bytes_of_the_arrays(generator: NameGenerator) -> None:
    memory = WatchedMemory(16)
    for number, options in enumerate(OPTIONS):
        for _ in range(4):
            draw(with_weights(generator, number), options, 1, 0, 200, memory)
    trees = sum(known() is not None for known in memory.trees)
    assert trees >= 4
    assert memory.bytes_alive - 1024 * trees <= memory.size <= memory.bytes_alive * 7 / 6


def test_least_recently_used_tree_is_evicted_first(generator: NameGenerator) -> None:
    memory, options = PrefixMemory(1), SamplingOptions()
    first, *others = (with_weights(generator, number) for number in range(60))
    for blend in (first, *others):
        for _ in range(3):
            draw(blend, options, 1, 0, 60, memory)
        if blend not in (first, others[-1]):
            # Used between all others, it is never the oldest.
            draw(first, options, 1, 0, 60, memory)
    assert computed(memory, others[-1]) > 0
    assert computed(memory, first) > 0
    assert [computed(memory, blend) for blend in others[:10]] == [0] * 10


@pytest.mark.parametrize("last", [64, 250])
def test_long_stream_leaves_room_for_small_requests(generator: NameGenerator, last: int) -> None:
    memory, small = WatchedMemory(3), with_weights(generator, 1)
    draw(small, SamplingOptions(), 1, 0, 5, memory)
    for k in range(150):
        draw(generator, HOT, 1, k * 64, 64, memory)
        assert memory.bytes_alive <= 3 * MEBIBYTE
    draw(generator, HOT, 1, 9600, last, memory)
    with lent(memory, generator, 1) as tree:
        assert tree.computed > 1000
        assert sum(array.nbytes for array in tree.arrays) <= 7 / 8 * 3 * MEBIBYTE
    assert computed(memory, small) > 0


def test_full_tree_is_reused_for_larger_pieces(generator: NameGenerator) -> None:
    memory = PrefixMemory(3)
    for k in range(300):
        draw(generator, HOT, 1, k * 64, 64, memory)
    with lent(memory, generator, 1) as before:
        pass
    with lent(memory, generator, 128) as after:
        assert after is before


LARGE: list[Form] = [((MANY,), np.int32)]


@pytest.mark.parametrize("rows", [1, 100, FEW, MANY])
def test_arrays_have_the_requested_form_and_do_not_overlap(rows: int) -> None:
    forms: list[Form] = [((rows, 3), np.int32), ((rows,), np.float32), ((0, 7), np.float32), ((2, rows), np.int32)]
    arrays = arrays_of(forms)
    for number, (array, (shape, kind)) in enumerate(zip(arrays, forms, strict=True)):
        assert (array.shape, array.dtype) == (shape, kind)
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.flags.aligned
        assert rows < FEW or array.ctypes.data % LINE == 0
        array[...] = number
    for number, array in enumerate(arrays):
        assert (array == number).all()


def test_system_without_large_pages_still_gives_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    class WithoutLargePages(mmap.mmap):
        def madvise(self, *_: int) -> None:
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr("models.kernel.prefix_cache.mmap.mmap", WithoutLargePages)
    [array] = arrays_of(LARGE)
    assert array.shape == (MANY,)


def test_exhausted_memory_raises_memory_error(monkeypatch: pytest.MonkeyPatch) -> None:
    exhausted = Mock(side_effect=OSError(errno.ENOMEM, "Cannot allocate memory"))
    monkeypatch.setattr("models.kernel.prefix_cache.mmap.mmap", exhausted)
    with pytest.raises(MemoryError, match="Cannot allocate"):
        arrays_of(LARGE)


@pytest.mark.row(33)
@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
def test_memory_of_freed_arrays_returns_to_the_system() -> None:
    def resident_mebibytes() -> float:
        return int(re.findall(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[0]) / 1024

    arrays_of([((FEW,), np.int32)])
    gc.collect()
    before = resident_mebibytes()
    for size in range(1, 9):
        kept = [arrays_of([((size * FEW, 8), np.int32), ((FEW,), np.float32)]) for _ in range(2)]
        for each in kept:
            for array in each:
                array[...] = 1
        assert resident_mebibytes() - before > 2 * size * 7
        del kept, each, array
    gc.collect()
    assert resident_mebibytes() - before < 8
