"""The activations of an LSTM's cell in integers, sixteen units at a time.

sigmoid and tanh are a polynomial and three squarings, which take a tenth of the time of table look-ups: vector units
have no fast look-up in large tables. Every operation is exact, so that all processors give the same bits.
"""

from collections.abc import Callable
from typing import Any

from numba.core import types
from numba.extending import intrinsic

from models.kernel.int8.vectors import UNITS, WIDE, Vectors, offset

# Binary places of pre-activations and cells, and the hidden state that stands for 1.
GATE_BITS, HIDDEN_ONE = 11, 127
# sigmoid(-x) = p(x / 8 - 1/2)^8 for 0 <= x < 8, with a polynomial of degree 4 in 2^-15 (the minimax one, then the best
# of its neighbours under the roundings below): within 2.5e-4 of the exact value.
POLYNOMIAL = (19822, -19323, 9757, 3119, -23768)
# The largest |x| that is distinguished, and the middle of the range, in 2^-11 and 2^-15.
LAST, CENTRE = (1 << 14) - 1, 1 << 14
# A factor that turns 2^-15 into 2^-11.
TO_GATE = 1 << GATE_BITS


def _tail(v: Vectors, x: Any) -> Any:
    """Return sigmoid(-x) in 2^-15 for x in 2^-11, 0 <= x <= LAST."""
    u = v.builder.sub(v.add(x, x), v.constant(CENTRE))
    p = v.constant(POLYNOMIAL[-1])
    for coefficient in POLYNOMIAL[-2::-1]:
        p = v.add(v.product(p, u), v.constant(coefficient))
    for _ in range(3):
        p = v.product(p, p)
    return p


def _sigmoid(v: Vectors, x: Any) -> Any:
    """Return the logistic function of x in 2^-11, in 2^-15: 1 - sigmoid(-x) for positive x."""
    tail = _tail(v, v.size_up_to(x, LAST))
    # 2^15 and -2^15 are the same 16 bits.
    return v.where_negative(x, tail, v.builder.sub(v.constant(-(1 << 15)), tail))


def _tanh(v: Vectors, x: Any) -> Any:
    """Return the hyperbolic tangent of x in 2^-11, in 2^-15: 1 - 2 sigmoid(-2 |x|), and the sign of x."""
    size = v.size_up_to(x, LAST // 2)
    tail = _tail(v, v.add(size, size))
    size = v.builder.sub(v.constant(-(1 << 15)), v.add(tail, tail))
    return v.where_negative(x, v.builder.neg(size), size)


@intrinsic
def _update_cells(  # type: ignore[no-untyped-def]
    typing, sums, sums_at, multiplier, at, shift, table, table_at, style, cell, cell_out, hidden, unit_at
):
    """Turn the recurrent sums of a group of units into their cells, and leave their output gates for `update_hidden`.

    Hidden states come in a second pass, since they wait for cells: one long pass leaves the processor idle.

    The four gates i, f, g, o of the group lie one after another, UNITS numbers each: from `sums_at` in `sums` (int32),
    from `at` in `multiplier` (int32) and `style` (int16), and from `table_at` in `table` (int16). `cell`, `cell_out`,
    `hidden` (int16): from `unit_at` on. `shift`: of the product, at least 1. All arrays contiguous.
    """
    whole = types.int64
    signature = types.void(sums, whole, multiplier, whole, whole, table, whole, style, cell, cell_out, hidden, whole)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        def data(place: int) -> Any:
            return context.make_array(signature.args[place])(context, builder, args[place]).data

        sums, multiplier, table, style, cell, cell_out, hidden = map(data, (0, 2, 5, 7, 8, 9, 10))
        _, sums_at, _, at, shift, _, table_at, *_, unit_at = args
        v = Vectors(builder)
        gates = []
        for more in range(0, 4 * UNITS, UNITS):
            here = offset(builder, at, more)
            recurrent = v.load(sums, offset(builder, sums_at, more), WIDE)
            recurrent = v.scaled(recurrent, v.load(multiplier, here, WIDE), shift)
            looked_up = v.wide(v.load(table, offset(builder, table_at, more)))
            added = v.add(looked_up, v.wide(v.load(style, here)))
            gates.append(v.narrow(v.clamped(v.add(recurrent, added))))
        i, f, g, o = gates
        new = v.product(v.product(_sigmoid(v, i), _tanh(v, g)), v.constant(TO_GATE))
        c = v.saturating_add(v.product(_sigmoid(v, f), v.load(cell, unit_at)), new)
        v.store(c, cell_out, unit_at)
        v.store(_sigmoid(v, o), hidden, unit_at)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _update_hidden(typing, cell, hidden, unit_at):  # type: ignore[no-untyped-def]
    """Turn the output gates `hidden` (int16) of a group of units, from `unit_at` on, into its hidden states, given its
    new cells.
    """
    signature = types.void(cell, hidden, types.int64)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        cell, hidden = (context.make_array(signature.args[k])(context, builder, args[k]).data for k in (0, 1))
        v = Vectors(builder)
        h = v.product(v.load(hidden, args[2]), _tanh(v, v.load(cell, args[2])))
        v.store(v.product(h, v.constant(HIDDEN_ONE)), hidden, args[2])
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _fill_logits(typing, sums, sums_at, multiplier, bias, at, shift, logits, logits_at):  # type: ignore[no-untyped-def]
    """Turn UNITS sums from `sums_at` on into logits from `logits_at` on. `multiplier` and `bias` count from `at`.

    All arrays are int32 and contiguous; `shift` is at least 1. Logits are cut to 16 bits.
    """
    whole = types.int64
    signature = types.void(sums, whole, multiplier, bias, whole, whole, logits, whole)

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        def data(place: int) -> Any:
            return context.make_array(signature.args[place])(context, builder, args[place]).data

        sums, multiplier, bias, logits = map(data, (0, 2, 3, 6))
        _, sums_at, _, _, at, shift, _, logits_at = args
        v = Vectors(builder)
        scaled = v.scaled(v.load(sums, sums_at, WIDE), v.load(multiplier, at, WIDE), shift)
        v.store(v.clamped(v.add(scaled, v.load(bias, at, WIDE))), logits, logits_at)
        return context.get_dummy_value()

    return signature, generate


# As functions of kernels, whose types numba checks.
update_cells: Callable[..., None] = _update_cells
update_hidden: Callable[..., None] = _update_hidden
fill_logits: Callable[..., None] = _fill_logits
