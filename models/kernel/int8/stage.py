"""A model of format 2 as a stage of a plan: its arrays laid end to end with others, and its state packed in nodes.

A node keeps the cells in 16 bits and the hidden states in 8, in the 32-bit numbers of a tree's `state`.
"""

import numpy as np

from models.kernel.arithmetic import kernel
from models.kernel.int8.lstm import BLOCK, LOGIT_BITS, Int8Lstm, Int8Scratch, prefix_logits, step
from models.kernel.mixture import CODES, INT8
from models.kernel.plan import (
    BIAS,
    CARRIED,
    H_PADDED,
    MATRIX_1,
    MATRIX_2,
    OFFSET,
    OWN,
    SCALE_1,
    SCALE_2,
    SHIFT_1,
    SHIFT_2,
    STYLE,
    TABLE,
    TARGET,
    V_PADDED,
    Plan,
)

# Logits count in 2^-LOGIT_BITS; as 32-bit floats they are exact.
LOGIT_ONE = np.float32(1 << LOGIT_BITS)
_UNIT = np.float32(2.0**-LOGIT_BITS)


def int8_plan(model: Int8Lstm, style: np.ndarray) -> Plan:
    """Return the plan of one model: a single stage, whose outputs are the logits. `style` int16 (4H,), grouped."""
    H, padded, V = len(style) // 4, len(model.output_bias), len(model.table)
    row = np.zeros((1, OWN + 1), np.int64)
    row[0, [H_PADDED, V_PADDED, SHIFT_1, SHIFT_2, OWN]] = H, padded, *model.shifts, -1
    row[0, [MATRIX_2, SCALE_2, OFFSET, STYLE]] = (
        model.recurrent.size,
        model.recurrent_multiplier.size,
        model.recurrent_multiplier.size + padded,
        model.table.size,
    )
    return Plan(
        np.array([[0, padded, 0, -1, INT8, 0, 0, 0]], np.int64),
        np.zeros((0, 11), np.int64),
        np.zeros((0, 3), np.int64),
        np.zeros(0, np.float32),
        V,
        integer=row,
        narrow=np.concatenate([model.recurrent, model.output]),
        gates=np.concatenate([model.table.ravel(), style]),
        wide=np.concatenate([model.recurrent_multiplier, model.output_multiplier, model.output_bias]),
    )


@kernel
def model_at(integer, narrow, gates, wide, k):  # type: ignore[no-untyped-def]
    """Return the k-th model of a plan for `step`, and its style."""
    row = integer[k]
    H, V = row[H_PADDED], row[V_PADDED]
    model = Int8Lstm(
        gates[row[TABLE] : row[STYLE]],
        narrow[row[MATRIX_1] : row[MATRIX_2]],
        wide[row[SCALE_1] : row[SCALE_2]],
        narrow[row[MATRIX_2] : row[MATRIX_2] + H * V],
        wide[row[SCALE_2] : row[OFFSET]],
        wide[row[OFFSET] : row[OFFSET] + V],
        row[SHIFT_1 : SHIFT_2 + 1],
    )
    return model, gates[row[STYLE] : row[STYLE] + 4 * H]


@kernel
def _copy(source, target):  # type: ignore[no-untyped-def]
    """Copy `source` into an array of the same length, maybe of another type."""
    for i in range(len(target)):
        target[i] = source[i]


@kernel
def run_int8(program, tree, paths, scratch, s, fresh, owners, begin, n, t):  # type: ignore[no-untyped-def]
    """Fill the logits in the scratch space's rows and the states of the nodes fresh[begin : begin + n], at position t,
    by stage s.
    """
    k, target, carried = program.stages[s, BIAS], program.stages[s, TARGET], program.stages[s, CARRIED]
    model, style = model_at(program.integer, program.narrow, program.gates, program.wide, k)
    H, V, own = program.integer[k, H_PADDED], program.integer[k, V_PADDED], program.integer[k, OWN]
    cells, hiddens = tree.state.view(np.int16), tree.state.view(np.int8)
    cell_at, hidden_at, size = 2 * carried, 4 * carried + 2 * H, BLOCK * H
    hidden = scratch.states[:size].reshape((BLOCK, H))
    cell = scratch.states[size : 2 * size].reshape((BLOCK, H))
    out = scratch.states[2 * size : 3 * size].reshape((BLOCK, H))
    logits, symbols, rows = scratch.logits[: BLOCK * V].reshape((BLOCK, V)), scratch.keys, scratch.rows
    for b in range(n):
        c = owners[begin + b]
        node = paths.path[c, (t - 1) % paths.path.shape[1]] if t > 0 else 0
        symbols[b] = paths.codes[c, t - 1] if t > 0 else 0
        if own >= 0 and symbols[b] > 0:
            # What the model does not know is nothing to it any more, and counts as any.
            symbols[b] = max(program.alphabets[own, CODES + symbols[b]], 0)
        _copy(cells[node, cell_at : cell_at + H], cell[b])
        _copy(hiddens[node, hidden_at : hidden_at + H], hidden[b])
    step(model, Int8Scratch(scratch.sums), style, hidden, cell, symbols, n, out, cell, logits)
    for b in range(n):
        node = fresh[begin + b]
        _copy(cell[b], cells[node, cell_at : cell_at + H])
        _copy(out[b], hiddens[node, hidden_at : hidden_at + H])
        row, found = rows[b, target : target + V], logits[b]
        for v in range(V):
            row[v] = np.float32(found[v]) * _UNIT


def int8_logits(integer, narrow, gates, wide, ids, out):  # type: ignore[no-untyped-def]
    """Fill `out` (T, V) with the logits after each of the characters `ids` (T,), of which the first is the end token
    0, by the first model of a plan.
    """
    model, style = model_at(integer, narrow, gates, wide, 0)
    logits = np.empty((1, len(ids), integer[0, V_PADDED]), np.int32)
    prefix_logits(model, style, ids.reshape((1, len(ids))), logits)
    for t in range(len(ids)):
        for v in range(out.shape[1]):
            out[t, v] = np.float32(logits[0, t, v]) * _UNIT
