"""From integer logits to an outcome, in integers only: temperature, top_k, top_p, and the draw. No models.

Weights are powers of two from a table; an outcome is drawn in proportion to its weight. All products fit 53 bits or,
in the draw, 63, so that the same steps can be written in any language.
"""

import math

import numpy as np
from numpy.typing import NDArray

from models.kernel.arithmetic import kernel
from models.kernel.distribution import BITS

# Weights count in 2^-WEIGHT_BITS of the most probable outcome's, and in larger units for many outcomes (`more_shift`):
# their sum fits 31 bits.
WEIGHT_BITS, _SUM_BITS = 21, 31
# One in `inverse_temperature`, which a logit in 2^-10 is multiplied by: where the whole part of such a product begins,
# and the part of its fraction that the table is for.
_RATE_ONE, _EXPONENT_AT, _FRACTION_AT, _FRACTION = 1 << 16, 26, 16, (1 << 10) - 1
# The logit of an excluded outcome. Logits themselves have 16 bits.
EXCLUDED = -(2**30)
# top_p counts in 2^-20: then its product with a sum of weights is exact in a 64-bit float.
_SHARE_BITS = 20
ALL_SHARES = 1 << _SHARE_BITS
_LOG2_E = 1.4426950408889634
_MOST = 2**31 - 1


def _powers() -> NDArray[np.int32]:
    """Return 2^(21 - f / 1024), rounded to the nearest integer, for f from 0 to 1023."""
    steps = _FRACTION + 1
    return np.array([round(math.exp2(WEIGHT_BITS - f / steps)) for f in range(steps)], np.int32)


POWERS = _powers()


def inverse_temperature(temperature: float) -> int:
    """Return floor(log2(e) / `temperature` * 2^16 + 1/2), in 64-bit floats and in this order."""
    return math.floor(_LOG2_E / temperature * _RATE_ONE + 0.5)


def share_limit(top_p: float | None) -> int:
    """Return floor(`top_p` * 2^20 + 1/2), at least 1. ALL_SHARES, 2^20, keeps every outcome."""
    return ALL_SHARES if top_p is None else max(1, math.floor(top_p * ALL_SHARES + 0.5))


@kernel
def _sink(keys, top, n):  # type: ignore[no-untyped-def]
    """Let the key at `top` of the heap keys[:n] sink below all larger ones."""
    while 2 * top + 1 < n:
        child = 2 * top + 1
        if child + 1 < n and keys[child + 1] > keys[child]:
            child += 1
        if keys[top] >= keys[child]:
            return
        keys[top], keys[child] = keys[child], keys[top]
        top = child


@kernel
def _keep_most_probable(logits, first, top_k, top_p, keys, weights):  # type: ignore[no-untyped-def]
    """Zero the `weights` of all but the top_k outcomes with the highest logits, then of all but the fewest whose share
    reaches top_p.

    Ties go to the lower index. Those below `first` are no candidates, and a weight of 0 stays 0.
    """
    V = len(weights)
    n = V - first
    for v in range(first, V):
        # A logit and, below it, an index that is larger for earlier outcomes.
        keys[v - first] = np.int64(logits[v]) * V + (V - 1 - v)
    for top in range(n // 2 - 1, -1, -1):
        _sink(keys, top, n)
    for last in range(n - 1, 0, -1):
        keys[0], keys[last] = keys[last], keys[0]
        _sink(keys, 0, last)
    # The keys ascend now: the most probable outcome is the last.
    kept, total, share = min(top_k, n), np.int64(0), np.int64(0)
    for k in range(kept):
        total += weights[V - 1 - keys[n - 1 - k] % V]
    for k in range(n):
        v = V - 1 - keys[n - 1 - k] % V
        if k >= kept or (k > 0 and share * ALL_SHARES >= total * top_p):
            weights[v] = 0
        else:
            share += weights[v]


@kernel
def more_shift(V):  # type: ignore[no-untyped-def]
    """Return by how many bits the weights of V outcomes are shortened: 0 up to 1023."""
    shift = 0
    while V >> (_SUM_BITS - WEIGHT_BITS + shift):
        shift += 1
    return shift


@kernel
def fill_cumulative(logits, first, rate, top_k, top_p, powers, keys, cumulative):  # type: ignore[no-untyped-def]
    """Fill `cumulative` (V,) with the weights of outcomes 0 to v, summed, and return the total.

    `logits` int32 (V or more,); EXCLUDED stands for an outcome that is not to be drawn, and those below `first` are
    masked. `rate`: of `inverse_temperature`. top_k from V and top_p from ALL_SHARES (see `share_limit`) on keep all.
    `powers`: POWERS; `keys` int64 (V,) is space to work in; `cumulative` int32. The total is 0 where no outcome is
    left.
    """
    V = len(cumulative)
    # Parts, whose indices begin at 0: numba checks for negative indices where it does not know better.
    candidates, sums, more = logits[first:V], cumulative[first:], more_shift(V)
    highest, total = np.int32(EXCLUDED), np.int64(0)
    for v in range(len(candidates)):
        highest = max(highest, candidates[v])
    if highest == EXCLUDED:
        first = V
    for v in range(first):
        cumulative[v] = 0
    if first == V:
        return total
    for v in range(len(sums)):
        # 31 halvings leave nothing of 22 bits.
        below = min((np.int64(highest) - candidates[v]) * rate, _MOST)
        total += powers[(below >> _FRACTION_AT) & _FRACTION] >> ((below >> _EXPONENT_AT) + more)
        sums[v] = total
    if top_k < V or top_p < ALL_SHARES:
        for v in range(V - 1, 0, -1):
            cumulative[v] -= cumulative[v - 1]
        _keep_most_probable(logits, first, top_k, top_p, keys, cumulative)
        total = np.int64(0)
        for v in range(V):
            total += cumulative[v]
            cumulative[v] = total
    return total


@kernel
def drawn(cumulative, word):  # type: ignore[no-untyped-def]
    """Return the outcome that a random word of 30 bits chooses: how many sums do not exceed word * total / 2^30."""
    V = len(cumulative)
    threshold = (np.int64(word) * np.int64(cumulative[V - 1])) >> BITS
    outcome = 0
    for v in range(V):
        outcome += cumulative[v] <= threshold
    return outcome
