"""The kernels' arithmetic: functions, random words, products and boundaries."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from scipy.stats import chisquare

from models import Kernels
from models.kernel import arithmetic
from models.kernel.distribution import fill_boundaries
from models.kernel.matmul import LANES, RUN, in_runs, multiply, tile
from tests.models.reference import expected_shares

Words = NDArray[np.uint64]
N = 60_000
BITS = 32


def applied(function: Callable[[np.float32], np.float32], x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The function's value at each place."""
    return np.array([function(value) for value in x], np.float32)


def test_exp_is_within_two_units_in_the_last_place() -> None:
    x = np.linspace(-87, 0, 200_001, dtype=np.float32)
    exact = np.exp(x.astype(np.float64))
    units = np.abs(applied(arithmetic.exp, x) - exact) / np.spacing(exact.astype(np.float32))
    assert units.max() <= 2
    assert arithmetic.exp(np.float32(-1e30)) == arithmetic.exp(np.float32(-87))


def test_log_is_within_a_millionth() -> None:
    x = np.concatenate([np.linspace(1, 4, 100_001), np.geomspace(4, 1e6, 100_000)]).astype(np.float32)
    ours, exact = applied(arithmetic.log, x), np.log(x.astype(np.float64))
    assert (np.abs(ours - exact) <= np.maximum(1e-6, 2e-7 * exact)).all()
    assert ours[0] == 0


def test_tanh_is_odd_and_within_2e7() -> None:
    x = np.linspace(-100, 100, 200_001, dtype=np.float32)
    ours = applied(arithmetic.tanh, x)
    assert np.abs(ours - np.tanh(x.astype(np.float64))).max() <= 2e-7
    assert (ours == -ours[::-1]).all()


def test_sigmoid_is_within_2e7_and_never_overflows() -> None:
    x = np.concatenate([np.linspace(-100, 100, 200_001), [-1e30, 1e30]]).astype(np.float32)
    assert np.abs(applied(arithmetic.sigmoid, x) - expit(x.astype(np.float64))).max() <= 2e-7


