"""exp, log, tanh, sigmoid and random bits, the same on every processor. Nothing about models.

Only IEEE single-precision +, -, *, / and integer operations in a fixed order, so that compiled code gives the same bits
whatever the width of the vector unit. numba neither reorders nor fuses them as long as fastmath stays off.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import literal_unroll, njit
from numba.core import cgutils, types
from numba.extending import intrinsic

_LOG2E = np.float32(1.4426950408889634)
# ln 2 in two parts: the first has so few bits that its product with a small whole number is exact (Cody & Waite 1980).
_LN2_HIGH = np.float32(0.693359375)
_LN2_LOW = np.float32(-2.12194440054690583e-4)
# The Taylor series of e^r on |r| <= ln(2)/2, cut where the rest is below half a unit in the last place.
_C2, _C3, _C4 = np.float32(1 / 2), np.float32(1 / 6), np.float32(1 / 24)
_C5, _C6, _C7 = np.float32(1 / 120), np.float32(1 / 720), np.float32(1 / 5040)
_ZERO, _ONE, _TWO, _HALF = np.float32(0), np.float32(1), np.float32(2), np.float32(0.5)
_LOWEST = np.float32(-87)
_LN2, _SQRT2 = np.float32(0.6931471805599453), np.float32(1.4142135623730951)
# The series of artanh: s + s^3 / 3 + s^5 / 5 ..., which is half of ln((1 + s) / (1 - s)).
_T3, _T5, _T7, _T9 = np.float32(1 / 3), np.float32(1 / 5), np.float32(1 / 7), np.float32(1 / 9)
_MANTISSA_BITS, _EXPONENT_BIAS = np.int32(23), np.int32(127)
# The same for 64 bits: the two parts of ln 2, 1 / 13! to 1 / 2!, and 1 / 21 to 1 / 3.
_LN2_HIGH_64, _LN2_LOW_64, _LOWEST_64 = 0.6931471803691238, 1.9082149292705877e-10, -708.0
_FACTORIALS = tuple(1 / math.factorial(k) for k in range(13, 1, -1))
_ODD = tuple(1 / k for k in range(21, 1, -2))

# 32-bit numbers in a line of the processor's caches.
LINE = 16

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW32, _BITS32 = np.uint64(0xFFFFFFFF), np.uint64(32)


def kernel(function: Callable[..., Any]) -> Any:
    """Return `function` as a part of kernels. Its Python form stays as `py_func`.

    numba's own error model raises on division by zero, which keeps loops with a division from being vectorised.
    """
    return njit(nogil=True, error_model="numpy")(function)


@intrinsic
def _without_count(typing, array):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        copy = context.make_array(array)(context, builder, args[0])
        copy.meminfo = cgutils.get_null_value(copy.meminfo.type)
        copy.parent = cgutils.get_null_value(copy.parent.type)
        return copy._getvalue()

    return array(array), generate


# As a function of kernels, whose types numba checks.
_copy: Callable[..., Any] = _without_count


@njit
def borrowed(array):  # type: ignore[no-untyped-def]
    """Return an array without a count of its references: counting takes longer than some inner loops.

    Only for arguments of compiled functions, which their Python caller keeps alive.
    """
    return _copy(array)


@intrinsic
def _prefetch(typing, array, place):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        data = context.make_array(array)(context, builder, args[0]).data
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        form = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, form, "llvm.prefetch.p0i8")
        # To read, into the first cache, data.
        flags = [ir.Constant(number, flag) for flag in (0, 3, 1)]
        builder.call(function, [builder.bitcast(builder.gep(data, [args[1]]), byte), *flags])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


_load_line: Callable[..., None] = _prefetch


@njit
def prefetch(array, begin, end):  # type: ignore[no-untyped-def]
    """Ask the memory for the 32-bit numbers begin .. end - 1 of a contiguous array, counted from its first element."""
    for place in range(begin, end, LINE):
        _load_line(array, place)
    _load_line(array, end - 1)


@kernel
def exp(x):  # type: ignore[no-untyped-def]
    """Return e^x for a float32 x <= 0, to 2 units in the last place; below -87 it is e^-87, about 1.6e-38.

    x = n ln 2 + r, |r| <= ln(2) / 2: a polynomial gives e^r, the exponent bits 2^n.
    """
    x = max(x, _LOWEST)
    n = np.int32(x * _LOG2E - _HALF)  # truncation towards zero is rounding here, since x <= 0
    whole = np.float32(n)
    r = x - whole * _LN2_HIGH - whole * _LN2_LOW
    p = _C7 * r + _C6
    p = p * r + _C5
    p = p * r + _C4
    p = p * r + _C3
    p = p * r + _C2
    p = (p * r) * r + r + _ONE
    return p * np.int32((n + _EXPONENT_BIAS) << _MANTISSA_BITS).view(np.float32)


@kernel
def log(x):  # type: ignore[no-untyped-def]
    """Return ln x for a float32 x >= 1, within 1e-6 or 2e-7 of it: x = 2^n m with m up to the root of 2, and a series
    for ln m.
    """
    n = _ZERO
    while x >= _SQRT2:
        x *= _HALF
        n += _ONE
    s = (x - _ONE) / (x + _ONE)
    z = s * s
    p = _T9 * z + _T7
    p = p * z + _T5
    p = p * z + _T3
    return n * _LN2 + _TWO * (s + s * z * p)


@kernel
def exp_64(x):  # type: ignore[no-untyped-def]
    """Return e^x for a float64 x <= 0, to 2 units in the last place; below -708 it is e^-708. See `exp`."""
    x = max(x, _LOWEST_64)
    n = np.int32(x * 1.4426950408889634 - 0.5)
    whole = np.float64(n)
    r = x - whole * _LN2_HIGH_64 - whole * _LN2_LOW_64
    p = 0.0
    for factor in literal_unroll(_FACTORIALS):
        p = p * r + factor
    p = (p * r) * r + r + 1.0
    return p * np.int64((np.int64(n) + 1023) << 52).view(np.float64)


@kernel
def log_64(x):  # type: ignore[no-untyped-def]
    """Return ln x for a float64 x >= 1, to 2 units in the last place. See `log`."""
    n = 0.0
    while x >= 1.4142135623730951:
        x *= 0.5
        n += 1.0
    s = (x - 1.0) / (x + 1.0)
    z = s * s
    p = 0.0
    for factor in literal_unroll(_ODD):
        p = (p + factor) * z
    return n * _LN2_HIGH_64 + (n * _LN2_LOW_64 + 2.0 * (s + s * p))


@kernel
def tanh(x):  # type: ignore[no-untyped-def]
    """Return tanh(x) for a float32 x, within 2e-7: (1 - e) / (1 + e) with e = e^(-2|x|), and the sign of x."""
    e = exp(-_TWO * abs(x))
    t = (_ONE - e) / (_ONE + e)
    return t if x >= 0 else -t


@kernel
def sigmoid(x):  # type: ignore[no-untyped-def]
    """Return 1 / (1 + e^-x) for a float32 x, within 2e-7: from e = e^(-|x|), which cannot overflow."""
    e = exp(-abs(x))
    return (_ONE if x >= 0 else e) / (_ONE + e)


@kernel
def philox(seed, index, block):  # type: ignore[no-untyped-def]
    """Return four random 32-bit words (as uint64) of the stream (seed, index): Philox4x32-10, Salmon et al. 2011.

    Key: the seed's two halves. Counter: the index's two halves, the number of the block, 0. All arguments uint64.
    """
    k0, k1 = seed & _LOW32, seed >> _BITS32
    c0, c1, c2, c3 = index & _LOW32, index >> _BITS32, block & _LOW32, block >> _BITS32
    for _ in range(10):
        p0, p1 = _M0 * c0, _M1 * c2
        c0, c1, c2, c3 = (p1 >> _BITS32) ^ c1 ^ k0, p1 & _LOW32, (p0 >> _BITS32) ^ c3 ^ k1, p0 & _LOW32
        k0, k1 = (k0 + _W0) & _LOW32, (k1 + _W1) & _LOW32
    return c0, c1, c2, c3
