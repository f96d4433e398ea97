"""Vectors of 16-bit integers for the code generator, which numba's own loops would widen to 32 or 64 bits."""

from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils

from models.kernel.matmul import whole_number

# Numbers of one vector.
UNITS = 16
_INT16, _INT32 = ir.IntType(16), ir.IntType(32)
NARROW, WIDE = ir.VectorType(_INT16, UNITS), ir.VectorType(_INT32, UNITS)
# Binary places of the second factor of `product`, and half a unit of its result.
FRACTION_BITS = 15
_LOWEST, _HIGHEST = -(1 << FRACTION_BITS), (1 << FRACTION_BITS) - 1


class Vectors:
    """Operations on vectors of UNITS numbers, written with one `builder` of LLVM instructions."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def load(self, data: Any, at: Any, form: ir.VectorType = NARROW) -> Any:
        """Return the vector that starts at `at` of an array of its numbers."""
        return self.builder.load(self._place(data, at, form), align=form.element.width // 8)

    def store(self, value: Any, data: Any, at: Any) -> None:
        """Write a vector from `at` of an array of its numbers on."""
        form = value.type
        self.builder.store(value, self._place(data, at, form), align=form.element.width // 8)

    def _place(self, data: Any, at: Any, form: ir.VectorType) -> Any:
        return self.builder.bitcast(self.builder.gep(data, [at]), form.as_pointer())

    def constant(self, value: int, form: ir.VectorType = NARROW) -> Any:
        """Return a vector of one number."""
        return ir.Constant(form, [value] * UNITS)

    def splat(self, number: Any) -> Any:
        """Return a vector of one 64-bit number that is known when the code runs, cut to 32 bits."""
        number = self.builder.trunc(number, _INT32)
        one = self.builder.insert_element(ir.Constant(WIDE, ir.Undefined), number, ir.Constant(_INT32, 0))
        return self.builder.shuffle_vector(one, one, ir.Constant(WIDE, None))

    def wide(self, value: Any) -> Any:
        """Return 16-bit numbers as 32-bit ones."""
        return self.builder.sext(value, WIDE)

    def scaled(self, value: Any, multiplier: Any, shift: Any) -> Any:
        """Return (value multiplier + 2^(shift - 1)) >> shift of 32-bit numbers; `shift`, 1 or more, has 64 bits."""
        one = whole_number(1)
        half = self.splat(self.builder.shl(one, self.builder.sub(shift, one)))
        return self.builder.ashr(self.builder.add(self.builder.mul(value, multiplier), half), self.splat(shift))

    def clamped(self, value: Any) -> Any:
        """Return 32-bit numbers, the nearest that fits 16 bits."""
        value = self._call("llvm.smax", WIDE, value, self.constant(_LOWEST, WIDE))
        return self._call("llvm.smin", WIDE, value, self.constant(_HIGHEST, WIDE))

    def narrow(self, value: Any) -> Any:
        """Return 32-bit numbers that fit 16 bits as such."""
        return self.builder.trunc(value, NARROW)

    def product(self, a: Any, b: Any) -> Any:
        """Return (a b + 2^14) >> 15: one instruction where that is known to exist. Not both factors may be -2^15."""
        if numba.config.CPU_NAME == "x86-64-v3":  # type: ignore[attr-defined]
            return self._call_named("llvm.x86.avx2.pmul.hr.sw", NARROW, a, b)
        builder, one = self.builder, self.constant(1, WIDE)
        double = builder.lshr(builder.mul(self.wide(a), self.wide(b)), self.constant(FRACTION_BITS - 1, WIDE))
        return builder.trunc(builder.lshr(builder.add(double, one), one), NARROW)

    def add(self, a: Any, b: Any) -> Any:
        """Return a + b where that fits 16 bits."""
        return self.builder.add(a, b)

    def saturating_add(self, a: Any, b: Any) -> Any:
        """Return a + b, the nearest 16-bit number where that does not fit."""
        return self._call("llvm.sadd.sat", NARROW, a, b)

    def size_up_to(self, value: Any, most: int) -> Any:
        """Return min(|value|, most)."""
        value = self._call("llvm.smax", NARROW, value, self.constant(-most))
        value = self._call("llvm.smin", NARROW, value, self.constant(most))
        return self._call("llvm.smax", NARROW, value, self.builder.neg(value))

    def where_negative(self, value: Any, yes: Any, no: Any) -> Any:
        """Return `yes` where `value` is negative, else `no`."""
        negative = self.builder.icmp_signed("<", value, ir.Constant(NARROW, None))
        return self.builder.select(negative, yes, no)

    def _call(self, name: str, form: ir.VectorType, *args: Any) -> Any:
        return self._call_named(f"{name}.v{UNITS}i{form.element.width}", form, *args)

    def _call_named(self, name: str, form: ir.VectorType, *args: Any) -> Any:
        kind = ir.FunctionType(form, [form] * len(args))
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)  # type: ignore[no-untyped-call]
        return self.builder.call(function, args)


def offset(builder: Any, at: Any, more: int) -> Any:
    """Return a position `more` elements further on."""
    return builder.add(at, whole_number(more))
