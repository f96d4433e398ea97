"""From characters to logits, one position of a frozen model at a time: the plain form that says what a number is.

Each product of a layer is summed alone, from zero, in the order of its inputs; then bias, what stands there already,
and the products, oldest first, are added up. So a product may come from a table or be shared by many names
(`evaluate`), and every number stays the same to the bit.
"""

import numpy as np

from models.kernel.arithmetic import kernel, sigmoid, tanh
from models.kernel.freeze import (
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


@kernel
def activate(values, code):  # type: ignore[no-untyped-def]
    """Apply an activation to `values` in place; GATE leaves its result in the first half."""
    n = len(values)
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


@kernel
def carry(values, earlier):  # type: ignore[no-untyped-def]
    """Turn the four gates of an LSTM (4H,) into its h and c, left in the first half, given c one position ago (H,)."""
    H = len(earlier)
    i, f, g, o = values[:H], values[H : 2 * H], values[2 * H : 3 * H], values[3 * H : 4 * H]
    for k in range(H):
        c = sigmoid(i[k]) * tanh(g[k]) + sigmoid(f[k]) * earlier[k]
        i[k] = sigmoid(o[k]) * tanh(c)
        f[k] = c


@kernel
def _add_product(out, x, weights, at):  # type: ignore[no-untyped-def]
    """out += x @ W, the product summed apart in the order of its inputs."""
    n_in, n_out = len(x), len(out)
    product = np.zeros(n_out, np.float32)
    for i in range(n_in):
        row = weights[at + i * n_out : at + (i + 1) * n_out]
        for o in range(n_out):
            product[o] += x[i] * row[o]
    for o in range(n_out):
        out[o] += product[o]


@kernel
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
    activate(here[:width], activation)
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
                _add_product(here[out : out + n_out], x, weights, at + place * n_in * n_out)
        if stages[s, ACTIVATION] == CELL:
            H = n_out // 4
            earlier = memory[t - 1, out + H : out + 2 * H] if t > 0 else np.zeros(H, np.float32)
            carry(here[out : out + n_out], earlier)
        else:
            activate(here[out : out + n_out], stages[s, ACTIVATION])


@kernel
def row_shape(table, stages):  # type: ignore[no-untyped-def]
    """Return the width of a row of memory, and where in it the logits start."""
    width, start = table.shape[2], 0
    for s in range(stages.shape[0]):
        start = stages[s, TARGET]
        width = max(width, start + stages[s, N_OUT])
    return width, start


def columns(table, activation, stages, weights, ids, out):  # type: ignore[no-untyped-def]
    """Fill `out` (N, width of a row) with the numbers of the last position of each row of `ids` (N, T)."""
    N, T = ids.shape
    memory = np.zeros((T, out.shape[1]), np.float32)
    for n in range(N):
        for t in range(T):
            step(table, activation, stages, weights, ids[n], t, memory)
        for o in range(out.shape[1]):
            out[n, o] = memory[T - 1, o]


def logits(table, activation, stages, weights, ids, out):  # type: ignore[no-untyped-def]
    """Fill `out` (T, V) with the logits after each of the characters `ids` (T,), of which the first is the end token
    0.
    """
    V = table.shape[1]
    width, start = row_shape(table, stages)
    memory = np.empty((len(ids), width), np.float32)
    for t in range(len(ids)):
        step(table, activation, stages, weights, ids, t, memory)
        for v in range(V):
            out[t, v] = memory[t, start + v]
