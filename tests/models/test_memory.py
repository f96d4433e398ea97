"""The memory of prefixes: it changes no result, whoever shares it, and saves computing."""

import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import NameGenerator, SamplingOptions
from models.inference import ModelPredictor, PrefixMemory
from models.networks import Network
from tests.models.remembering import LONGEST, MEBIBYTE, OPTIONS, Watched, computed, drawn

Piece = tuple[int, int, int, int]


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
