"""One step of a one-layer LSTM with 8-bit weights, in integers only: model format 2 (docs/model-format.md).

Numbers are fixed-point: pre-activations and cells count in 2^-11, activations in 2^-15, hidden states in 1/127 and
logits in 2^-10. Units come in groups of UNITS. The four gates of a group lie side by side, so that its sums stay in the
first cache between the product and the activations.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.kernel.arithmetic import kernel
from models.kernel.int8.cell import fill_logits, update_cells, update_hidden
from models.kernel.int8.matmul import RUN, Int8s, multiply
from models.kernel.int8.vectors import UNITS

Int16s = NDArray[np.int16]
Int32s = NDArray[np.int32]
# Rows computed together, whose numbers stay in the second cache beside a layer's weights, and columns of a group: four
# gates in two runs.
BLOCK, GROUP = 64, 4 * UNITS
# Binary places of logits.
LOGIT_BITS = 10


class Int8Lstm(NamedTuple):
    """The arrays of a model for `step`, its H units padded to whole groups and its V outcomes to whole runs.

    `table` int16 (V, 4H) and `recurrent_multiplier` int32 (4H,): columns grouped (see `model`). `recurrent` and
    `output` int8: matrices (H, 4H), its columns grouped, and (H, padded V), both as `in_pairs` lays them out.
    `output_multiplier` and `output_bias` int32 (padded V,). `shifts` int64 (2,): of the recurrent and the output
    product.
    """

    table: Int16s
    recurrent: Int8s
    recurrent_multiplier: Int32s
    output: Int8s
    output_multiplier: Int32s
    output_bias: Int32s
    shifts: NDArray[np.int64]


class Int8Scratch(NamedTuple):
    """Space to work in: the sums of BLOCK rows for one group or run of columns."""

    sums: Int32s


@kernel
def int8_scratch():  # type: ignore[no-untyped-def]
    """Return space for one call of `step` at a time."""
    return Int8Scratch(np.empty((BLOCK, GROUP), np.int32))


@kernel
def step(model, scratch, style, hidden_in, cell_in, symbols, n, hidden_out, cell_out, logits):  # type: ignore[no-untyped-def]
    """Fill the states and logits of n <= BLOCK prefixes, each one symbol longer than a prefix whose state is given.

    `hidden_in`, `cell_in`, `hidden_out`, `cell_out` int16 (rows, H); `symbols` (n,): the indices of the symbols;
    `style` int16 (4H,), grouped: zeros for none; `logits` int32 (rows, V in whole runs). H counts the padding. The
    state of nothing is zero, and the empty prefix has the state after symbol 0. `cell_out` may be `cell_in`, but
    `hidden_out` must not be `hidden_in`.
    """
    sums, H = scratch.sums, hidden_in.shape[1]
    for g in range(H // UNITS):
        for begin in range(0, GROUP, RUN):
            multiply(hidden_in, H, n, model.recurrent, g * GROUP * H + begin * H, sums, begin)
        for b in range(n):
            update_cells(
                sums,
                b * GROUP,
                model.recurrent_multiplier,
                g * GROUP,
                model.shifts[0],
                model.table,
                symbols[b] * 4 * H + g * GROUP,
                style,
                cell_in,
                cell_out,
                hidden_out,
                b * H + g * UNITS,
            )
        for b in range(n):
            update_hidden(cell_out, hidden_out, b * H + g * UNITS)
    width = logits.shape[1]
    for begin in range(0, model.output_bias.shape[0], RUN):
        multiply(hidden_out, H, n, model.output, begin * H, sums, 0)
        for b in range(n):
            for v in range(0, RUN, UNITS):
                at, place = begin + v, b * width + begin + v
                fill_logits(
                    sums,
                    b * GROUP + v,
                    model.output_multiplier,
                    model.output_bias,
                    at,
                    model.shifts[1],
                    logits,
                    place,
                )


@kernel
def prefix_logits(model, style, ids, logits):  # type: ignore[no-untyped-def]
    """Fill `logits` (N, T, V in whole runs) with those after each prefix ids[:, : t + 1] of `ids` (N, T), which begins
    with symbol 0.

    N is at most BLOCK.
    """
    n, T = ids.shape
    H = style.shape[0] // 4
    scratch, row = int8_scratch(), np.empty((n, logits.shape[2]), np.int32)
    hidden, cell = np.zeros((2, n, H), np.int16), np.zeros((2, n, H), np.int16)
    for t in range(T):
        old, new = t % 2, (t + 1) % 2
        step(model, scratch, style, hidden[old], cell[old], ids[:, t], n, hidden[new], cell[new], row)
        logits[:, t] = row
