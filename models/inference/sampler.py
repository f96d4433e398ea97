"""The kernel: from frozen weights, options, seed and index to names. Pure functions, nothing is remembered between
calls.

These are plain Python functions that `compiler` turns into machine code; run as they are, they are their own slow
oracle. Candidate i depends on the weights, the options, the seed and i alone: it has its own random stream, and
nothing of one candidate is used for another but what all share (the activations along the prefix, the first
distribution).
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from models.errors import OptionError
from models.inference.arithmetic import exp, philox
from models.inference.forward import row_shape, step
from models.manifest import MAX_NAME_LENGTH

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 5.0
MAX_SEED = 2**53 - 1
TOO_LONG = -1

_ZERO, _HALF_STEP, _STEP = np.float32(0), 0.5, 2.0**-32
_FOUR, _INFINITY = np.uint64(4), np.float32(np.inf)


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """What the distribution of a candidate depends on. Raises `OptionError` out of range.

    Order: the end token is masked below `min_length`, logits are divided by `temperature`, then `top_k` keeps the k
    most probable characters, then `top_p` the fewest whose share reaches p; the rest is renormalised.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    prefix: str = ""
    min_length: int = 1

    def __post_init__(self) -> None:
        _check("temperature", self.temperature, MIN_TEMPERATURE, MAX_TEMPERATURE)
        _check("min_length", self.min_length, 1, MAX_NAME_LENGTH)
        if self.top_k is not None:
            _check("top_k", self.top_k, 1, None)
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise OptionError(
                f"top_p is {self.top_p}; it must be above 0 and at most 1.", field="top_p", allowed="above 0, at most 1"
            )


def _check(field: str, value: float, low: float, high: float | None) -> None:
    allowed = f"{low} or more" if high is None else f"{low} to {high}"
    if not (value >= low and (high is None or value <= high)):  # written so that NaN fails
        raise OptionError(f"{field} is {value}; allowed: {allowed}.", field=field, allowed=allowed)


@njit(nogil=True)
def _keep_most_probable(weight, cumulative, top_k, top_p):  # type: ignore[no-untyped-def]
    """Zero all of `weight` but its top_k largest, then all but the fewest of those whose share reaches top_p.

    Ties go to the lower index. `cumulative` is scratch space.
    """
    V = len(weight)
    for v in range(V):
        cumulative[v] = weight[v]
        weight[v] = _ZERO
    # What top_p takes its share of is what top_k has left.
    total, kept = _ZERO, min(top_k, V)
    order = np.empty(kept, np.int64)
    for k in range(kept):
        best = 0
        for v in range(1, V):
            if cumulative[v] > cumulative[best]:
                best = v
        order[k] = best
        weight[best] = cumulative[best]
        total += cumulative[best]
        cumulative[best] = -_INFINITY
    share, goal = _ZERO, top_p * total
    for k in range(kept):
        if share >= goal and k > 0:
            weight[order[k]] = _ZERO
        share += weight[order[k]]


@njit(nogil=True)
def _distribution(logits, first, temperature, top_k, top_p, cumulative):  # type: ignore[no-untyped-def]
    """Fill `cumulative` (V,) with running sums of unnormalised probabilities of outcomes `first`.. V - 1 (0 below
    `first`).
    """
    V = len(logits)
    weight = np.zeros(V, np.float32)
    highest = logits[first]
    for v in range(first + 1, V):
        highest = max(highest, logits[v])
    for v in range(first, V):
        weight[v] = exp((logits[v] - highest) / temperature)
    if top_k < V or top_p < np.float32(1):
        _keep_most_probable(weight, cumulative, top_k, top_p)
    total = _ZERO
    for v in range(V):
        total += weight[v]
        cumulative[v] = total


@njit(nogil=True)
def _draw(cumulative, word):  # type: ignore[no-untyped-def]
    """Return the outcome that 32 random bits choose: the first whose cumulative sum passes their share of the total."""
    V = len(cumulative)
    threshold = (np.float64(word) + _HALF_STEP) * _STEP * np.float64(cumulative[V - 1])
    v = 0
    while v < V - 1 and np.float64(cumulative[v]) <= threshold:
        v += 1
    return v


def sample(  # type: ignore[no-untyped-def]
    table,
    activation,
    stages,
    weights,
    prefix,
    temperature,
    top_k,
    top_p,
    min_length,
    max_length,
    seed,
    first,
    codes,
    lengths,
):
    """Draw candidates first, first + 1, ... into `codes` (n, at least max_length) and `lengths` (n).

    A candidate still without end token at `max_length` characters gets the length TOO_LONG. Codes
    beyond a name's length are 0. `prefix`: indices of the characters each name starts with, at most max_length
    of them.
    """
    n, P, V = codes.shape[0], len(prefix), table.shape[1]
    width, start = row_shape(table, stages)
    memory = np.empty((max_length + 1, width), np.float32)
    ids = np.zeros(max_length + 1, np.int64)
    step(table, activation, stages, weights, ids, 0, memory)
    for t in range(P):
        ids[t + 1] = prefix[t]
        step(table, activation, stages, weights, ids, t + 1, memory)
    opening = np.empty(V, np.float32)
    logits = memory[P, start : start + V]
    _distribution(logits, 1 if min_length > P else 0, temperature, top_k, top_p, opening)
    cumulative = np.empty(V, np.float32)
    for c in range(n):
        index = first + np.uint64(c)
        lengths[c] = TOO_LONG
        block, words = np.uint64(0), philox(seed, index, np.uint64(0))
        for t in range(P, max_length + 1):
            at = np.uint64(t) // _FOUR
            if at != block:
                block, words = at, philox(seed, index, at)
            if t == P:
                v = _draw(opening, words[t % 4])
            else:
                step(table, activation, stages, weights, ids, t, memory)
                _distribution(
                    memory[t, start : start + V], 1 if t < min_length else 0, temperature, top_k, top_p, cumulative
                )
                v = _draw(cumulative, words[t % 4])
            if v == 0:
                lengths[c] = t
                break
            if t < max_length:
                ids[t + 1] = v
        length = lengths[c] if lengths[c] != TOO_LONG else max_length
        for t in range(codes.shape[1]):
            codes[c, t] = ids[t + 1] if t < length else 0


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
