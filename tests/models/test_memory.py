"""The memory of prefixes: it changes no result, whoever shares it, and keeps within its bound."""

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import NameGenerator, SamplingOptions
from models.inference import ModelPredictor, PrefixMemory
from models.inference.memory import PrefixTree
from models.inference.plan import Plan
from models.networks import Network

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
Piece = tuple[int, int, int, int]


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


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(OPTIONS) - 1),
            st.sampled_from([1, 2, 7, 64, 65, 300]),
            st.integers(0, 3),
            st.integers(0, 400),
        ),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([0, 0.002, 0.05, 0.3, 1, 8]),
)
def test_no_history_changes_a_result(
    any_generator: tuple[NameGenerator, Network], pieces: list[Piece], mebibytes: float
) -> None:
    """After any sequence of options, sizes, seeds and offsets, and in memories of any size, a piece is what it is
    without memory.
    """
    generator, _ = any_generator
    memory = PrefixMemory(mebibytes)
    for which, n, seed, first in pieces:
        options = OPTIONS[which]
        assert drawn(generator, options, seed, first, n, memory) == drawn(generator, options, seed, first, n)


@pytest.mark.parametrize("mebibytes", [0.2, 4])
def test_two_threads_share_a_memory(any_generator: tuple[NameGenerator, Network], mebibytes: float) -> None:
    """Four threads that draw thousands of candidates in pieces of random size from one memory, two of them under the
    same options, get what one thread gets without memory.
    """
    generator, _ = any_generator
    memory, total, prefix = PrefixMemory(mebibytes), 2500, np.zeros(0, np.int64)
    jobs = [(OPTIONS[0], 1), (OPTIONS[0], 2), (OPTIONS[0], 1), (OPTIONS[2], 1)]
    expected = [generator.draw(prefix, options, LONGEST, seed, 0, total) for options, seed in jobs]
    found: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in jobs]
    start = threading.Barrier(len(jobs))

    def work(number: int) -> None:
        options, seed = jobs[number]
        sizes, first = np.random.default_rng(number), 0
        start.wait()
        while first < total:
            n = min(int(sizes.integers(1, 120)), total - first)
            found[number].append(generator.draw(prefix, options, LONGEST, seed, first, n, memory))
            first += n

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for pieces, (codes, lengths) in zip(found, expected, strict=True):
        assert np.array_equal(np.concatenate([piece[0] for piece in pieces]), codes)
        assert np.array_equal(np.concatenate([piece[1] for piece in pieces]), lengths)


def test_a_memory_saves_computing(any_generator: tuple[NameGenerator, Network]) -> None:
    """The same candidates drawn again and again compute next to nothing: what they need is remembered."""
    generator, _ = any_generator
    memory, options = PrefixMemory(16), SamplingOptions()
    counts = [0]
    for _ in range(14):
        drawn(generator, options, 1, 0, 200, memory)
        counts.append(computed(memory, generator, options))
    assert counts[1] > 50
    assert counts[-1] == counts[-2]


def test_no_mebibytes_keep_nothing(any_generator: tuple[NameGenerator, Network]) -> None:
    """A memory of 0 MiB holds no byte, before, between and after draws, and every tree is new."""
    generator, _ = any_generator
    memory = Watched(0)
    for _ in range(3):
        drawn(generator, SamplingOptions(), 1, 0, 100, memory)
        assert memory.size == 0
        assert memory.bytes_alive == 0
        assert computed(memory, generator, SamplingOptions()) == 0


