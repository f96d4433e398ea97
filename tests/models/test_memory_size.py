"""The memory of prefixes keeps within its bound, and what it lets go for that."""

import numpy as np
import pytest

from models import NameGenerator, SamplingOptions
from models.inference import PrefixMemory
from models.networks import Network
from tests.models.remembering import MEBIBYTE, OPTIONS, Watched, computed, drawn


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
