"""The innermost loop of all products, written for the code generator: a tile of sums that stays in registers.

numba's loops keep sums in memory; here they are vectors of eight, which LLVM cuts to the width that a processor has.
Multiplications and additions carry no permission to reorder or fuse, so that every sum has the same bits everywhere.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

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