def test_a_tree_that_found_no_room_counts_no_longer(
    any_generator: tuple[NameGenerator, Network], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no memory for a tree that grows, the draw fails, what is counted is what lives, and once there is
    memory again the same names come.
    """
    generator, _ = any_generator
    memory = PrefixMemory(4)
    expected = drawn(generator, SamplingOptions(), 1, 0, 50, memory)
    before = memory.size

    def nothing(_: object) -> list[np.ndarray]:
        raise MemoryError

    for k in range(3):
        with monkeypatch.context() as broken:
            broken.setattr("models.inference.memory.arrays_of", nothing)
            with pytest.raises(MemoryError):
                drawn(generator, SamplingOptions(), 1, 0, 2_000 + k, memory)
        assert memory.size == 0
        assert drawn(generator, SamplingOptions(), 1, 0, 50, memory) == expected
        assert memory.size == before


@pytest.mark.parametrize("mebibytes", [1, 3])
def test_the_size_keeps_to_the_limit(any_generator: tuple[NameGenerator, Network], mebibytes: int) -> None:
    """While options come and go, for few candidates at a time, neither the size told nor the bytes of all arrays pass
    the limit.
    """
    generator, _ = any_generator
    memory, sizes = Watched(mebibytes), np.random.default_rng(0)
    for k in range(500):
        options = SamplingOptions(temperature=float(sizes.choice([0.5, 1.0, 1.5, 2.0 + k / 1000])))
        drawn(generator, options, 1, k * 20, int(sizes.integers(1, 20)), memory)
        assert 0 < memory.size <= mebibytes * MEBIBYTE
        assert memory.bytes_alive <= mebibytes * MEBIBYTE
    assert memory.bytes_alive > 0.3 * MEBIBYTE


def test_the_size_is_not_lost_count_of(any_generator: tuple[NameGenerator, Network]) -> None:
    """After thousands of options that came once and went, the arrays that live still take what is allowed, give or take
    a quarter for the odd bytes of so many small trees.
    """
    generator, _ = any_generator
    memory = Watched(0.25)
    for k in range(2500):
        with memory.lend(generator.plan, SamplingOptions(temperature=0.1 + k / 1000), 1):
            pass
        if k % 100 == 99:
            memory.trees = [known for known in memory.trees if known() is not None]
    assert memory.bytes_alive <= 0.25 * MEBIBYTE * 5 / 4


def test_too_large_a_piece_is_not_kept(any_generator: tuple[NameGenerator, Network]) -> None:
    """A piece whose passing prefixes alone take more than the limit is drawn, and nothing above the limit is kept."""
    generator, _ = any_generator
    memory, n = Watched(1), 8000
    assert drawn(generator, SamplingOptions(), 1, 0, n, memory) == drawn(generator, SamplingOptions(), 1, 0, n)
    assert memory.size <= MEBIBYTE
    assert memory.bytes_alive <= MEBIBYTE


def test_the_size_told_is_that_of_the_arrays(any_generator: tuple[NameGenerator, Network]) -> None:
    """The size told is the bytes of all arrays: at most a kibibyte a tree too few, at most a sixth too many."""
    generator, _ = any_generator
    memory = Watched(16)
    for options in OPTIONS:
        for _ in range(4):
            drawn(generator, options, 1, 0, 200, memory)
    trees = sum(known() is not None for known in memory.trees)
    assert trees >= 4
    assert memory.bytes_alive - 1024 * trees <= memory.size <= memory.bytes_alive * 7 / 6


def test_the_least_recently_used_goes_first(any_generator: tuple[NameGenerator, Network]) -> None:
    """Where room is short, the options that were used last are still remembered, those before them are not."""
    generator, _ = any_generator
    memory = PrefixMemory(1)
    first, others = SamplingOptions(temperature=0.9), [SamplingOptions(temperature=1 + k / 50) for k in range(1, 60)]
    for _ in range(3):
        drawn(generator, first, 1, 0, 60, memory)
    for options in others:
        for _ in range(3):
            drawn(generator, options, 1, 0, 60, memory)
        if options is not others[-1]:
            # Used between all others, it is never the oldest.
            drawn(generator, first, 1, 0, 60, memory)
    assert computed(memory, generator, others[-1]) > 0
    assert computed(memory, generator, first) > 0
    remembered = [computed(memory, generator, options) > 0 for options in others[:10]]
    assert not any(remembered)


def test_a_long_stream_leaves_room(any_generator: tuple[NameGenerator, Network]) -> None:
    """A stream of ever new names takes at most seven eighths, and small requests' prefixes beside it stay."""
    generator, _ = any_generator
    memory, small = Watched(2), SamplingOptions(temperature=0.3)
    drawn(generator, small, 1, 0, 5, memory)
    for k in range(120):
        drawn(generator, SamplingOptions(temperature=3.0), 1, k * 64, 64, memory)
        assert memory.bytes_alive <= 2 * MEBIBYTE
    with memory.lend(generator.plan, SamplingOptions(temperature=3.0), 1) as tree:
        assert tree.computed > 1000
        assert sum(array.nbytes for array in tree.arrays()) <= 7 / 8 * 2 * MEBIBYTE
    assert computed(memory, generator, small) > 0


def test_larger_pieces_keep_to_the_share(any_generator: tuple[NameGenerator, Network]) -> None:
    """A stream whose pieces grow after its tree has filled its room has no tree above seven eighths either."""
    generator, _ = any_generator
    memory, options = Watched(2), SamplingOptions(temperature=3.0)
    for k in range(150):
        drawn(generator, options, 1, k * 64, 64, memory)
    drawn(generator, options, 1, 9600, 250, memory)
    with memory.lend(generator.plan, options, 1) as tree:
        assert sum(array.nbytes for array in tree.arrays()) <= 7 / 8 * 2 * MEBIBYTE


def test_a_failed_call_leaves_a_whole_memory(any_generator: tuple[NameGenerator, Network]) -> None:
    """Where the caller fails while a tree is lent, the tree comes back, and the next one draws the same names."""
    generator, _ = any_generator
    memory, options = PrefixMemory(4), SamplingOptions()
    drawn(generator, options, 1, 0, 50, memory)
    with pytest.raises(RuntimeError), memory.lend(generator.plan, options, 5):
        raise RuntimeError
    assert computed(memory, generator, options) > 0
    assert drawn(generator, options, 1, 0, 50, memory) == drawn(generator, options, 1, 0, 50)


def test_two_at_once_have_two_trees(any_generator: tuple[NameGenerator, Network]) -> None:
    """A tree is in one hand at a time, and never in those of another model."""
    generator, _ = any_generator
    memory, options = PrefixMemory(4), SamplingOptions()
    with memory.lend(generator.plan, options, 5) as one, memory.lend(generator.plan, options, 5) as two:
        assert one is not two
    assert isinstance(generator.predictor, ModelPredictor)
    twin = ModelPredictor(generator.predictor.model, generator.vocabulary, generator.kernels)
    other = NameGenerator(twin, generator.names, generator.longest, generator.kernels)
    with memory.lend(other.plan, options, 5) as foreign:
        assert foreign is not one
        assert foreign is not two
        assert foreign.plan is other.plan


@pytest.mark.parametrize("wide", [1, 1000])
def test_two_that_take_turns_forget_nothing(any_generator: tuple[NameGenerator, Network], wide: int) -> None:
    """However often two threads need a tree of the same options at once, whichever gives its own back last, and however
    large that became, the one that holds most is kept, and is the one that is lent first.
    """
    generator, _ = any_generator
    memory, options = Watched(4), SamplingOptions(temperature=3.0)
    for k in range(200):
        drawn(generator, options, 1, k * 64, 64, memory)
    with memory.lend(generator.plan, options, 1) as most:
        room = most.room
    for k in range(60):
        first, second = (memory.lend(generator.plan, options, candidates) for candidates in (1, wide))
        assert first.__enter__() is most
        second.__enter__()
        first.__exit__(None, None, None)
        second.__exit__(None, None, None)
        with memory.lend(generator.plan, options, 1):
            drawn(generator, options, 2, k * 256, 64, memory)
        assert memory.bytes_alive <= 4 * MEBIBYTE
    assert most.room == room
    assert most in (known() for known in memory.trees)


def test_a_full_tree_still_takes_larger_pieces(any_generator: tuple[NameGenerator, Network]) -> None:
    """A tree that small pieces filled is the one that a piece twice as large is drawn with."""
    generator, _ = any_generator
    memory, options = PrefixMemory(3), SamplingOptions(temperature=3.0)
    for k in range(300):
        drawn(generator, options, 1, k * 64, 64, memory)
    with memory.lend(generator.plan, options, 1) as tree:
        before = tree
    with memory.lend(generator.plan, options, 128) as tree:
        assert tree is before
