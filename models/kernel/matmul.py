"""Products of many rows with one matrix: the tiles of sums that stay in registers, and the loops around them.

Each output is summed from zero in the order of its inputs, a multiplication and an addition at a time, so that its bits
depend neither on how rows and outputs are cut into tiles nor on the width of the vector unit. The innermost loop is
written for the code generator: numba's loops keep sums in memory; here they are vectors of eight, which LLVM cuts to
the width that a processor has. Multiplications and additions carry no permission to reorder or fuse.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from models.kernel.arithmetic import kernel

LANES = 8
_FLOAT, _VECTOR = ir.FloatType(), ir.VectorType(ir.FloatType(), LANES)


def tile(rows: int, vectors: int) -> Callable[..., None]:
    """Return a function for kernels that computes `rows` x `vectors` x 8 sums of products.

    f(x, x_at, x_stride, n_in, w, w_at, w_stride, out, out_at, out_stride), positions and strides in elements of
    contiguous float32 arrays: out[out_at + r * out_stride + o] is the sum over i, in order and from zero, of
    x[x_at + r * x_stride + i] * w[w_at + i * w_stride + o].
    """

    @intrinsic
    def compute(typing, x, x_at, x_stride, n_in, w, w_at, w_stride, out, out_at, out_stride):  # type: ignore[no-untyped-def]
        whole = types.int64
        signature = types.void(x, whole, whole, whole, w, whole, whole, out, whole, whole)

        def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
            x, x_at, x_stride, n_in, w, w_at, w_stride, out, out_at, out_stride = args
            x, w, out = (
                context.make_array(signature.args[place])(context, builder, value).data
                for place, value in ((0, x), (4, w), (7, out))
            )
            sums = [_zeros(builder, vectors) for _ in range(rows)]
            with cgutils.for_range(builder, n_in) as loop:
                begin = builder.add(w_at, builder.mul(loop.index, w_stride))
                weights = [builder.load(_vector_at(builder, w, begin, v), align=4) for v in range(vectors)]
                for r in range(rows):
                    place = builder.add(builder.add(x_at, loop.index), builder.mul(x_stride, whole_number(r)))
                    factor = _splat(builder, builder.load(builder.gep(x, [place])))
                    for total, weight in zip(sums[r], weights, strict=True):
                        builder.store(builder.fadd(builder.load(total), builder.fmul(factor, weight)), total)
            for r in range(rows):
                begin = builder.add(out_at, builder.mul(out_stride, whole_number(r)))
                for v in range(vectors):
                    builder.store(builder.load(sums[r][v]), _vector_at(builder, out, begin, v), align=4)
            return context.get_dummy_value()

        return signature, generate

    return compute


def whole_number(value: int) -> ir.Constant:
    """Return a constant of 64 bits."""
    return ir.Constant(ir.IntType(64), value)


def _zeros(builder: Any, n: int) -> list[Any]:
    return [cgutils.alloca_once_value(builder, ir.Constant(_VECTOR, None)) for _ in range(n)]  # type: ignore[no-untyped-call]


def _vector_at(builder: Any, data: Any, begin: Any, v: int) -> Any:
    place = builder.gep(data, [builder.add(begin, whole_number(v * LANES))])
    return builder.bitcast(place, _VECTOR.as_pointer())


def _splat(builder: Any, value: Any) -> Any:
    one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
    return builder.shuffle_vector(one, one, mask)


# Outputs in one run (block) of a weight matrix. The layout is (runs, n_in, RUN), with the last run padded, so that a
# tile reads its weights in memory order.
RUN = 32
# Six rows and two vectors make twelve sums: as many as sixteen registers hold beside factors and weights. A few rows
# wait for their weights anyway, so that three cost little more than one.
_SIX, _THREE, _TWO, _ONE = tile(6, 2), tile(3, 2), tile(2, 4), tile(1, 4)
_HALF = RUN // 2


@kernel
def multiply(x, source, n_in, n, weights, at, n_out, out):  # type: ignore[no-untyped-def]
    """out[:n, :n_out] = x[:n, source : source + n_in] @ W; W (n_in, n_out), in runs, starts at `at` of the flat
    `weights`. `n_out` is a multiple of RUN.

    Outputs are the outer loop: their part of the weights stays in the first cache.
    """
    wide, width = x.shape[1], out.shape[1]
    sixes = n - n % 6
    for o in range(0, n_out, RUN):
        run = at + o * n_in
        for half in range(0, RUN, _HALF):
            for b in range(0, sixes, 6):
                _SIX(x, b * wide + source, wide, n_in, weights, run + half, RUN, out, b * width + o + half, width)
            for left in range(sixes, n, 3):
                # The last three overlap those before where rows are left over: they are computed again, to the same.
                b = min(left, n - 3)
                if b >= 0:
                    _THREE(x, b * wide + source, wide, n_in, weights, run + half, RUN, out, b * width + o + half, width)
        if n == 2:
            _TWO(x, source, wide, n_in, weights, run, RUN, out, o, width)
        elif n == 1:
            _ONE(x, source, wide, n_in, weights, run, RUN, out, o, width)


def products(x, source, n_in, weights, out):  # type: ignore[no-untyped-def]
    """out (N, n_out) = x[:, source : source + n_in] @ weights, a matrix (n_in, n_out) in runs; n_out is a multiple of
    RUN.
    """
    multiply(x, source, n_in, len(x), weights, 0, out.shape[1], out)


def in_runs(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a matrix (n_in, n_out), whole runs wide, as `multiply` wants it: flat."""
    n_in, n_out = matrix.shape
    return np.ascontiguousarray(matrix.reshape(n_in, n_out // RUN, RUN).transpose(1, 0, 2)).ravel()
