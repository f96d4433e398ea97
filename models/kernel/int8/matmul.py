"""Products of rows of 8-bit integers with one matrix of 8-bit integers, summed exactly in 32 bits.

Inputs are taken two at a time: both products and their sum are one instruction (pmaddwd) on x86 processors. Integer
sums do not depend on their order, so that every processor gives the same bits.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from models.kernel.arithmetic import kernel
from models.kernel.matmul import whole_number

Int8s = NDArray[np.int8]
# Outputs of one vector of sums, and of one run of a weight matrix.
LANES, RUN = 8, 32
# Inputs of one turn of the innermost loop.
AT_ONCE = 4
_INT32 = ir.IntType(32)
_SUMS = ir.VectorType(_INT32, LANES)
_PAIRS, _PACKED = ir.VectorType(ir.IntType(16), 2 * LANES), ir.VectorType(ir.IntType(8), 2 * LANES)


def tile(rows: int, vectors: int) -> Callable[..., None]:
    """Return a function for kernels that computes `rows` x `vectors` x 8 sums of products.

    f(x, x_at, x_stride, n_in, w, w_at, out, out_at, out_stride), positions and strides in elements of contiguous
    arrays, x int16, w int8, out int32: out[out_at + r * out_stride + o] is the sum over i < n_in of
    x[x_at + r * x_stride + i] * w[w_at + (i // 2) * 2 * RUN + 2 * o + i % 2]. n_in is a multiple of AT_ONCE.
    """

    @intrinsic
    def compute(typing, x, x_at, x_stride, n_in, w, w_at, out, out_at, out_stride):  # type: ignore[no-untyped-def]
        whole = types.int64
        signature = types.void(x, whole, whole, whole, w, whole, out, whole, whole)

        def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
            x, x_at, x_stride, n_in, w, w_at, out, out_at, out_stride = args
            x, w, out = (
                context.make_array(signature.args[place])(context, builder, value).data
                for place, value in ((0, x), (4, w), (6, out))
            )
            sums = [_zeros(builder, vectors) for _ in range(rows)]
            with cgutils.for_range(builder, builder.udiv(n_in, whole_number(AT_ONCE))) as loop:
                for pair in range(0, AT_ONCE, 2):
                    first = builder.add(builder.mul(loop.index, whole_number(AT_ONCE)), whole_number(pair))
                    begin = builder.add(w_at, builder.mul(first, whole_number(RUN)))
                    weights = [_load_weights(builder, w, begin, v) for v in range(vectors)]
                    for r in range(rows):
                        place = builder.add(builder.add(x_at, first), builder.mul(x_stride, whole_number(r)))
                        factor = _splat_pair(builder, x, place)
                        for total, weight in zip(sums[r], weights, strict=True):
                            product = _multiply_pairs(builder, factor, weight)
                            builder.store(builder.add(builder.load(total), product), total)
            for r in range(rows):
                begin = builder.add(out_at, builder.mul(out_stride, whole_number(r)))
                for v in range(vectors):
                    place = builder.gep(out, [builder.add(begin, whole_number(v * LANES))])
                    place = builder.bitcast(place, _SUMS.as_pointer())
                    builder.store(builder.load(sums[r][v]), place, align=4)
            return context.get_dummy_value()

        return signature, generate

    return compute


def _zeros(builder: Any, n: int) -> list[Any]:
    return [cgutils.alloca_once_value(builder, ir.Constant(_SUMS, None)) for _ in range(n)]  # type: ignore[no-untyped-call]


def _load_weights(builder: Any, w: Any, begin: Any, v: int) -> Any:
    """Return the v-th vector of weight pairs, widened to 16 bits."""
    place = builder.gep(w, [builder.add(begin, whole_number(v * 2 * LANES))])
    packed = builder.load(builder.bitcast(place, _PACKED.as_pointer()), align=1)
    return builder.sext(packed, _PAIRS)


def _splat_pair(builder: Any, x: Any, place: Any) -> Any:
    """Return a vector whose every pair is the two inputs at `place`."""
    pair = builder.load(builder.bitcast(builder.gep(x, [place]), _INT32.as_pointer()), align=2)
    one = builder.insert_element(ir.Constant(_SUMS, ir.Undefined), pair, ir.Constant(_INT32, 0))
    return builder.bitcast(builder.shuffle_vector(one, one, ir.Constant(_SUMS, None)), _PAIRS)


def _multiply_pairs(builder: Any, a: Any, b: Any) -> Any:
    """Return the sums of the products of each pair, in the form that LLVM recognises as pmaddwd."""
    wide = ir.VectorType(_INT32, 2 * LANES)
    products = builder.mul(builder.sext(a, wide), builder.sext(b, wide))
    even, odd = (
        builder.shuffle_vector(products, products, ir.Constant(_SUMS, list(range(first, 2 * LANES, 2))))
        for first in (0, 1)
    )
    return builder.add(even, odd)


# Four rows and two vectors make eight sums, which leaves registers for factors and weights.
_FOUR, _THREE, _TWO, _ONE = tile(4, 2), tile(3, 2), tile(2, 4), tile(1, 4)
_HALF = RUN // 2


@kernel
def multiply(x, n_in, n, weights, at, out, begin):  # type: ignore[no-untyped-def]
    """out[:n, begin : begin + RUN] = x[:n, :n_in] @ one run of a matrix, which starts at `at` of the flat
    `weights`.

    x (rows, width) int16 with values of 8 bits, weights int8, out (rows, width) int32, all contiguous. n_in is a
    multiple of AT_ONCE.
    """
    wide, width = x.shape[1], out.shape[1]
    fours = n - n % 4
    for half in range(0, RUN, _HALF):
        for b in range(0, fours, 4):
            _FOUR(x, b * wide, wide, n_in, weights, at + 2 * half, out, b * width + begin + half, width)
        if n - fours == 3:
            _THREE(x, fours * wide, wide, n_in, weights, at + 2 * half, out, fours * width + begin + half, width)
    if n - fours == 2:
        _TWO(x, fours * wide, wide, n_in, weights, at, out, fours * width + begin, width)
    elif n - fours == 1:
        _ONE(x, fours * wide, wide, n_in, weights, at, out, fours * width + begin, width)


def in_pairs(matrix: Int8s) -> Int8s:
    """Return a matrix (n_in, n_out) as `multiply` wants it: flat, run by run, and in a run the weights of inputs 2p and
    2p + 1 side by side. n_in is a multiple of AT_ONCE, n_out of RUN.
    """
    n_in, n_out = matrix.shape
    return np.ascontiguousarray(matrix.reshape(n_in // 2, 2, n_out // RUN, RUN).transpose(2, 0, 3, 1)).ravel()
