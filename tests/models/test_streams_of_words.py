"""The random words of candidates are independent: within a stream, between neighbouring candidates, between seeds."""

from collections.abc import Callable

import numba
import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chisquare

from models.inference import arithmetic

Words = NDArray[np.uint64]
N = 60_000
BITS = 32


@numba.njit(error_model="numpy")
def words(seeds, indices, blocks, out):  # type: ignore[no-untyped-def]
    """Fill `out` (N, 4) with a block of words for each seed, index and number of the block."""
    for k in range(len(seeds)):
        a, b, c, d = arithmetic.philox(seeds[k], indices[k], blocks[k])
        out[k, 0], out[k, 1], out[k, 2], out[k, 3] = a, b, c, d


def blocks_of(seeds: ArrayLike, indices: ArrayLike, blocks: ArrayLike) -> Words:
    """Return (N, 4) words."""
    out = np.empty((N, 4), np.uint64)
    words(*(np.broadcast_to(np.asarray(x, np.uint64), N).copy() for x in (seeds, indices, blocks)), out)
    return out


def within(seed: int) -> tuple[Words, Words]:
    """Each word, and the next one of the same stream: in the block and over its end."""
    one = blocks_of(seed, 12, np.arange(N)).ravel()
    return one[:-1], one[1:]


def between_indices(seed: int) -> tuple[Words, Words]:
    """The first words of neighbouring candidates."""
    one = blocks_of(seed, np.arange(N), 0)[:, 0]
    return one[:-1], one[1:]


def between_seeds(seed: int) -> tuple[Words, Words]:
    """The first words of one candidate under neighbouring seeds."""
    one = blocks_of(seed + np.arange(N), 3, 0)[:, 0]
    return one[:-1], one[1:]


def same_place(seed: int) -> tuple[Words, Words]:
    """The same candidates under two neighbouring seeds, word for word."""
    return blocks_of(seed, np.arange(N), 1).ravel(), blocks_of(seed + 1, np.arange(N), 1).ravel()


def seed_and_index(seed: int) -> tuple[Words, Words]:
    """Candidate i of seed s and candidate i - 1 of seed s + 1: their sums are the same, their words are not."""
    return blocks_of(seed, np.arange(N) + 1, 0).ravel(), blocks_of(seed + 1, np.arange(N), 0).ravel()


def blocks(seed: int) -> tuple[Words, Words]:
    """The same place in neighbouring blocks."""
    one = blocks_of(seed, 2**40, np.arange(N))
    return one[:-1].ravel(), one[1:].ravel()


PAIRS = (within, between_indices, between_seeds, same_place, seed_and_index, blocks)


def p_value(first: Words, second: Words, shift: int) -> float:
    """The p-value of a chi-square test that pairs of 4-bit parts are uniform over their 256 cells."""
    cells = ((first >> np.uint64(shift)) & np.uint64(15)) * np.uint64(16) + (
        (second >> np.uint64(shift)) & np.uint64(15)
    )
    return float(chisquare(np.bincount(cells.astype(np.int64), minlength=256)).pvalue)


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**53 - 1 - N])
@pytest.mark.parametrize("pairs", PAIRS, ids=lambda pairs: pairs.__name__)
def test_pairs_of_words_are_independent(pairs: Callable[[int], tuple[Words, Words]], seed: int) -> None:
    """Pairs fill all 256 cells alike, by their highest four bits, which decide most draws, and the lowest that count
    (chi-square, p > 1e-4).
    """
    first, second = pairs(seed)
    assert len(first) >= N - 1
    for shift in (BITS - 4, BITS - 8, 2):
        assert p_value(first, second, shift) > 1e-4


@pytest.mark.parametrize("pairs", PAIRS, ids=lambda pairs: pairs.__name__)
def test_words_are_not_correlated(pairs: Callable[[int], tuple[Words, Words]]) -> None:
    """As numbers from 0 to 1, the two of a pair have a correlation within four standard errors of zero."""
    first, second = pairs(5)
    correlation = np.corrcoef(first.astype(np.float64), second.astype(np.float64))[0, 1]
    assert abs(correlation) < 4 / np.sqrt(len(first))


def test_dependence_would_be_seen() -> None:
    """The test has teeth: words whose pairs are related in one bit of sixteen draws fail it."""
    first = blocks_of(3, np.arange(N), 0)[:, 0]
    second = blocks_of(4, np.arange(N), 0)[:, 0]
    related = np.where(np.arange(N) % 16 == 0, first, second)
    assert p_value(first, second, 28) > 1e-4
    assert p_value(first, related, 28) < 1e-4


def test_no_two_streams_are_alike() -> None:
    """Of 240,000 blocks of neighbouring seeds, candidates and positions, no two are the same."""
    seen = [blocks_of(seed, np.arange(N), block) for seed in (8, 9) for block in (0, 1)]
    assert len(np.unique(np.concatenate(seen), axis=0)) == 4 * N
