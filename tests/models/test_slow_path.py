"""The sampler against its definition: each candidate alone, position by position, by the plain form of the model."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from models import NameGenerator, SamplingOptions
from models.inference import MAX_SEED, PrefixMemory
from models.networks import Network

Drawn = tuple[NDArray[np.int32], NDArray[np.int32]]
SlowPath = Callable[[NameGenerator, SamplingOptions, int, int, int, int], Drawn]

OPTIONS = (
    SamplingOptions(),
    SamplingOptions(temperature=0.05),
    SamplingOptions(temperature=5.0, top_k=3),
    SamplingOptions(temperature=0.5, top_p=0.6),
    SamplingOptions(temperature=1.7, top_k=8, top_p=0.9),
    SamplingOptions(top_k=1000, top_p=1.0),
    SamplingOptions(prefix="k", min_length=3),
    SamplingOptions(prefix="shave", min_length=7, temperature=1.3, top_p=0.95),
    SamplingOptions(prefix="kalomiren", top_k=2),
    SamplingOptions(min_length=14, temperature=0.7),
    SamplingOptions(excludes="ak"),
    SamplingOptions(prefix="lo", excludes="einrst", temperature=1.4, top_k=3, min_length=5),
)
# (seed, first candidate): the ends of both ranges among them.
STREAMS = ((0, 0), (1, 63), (MAX_SEED, 2**32 - 5), (77, MAX_SEED - 11))
LONGEST, EACH = 14, 11


def drawn(
    generator: NameGenerator,
    options: SamplingOptions,
    seed: int,
    first: int,
    n: int,
    memory: PrefixMemory | None = None,
    longest: int = LONGEST,
) -> bytes:
    """What `draw` gives, as bytes."""
    prefix = np.array(generator.vocabulary.encode(options.prefix), np.int64)
    codes, lengths = generator.draw(prefix, options, longest, seed, first, n, memory)
    assert codes.dtype == lengths.dtype == np.int32
    return codes.tobytes() + lengths.tobytes()


@pytest.mark.parametrize("options", OPTIONS, ids=repr)
def test_draw_equals_the_slow_path(
    any_generator: tuple[NameGenerator, Network], slow_path: SlowPath, options: SamplingOptions
) -> None:
    """Whatever the memory of prefixes (none, fresh, warm, one that is full at once), codes and lengths are those of the
    slow path to the byte.
    """
    generator, _ = any_generator
    warm, tiny = PrefixMemory(8), PrefixMemory(0.05)
    for n in (3, 700, 700):
        for memory in (warm, tiny):
            drawn(generator, options, 5, 0, n, memory)
    lengths = set()
    for seed, first in STREAMS:
        codes, sizes = slow_path(generator, options, LONGEST, seed, first, EACH)
        expected = codes.tobytes() + sizes.tobytes()
        lengths.update(sizes.tolist())
        assert drawn(generator, options, seed, first, EACH) == expected
        for memory in (PrefixMemory(0), PrefixMemory(8), warm, warm, tiny, tiny):
            assert drawn(generator, options, seed, first, EACH, memory) == expected
    assert len(lengths) > 3 or options != SamplingOptions()


def test_one_memory_serves_all_options(any_generator: tuple[NameGenerator, Network], slow_path: SlowPath) -> None:
    """One memory used in turn under many options, large enough or not, never mixes them up."""
    generator, _ = any_generator
    large, tiny = PrefixMemory(8), PrefixMemory(0.05)
    expected = {}
    for options in OPTIONS:
        codes, sizes = slow_path(generator, options, LONGEST, 3, 20, 9)
        expected[options] = codes.tobytes() + sizes.tobytes()
    for _ in range(3):
        for options in OPTIONS:
            for memory in (large, tiny):
                assert drawn(generator, options, 3, 20, 9, memory) == expected[options]


def test_every_length_has_its_slow_path(any_generator: tuple[NameGenerator, Network], slow_path: SlowPath) -> None:
    """From one character to 64, names that are too long end where the slow path ends them."""
    generator, _ = any_generator
    memory, options = PrefixMemory(8), SamplingOptions(temperature=1.5)
    for longest in (1, 2, 3, 4, 5, 8, 64):
        codes, sizes = slow_path(generator, options, longest, 8, 100, 12)
        expected = codes.tobytes() + sizes.tobytes()
        assert drawn(generator, options, 8, 100, 12, longest=longest) == expected
        assert drawn(generator, options, 8, 100, 12, memory, longest) == expected


def test_a_prefix_of_the_whole_length(any_generator: tuple[NameGenerator, Network], slow_path: SlowPath) -> None:
    """Where the prefix is as long as a name may be, a candidate either ends there or is too long."""
    generator, _ = any_generator
    options = SamplingOptions(prefix="kalo")
    codes, sizes = slow_path(generator, options, 4, 1, 0, 300)
    assert set(sizes.tolist()) <= {-1, 4}
    assert drawn(generator, options, 1, 0, 300, longest=4) == codes.tobytes() + sizes.tobytes()


def test_many_abreast_equal_each_alone(any_generator: tuple[NameGenerator, Network]) -> None:
    """Candidates drawn 1,500 abreast, by the hundred and one by one are the same to the byte, and so are pieces that
    overlap.
    """
    generator, _ = any_generator
    options, prefix = SamplingOptions(temperature=1.2), np.zeros(0, np.int64)
    codes, lengths = generator.draw(prefix, options, 12, 9, 1000, 1500)
    memory = PrefixMemory(2)
    for first in range(0, 1500, 97):
        some = generator.draw(prefix, options, 12, 9, 1000 + first, 100, memory)
        assert (some[0][: 1500 - first] == codes[first : first + 100]).all()
        assert (some[1][: 1500 - first] == lengths[first : first + 100]).all()
    for first in range(0, 1500, 53):
        one = generator.draw(prefix, options, 12, 9, 1000 + first, 1)
        assert (one[0][0] == codes[first]).all()
        assert one[1][0] == lengths[first]