@pytest.mark.parametrize(
    ("key", "low", "high", "words"),
    [
        (0, 0, 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        (2**64 - 1, 2**64 - 1, 2**64 - 1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (0x299F31D0A4093822, 0x85A308D3243F6A88, 0x0370734413198A2E, "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_gives_the_published_words(key: int, low: int, high: int, words: str) -> None:
    """The authors' test vectors of Philox4x32-10."""
    found = arithmetic.philox(np.uint64(key), np.uint64(low), np.uint64(high))
    assert [f"{int(word):08x}" for word in found] == words.split()


@numba.njit(error_model="numpy")
def fill_words(seeds, indices, blocks, out):  # type: ignore[no-untyped-def]
    """Fill `out` (N, 4) with a block of words for each seed, index and number of the block."""
    for k in range(len(seeds)):
        a, b, c, d = arithmetic.philox(seeds[k], indices[k], blocks[k])
        out[k, 0], out[k, 1], out[k, 2], out[k, 3] = a, b, c, d


def blocks_of(seeds: ArrayLike, indices: ArrayLike, blocks: ArrayLike) -> Words:
    """(N, 4) words."""
    out = np.empty((N, 4), np.uint64)
    fill_words(*(np.broadcast_to(np.asarray(x, np.uint64), N).copy() for x in (seeds, indices, blocks)), out)
    return out


def neighbours(words: Words) -> tuple[Words, Words]:
    """Each row but the last, and the row after it."""
    return words[:-1].ravel(), words[1:].ravel()


EACH = np.arange(N)
PAIRS: dict[str, Callable[[int], tuple[Words, Words]]] = {
    "next words of a stream": lambda seed: neighbours(blocks_of(seed, 12, EACH).ravel()),
    "neighbouring candidates": lambda seed: neighbours(blocks_of(seed, EACH, 0)[:, 0]),
    "neighbouring seeds": lambda seed: neighbours(blocks_of(seed + EACH, 3, 0)[:, 0]),
    "same candidates of neighbouring seeds": lambda seed: (
        blocks_of(seed, EACH, 1).ravel(),
        blocks_of(seed + 1, EACH, 1).ravel(),
    ),
    "equal sums of seed and candidate": lambda seed: (
        blocks_of(seed, EACH + 1, 0).ravel(),
        blocks_of(seed + 1, EACH, 0).ravel(),
    ),
    "neighbouring blocks": lambda seed: neighbours(blocks_of(seed, 2**40, EACH)),
}


def p_value(first: Words, second: Words, shift: int) -> float:
    """The p-value of a chi-square test that pairs of 4-bit parts are uniform over their 256 cells."""
    high, low = ((words >> np.uint64(shift)) & np.uint64(15) for words in (first, second))
    cells = high * np.uint64(16) + low
    return float(chisquare(np.bincount(cells.astype(np.int64), minlength=256)).pvalue)


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**53 - 1 - N])
@pytest.mark.parametrize("pairs", PAIRS)
def test_pairs_of_random_words_are_independent_and_uncorrelated(pairs: str, seed: int) -> None:
    """By the highest four bits, which decide most draws, and the lowest that count."""
    first, second = PAIRS[pairs](seed)
    assert len(first) >= N - 1
    for shift in (BITS - 4, BITS - 8, 2):
        assert p_value(first, second, shift) > 1e-4
    correlation = np.corrcoef(first.astype(np.float64), second.astype(np.float64))[0, 1]
    assert abs(correlation) < 4 / np.sqrt(len(first))


def test_chi_square_detects_weak_dependence() -> None:
    first, second = (blocks_of(seed, EACH, 0)[:, 0] for seed in (3, 4))
    related = np.where(EACH % 16 == 0, first, second)
    assert p_value(first, second, 28) > 1e-4
    assert p_value(first, related, 28) < 1e-4


def test_blocks_of_distinct_streams_differ() -> None:
    seen = [blocks_of(seed, EACH, block) for seed in (8, 9) for block in (0, 1)]
    assert len(np.unique(np.concatenate(seen), axis=0)) == 4 * N


Floats = NDArray[np.float32]
UNTOUCHED = np.float32(-12345)


@numba.njit(error_model="numpy")
def multiplied(x, source, n_in, n, weights, at, n_out, out):  # type: ignore[no-untyped-def]
    """`multiply`, called from a kernel."""
    multiply(x, source, n_in, n, weights, at, n_out, out)


def in_order(x: Floats, matrix: Floats) -> Floats:
    """x @ matrix, summed from zero in the order of the inputs: the bits that every sum must have."""
    total = np.zeros((len(x), matrix.shape[1]), np.float32)
    for i in range(len(matrix)):
        total = total + x[:, i : i + 1] * matrix[i]
    return total


def lively(random: np.random.Generator, *shape: int) -> Floats:
    """Numbers of very different sizes, so that another order of additions would show."""
    return (random.normal(size=shape) * 10.0 ** random.integers(-3, 4, shape)).astype(np.float32)


def test_oracle_depends_on_the_order_of_summation() -> None:
    random = np.random.default_rng(0)
    x, matrix = lively(random, 4, 17), lively(random, 17, 32)
    assert in_order(x, matrix).tobytes() != in_order(x[:, ::-1], matrix[::-1]).tobytes()


@pytest.mark.parametrize("n_in", [0, 1, 2, 3, 5, 8, 17, 128])
@pytest.mark.parametrize("n_out", [32, 64, 96])
def test_product_equals_a_plain_loop_bit_for_bit(n_in: int, n_out: int) -> None:
    random = np.random.default_rng(n_in * 100 + n_out)
    for n in (*range(14), 64, 65):
        source, at, spare = int(random.integers(0, 9)), int(random.integers(0, 50)), int(random.integers(0, 40))
        x = lively(random, n + 2, source + n_in + int(random.integers(0, 5)))
        matrix = lively(random, n_in, n_out)
        weights = np.concatenate([lively(random, at), in_runs(matrix), lively(random, 7)])
        out = np.full((n + 3, n_out + spare), UNTOUCHED, np.float32)
        multiplied(x, source, n_in, n, weights, at, n_out, out)
        assert out[:n, :n_out].tobytes() == in_order(x[:n, source : source + n_in], matrix).tobytes()
        assert (out[n:] == UNTOUCHED).all()
        assert (out[:, n_out:] == UNTOUCHED).all()


def test_table_kernel_equals_a_plain_loop_bit_for_bit(kernels: Kernels) -> None:
    random = np.random.default_rng(6)
    x, matrix = lively(random, 731, 24), lively(random, 12, 128)
    out = np.empty((731, 128), np.float32)
    kernels.products(x, 9, 12, in_runs(matrix), out)
    assert out.tobytes() == in_order(x[:, 9:21], matrix).tobytes()


@pytest.mark.parametrize("n_out", [RUN, 3 * RUN])
def test_weight_i_o_lies_in_row_i_of_run_o(n_out: int) -> None:
    matrix = np.arange(5 * n_out, dtype=np.float32).reshape(5, n_out)
    flat = in_runs(matrix)
    for (i, o), weight in np.ndenumerate(matrix):
        assert flat[(o // RUN) * 5 * RUN + i * RUN + o % RUN] == weight


@pytest.mark.parametrize(("rows", "vectors"), [(1, 1), (1, 4), (2, 3), (3, 2), (6, 2), (7, 1)])
def test_tile_computes_its_sums_and_writes_nothing_else(rows: int, vectors: int) -> None:
    compute: Any = tile(rows, vectors)

    @numba.njit(error_model="numpy")
    def call(x, x_at, x_stride, n_in, w, w_at, w_stride, out, out_at, out_stride):  # type: ignore[no-untyped-def]
        compute(x, x_at, x_stride, n_in, w, w_at, w_stride, out, out_at, out_stride)

    random, n_out = np.random.default_rng(rows * 10 + vectors), vectors * LANES
    for n_in, x_at, x_stride, w_at, w_stride, out_at, out_stride in [
        (1, 0, 1, 0, n_out, 0, n_out),
        (0, 0, 1, 0, n_out, 0, n_out),
        (9, 3, 11, 5, n_out + 3, 1, n_out + 5),
        (30, 7, 30, 2, n_out, 4, n_out),
    ]:
        x = lively(random, x_at + rows * x_stride + n_in)
        w = lively(random, w_at + max(n_in, 1) * w_stride)
        out = np.full(out_at + rows * out_stride + 9, UNTOUCHED, np.float32)
        call(x, x_at, x_stride, n_in, w, w_at, w_stride, out, out_at, out_stride)
        expected = np.full_like(out, UNTOUCHED)
        for r in range(rows):
            row = x[x_at + r * x_stride :][:n_in].reshape(1, n_in)
            matrix = np.array([w[w_at + i * w_stride :][:n_out] for i in range(n_in)]).reshape(n_in, n_out)
            expected[out_at + r * out_stride :][:n_out] = in_order(row, matrix)[0]
        assert out.tobytes() == expected.tobytes()


ALL = 2**30
# first, temperature, top_k, top_p
Cut = tuple[int, float, int, float]
CUTS = st.tuples(
    st.integers(0, 1),
    st.just(1.0) | st.floats(0.05, 5),
    st.just(10**6) | st.integers(1, 45),
    st.just(1.0) | st.floats(0.01, 1),
)
# Halves make many ties; other numbers make few.
LOGITS = st.one_of(
    st.lists(st.integers(-6, 6).map(lambda n: n / 2), min_size=2, max_size=40),
    st.lists(st.floats(-30, 30, width=32), min_size=2, max_size=40),
)


@numba.njit(error_model="numpy")
def compiled(logits, first, temperature, top_k, top_p, weight, boundaries):  # type: ignore[no-untyped-def]
    """`fill_boundaries`, called from a kernel."""
    fill_boundaries(logits, first, temperature, top_k, top_p, weight, boundaries)


def boundaries_of(
    logits: list[float],
    first: int = 0,
    temperature: float = 1.0,
    top_k: int = 10**6,
    top_p: float = 1.0,
    padding: int = 0,
    fill: Callable[..., Any] = compiled,
) -> NDArray[np.int32]:
    """The boundaries of some logits, which stand before `padding` large numbers that mean nothing."""
    V = len(logits)
    padded = np.array([*logits, *[90.0] * padding], np.float32)
    weight, boundaries = np.full(V + padding + 3, np.nan, np.float32), np.full(V, -1, np.int32)
    fill(padded, first, np.float32(temperature), min(top_k, V), np.float32(top_p), weight, boundaries)
    return boundaries


def shares_of(logits: list[float], **options: Any) -> NDArray[np.int64]:
    """How many of the 2^30 words each outcome has."""
    return np.diff(boundaries_of(logits, **options), prepend=0)


@settings(max_examples=600)
@given(LOGITS, CUTS, st.integers(0, 33))
@example([1.0, 1.0, 1.0, 1.0], (0, 1.0, 3, 1.0), 0)
@example([0.0] * 29, (1, 5.0, 29, 0.01), 3)
@example([30.0, -30.0], (1, 0.05, 1, 0.5), 0)
@example([-1e-12, 0.0], (0, 1.0, 10**6, 0.25), 0)
@example([0.0, 1.4e-10], (0, 1.0, 1, 1.0), 0)
def test_boundaries_are_the_cumulated_softmax(logits: list[float], cut: Cut, padding: int) -> None:
    expected, margin = expected_shares(logits, *cut)
    assume(margin > 1e-5)
    boundaries = boundaries_of(logits, *cut, padding)
    steps = np.diff(boundaries.astype(np.int64), prepend=0)
    assert (steps >= 0).all()
    assert boundaries[-1] == ALL
    assert (steps[expected == 0] == 0).all()
    assert np.abs(boundaries / ALL - np.cumsum(expected)).max() <= 1e-6
    assert (steps[expected > 1e-6] > 0).all()


@pytest.mark.parametrize(
    ("top_k", "top_p", "kept"), [(2, 1.0, [0, 1]), (10, 0.5, [0, 1]), (3, 0.5, [0, 1]), (4, 0.26, [0, 1])]
)
def test_ties_go_to_the_lower_index(top_k: int, top_p: float, kept: list[int]) -> None:
    steps = shares_of([2.0, 2.0, 2.0, 2.0], top_k=top_k, top_p=top_p)
    assert np.flatnonzero(steps).tolist() == kept
    assert (steps[kept] == ALL // len(kept)).all()


def test_ties_behind_the_most_probable_go_to_the_lower_index() -> None:
    assert np.flatnonzero(shares_of([0.0, 3.0, 0.0, 1.0, 0.0], top_k=3)).tolist() == [0, 1, 3]


def test_top_p_applies_to_the_outcomes_left_by_top_k() -> None:
    assert shares_of([0.0] * 4, top_k=2, top_p=0.5).tolist() == [ALL, 0, 0, 0]


def test_masked_end_token_does_not_count_for_top_k_or_top_p() -> None:
    assert shares_of([50.0, 0.0, 1.0, 0.5], first=1, top_k=1).tolist() == [0, 0, ALL, 0]
    assert shares_of([50.0, 0.0, 0.0, 0.0], first=1, top_p=0.6).tolist() == [0, ALL // 2, ALL // 2, 0]


@settings(max_examples=100)
@given(LOGITS, CUTS, st.integers(0, 40))
def test_compiled_boundaries_equal_plain_python_without_padding(logits: list[float], cut: Cut, padding: int) -> None:
    plain = boundaries_of(logits, *cut, fill=fill_boundaries.py_func)
    assert boundaries_of(logits, *cut, padding).tolist() == plain.tolist()
