"""From characters to logits: one position of a frozen model at a time. No randomness, and nothing is remembered
between calls but the rows of `memory` that the caller keeps.

Plain Python functions that the kernels in `sampler` are made of; each is compiled into them.
"""

import numpy as np
from numba import njit

from models.inference.arithmetic import sigmoid, tanh
from models.inference.frozen import (
    ACTIVATION,
    ADDED,
    BIAS_AT,
    CELL,
    DILATION,
    FAN,
    GATE,
    LAG,
    N_IN,
    N_OUT,
    RELU,
    SOURCE,
    TANH,
    TARGET,
    WEIGHT_AT,
)

_ZERO = np.float32(0)


@njit(nogil=True)
def _activate(here, start, n, code):  # type: ignore[no-untyped-def]
    values = here[start : start + n]
    if code == TANH:
        for o in range(n):
            values[o] = tanh(values[o])
    elif code == RELU:
        for o in range(n):
            values[o] = max(values[o], _ZERO)
    elif code == GATE:
        half = n // 2
        for o in range(half):
            values[o] = tanh(values[o]) * sigmoid(values[half + o])


@njit(nogil=True)
def _carry(here, before, start, n, t):  # type: ignore[no-untyped-def]
    """Turn the four gates of an LSTM, side by side from `start`, into its h and c, side by side from `start`."""
    H = n // 4
    i, f = here[start : start + H], here[start + H : start + 2 * H]
    g, o = here[start + 2 * H : start + 3 * H], here[start + 3 * H : start + 4 * H]
    earlier = before[start + H : start + 2 * H]
    for k in range(H):
        c = sigmoid(i[k]) * tanh(g[k])
        if t > 0:
            c += sigmoid(f[k]) * earlier[k]
        i[k], f[k] = sigmoid(o[k]) * tanh(c), c


@njit(nogil=True)
def _add_products(out, start, n_out, x, n_in, weights, at):  # type: ignore[no-untyped-def]
    """out[start:start + n_out] += x @ weights, inputs in order, so that each output's sum is the same everywhere.

    Four rows at a time keep a running sum in a register four times longer; the order of the additions does not change.
    """
    acc = out[start : start + n_out]
    fours = n_in - n_in % 4
    for i in range(0, fours, 4):
        a, b, c, d = x[i], x[i + 1], x[i + 2], x[i + 3]
        rows = weights[at + i * n_out : at + (i + 4) * n_out]
        for o in range(n_out):
            acc[o] = (((acc[o] + a * rows[o]) + b * rows[n_out + o]) + c * rows[2 * n_out + o]) + d * rows[
                3 * n_out + o
            ]
    for i in range(fours, n_in):
        row = weights[at + i * n_out : at + (i + 1) * n_out]
        for o in range(n_out):
            acc[o] += x[i] * row[o]


@njit(nogil=True)
def step(table, activation, stages, weights, ids, t, memory):  # type: ignore[no-untyped-def]
    """Fill row t of `memory` (positions, width of a row) from ids[: t + 1].

    Looking back stops at position 0, which stands for everything before the name; a state that is carried along starts
    at position 0 from nothing.
    """
    fan, width = table.shape[0], table.shape[2]
    here = memory[t]
    for o in range(width):
        here[o] = _ZERO
    for place in range(fan):
        row = table[place, ids[max(t - (fan - 1 - place), 0)]]
        for o in range(width):
            here[o] += row[o]
    _activate(here, 0, width, activation)
    for s in range(stages.shape[0]):
        fan, n_in, n_out = stages[s, FAN], stages[s, N_IN], stages[s, N_OUT]
        source, out, bias, at = stages[s, SOURCE], stages[s, TARGET], stages[s, BIAS_AT], stages[s, WEIGHT_AT]
        added, lag = stages[s, ADDED], stages[s, LAG]
        if added < 0:
            for o in range(n_out):
                here[out + o] = weights[bias + o]
        else:
            for o in range(n_out):
                here[out + o] = weights[bias + o] + here[added + o]
        if t >= lag:
            for place in range(fan):
                back = max(t - lag - (fan - 1 - place) * stages[s, DILATION], 0)
                x = memory[back, source : source + n_in]
                _add_products(here, out, n_out, x, n_in, weights, at + place * n_in * n_out)
        if stages[s, ACTIVATION] == CELL:
            _carry(here, memory[max(t - 1, 0)], out, n_out, t)
        else:
            _activate(here, out, n_out, stages[s, ACTIVATION])


@njit(nogil=True)
def row_shape(table, stages):  # type: ignore[no-untyped-def]
    """Return the width of a row of memory, and where in it the logits start."""
    width, start = table.shape[2], 0
    for s in range(stages.shape[0]):
        start = stages[s, TARGET]
        width = max(width, start + stages[s, N_OUT])
    return width, start
