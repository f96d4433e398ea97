"""From logits to the boundaries that random bits are compared with: temperature, top_k, top_p. No models."""

import numpy as np

from models.inference.arithmetic import exp
from models.inference.kernel import kernel

# Random words are cut to so many bits, so that boundaries fit a signed 32-bit integer, 2^30 included.
BITS = 30
_ZERO, _ONE, _WHOLE = np.float32(0), np.float32(1), np.float64(2**BITS)


@kernel
def _keep_most_probable(weight, top_k, top_p):  # type: ignore[no-untyped-def]
    """Zero all of `weight` but its top_k largest, then all but the fewest of those whose share reaches top_p.

    Ties go to the lower index. What top_p takes its share of is what top_k has left.
    """
    order = np.argsort(-weight, kind="mergesort")
    kept = min(top_k, len(weight))
    total = _ZERO
    for k in range(kept):
        total += weight[order[k]]
    share, goal = _ZERO, top_p * total
    for k in range(len(weight)):
        if k >= kept or (share >= goal and k > 0):
            weight[order[k]] = _ZERO
        else:
            share += weight[order[k]]


@kernel
def fill_boundaries(logits, first, temperature, top_k, top_p, weight, boundaries):  # type: ignore[no-untyped-def]
    """Fill `boundaries` (V,) int32: outcome v is drawn by words from boundaries[v - 1] (or 0) to boundaries[v] - 1.

    Outcomes below `first` are masked, and so are all from V on: `logits` and the scratch space `weight` may be longer.
    Outcomes rarer than 2^-30 are never drawn.
    """
    V, n = len(boundaries), len(logits)
    highest = logits[first]
    for v in range(first + 1, V):
        highest = max(highest, logits[v])
    for v in range(n):
        weight[v] = exp((min(logits[v], highest) - highest) / temperature)
    for v in range(first):
        weight[v] = _ZERO
    if top_k < V or top_p < _ONE:
        _keep_most_probable(weight[:V], top_k, top_p)
    total = _ZERO
    for v in range(V):
        total += weight[v]
        weight[v] = total
    for v in range(V):
        boundaries[v] = np.int32(np.float64(weight[v]) / np.float64(total) * _WHOLE)
