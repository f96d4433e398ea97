"""Products and their tiles against a plain float32 loop: one multiplication and one addition at a time."""

from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from models import Kernels
from models.inference.product import RUN, in_runs, multiply
from models.inference.tile import LANES, tile

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


def test_the_order_matters() -> None:
    """The oracle tells orders apart: the same inputs backwards have other bits."""
    random = np.random.default_rng(0)
    x, matrix = lively(random, 4, 17), lively(random, 17, 32)
    assert in_order(x, matrix).tobytes() != in_order(x[:, ::-1], matrix[::-1]).tobytes()


@pytest.mark.parametrize("n_in", [1, 2, 3, 5, 8, 17, 128])
@pytest.mark.parametrize("n_out", [32, 64, 96])
def test_products_have_the_bits_of_a_plain_loop(n_in: int, n_out: int) -> None:
    """For 0 to 13, 64 and 65 rows, wherever inputs and weights start, the outputs have the loop's bits, and what lies
    beyond the rows or the outputs is untouched.
    """
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


def test_no_inputs_give_zeros() -> None:
    """A sum of nothing is zero, and not what stood there."""
    out = np.full((4, RUN), UNTOUCHED, np.float32)
    multiplied(np.ones((4, 3), np.float32), 1, 0, 4, np.ones(RUN, np.float32), 0, RUN, out)
    assert (out == 0).all()


def test_a_row_has_the_same_bits_in_any_company() -> None:
    """A row's product does not depend on how many rows come with it, nor on its place among them."""
    random = np.random.default_rng(5)
    x, matrix = lively(random, 13, 40), lively(random, 40, 64)
    whole = np.empty((13, 64), np.float32)
    multiplied(x, 0, 40, 13, in_runs(matrix), 0, 64, whole)
    for first in range(13):
        for n in range(1, 14 - first):
            part = np.empty((n, 64), np.float32)
            multiplied(np.ascontiguousarray(x[first:]), 0, 40, n, in_runs(matrix), 0, 64, part)
            assert part.tobytes() == whole[first : first + n].tobytes()


def test_the_compiled_products_are_the_same(kernels: Kernels) -> None:
    """The kernel that fills tables gives the loop's bits, too, for tables of many rows."""
    random = np.random.default_rng(6)
    x, matrix = lively(random, 731, 24), lively(random, 12, 128)
    out = np.empty((731, 128), np.float32)
    kernels.products(x, 9, 12, in_runs(matrix), out)
    assert out.tobytes() == in_order(x[:, 9:21], matrix).tobytes()


@pytest.mark.parametrize("n_out", [RUN, 3 * RUN])
def test_runs_hold_the_matrix(n_out: int) -> None:
    """Weight (i, o) of a matrix is found in run o // RUN, in its row i."""
    matrix = np.arange(5 * n_out, dtype=np.float32).reshape(5, n_out)
    flat = in_runs(matrix)
    for i in range(5):
        for o in range(n_out):
            assert flat[(o // RUN) * 5 * RUN + i * RUN + o % RUN] == matrix[i, o]


@pytest.mark.parametrize(("rows", "vectors"), [(1, 1), (1, 4), (2, 3), (3, 2), (6, 2), (7, 1)])
def test_tiles_of_any_shape(rows: int, vectors: int) -> None:
    """A tile computes just its rows x vectors x 8 sums, for any starts and strides, and touches nothing else."""
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
