"""From logits to the boundaries that random bits are compared with: temperature, top_k, top_p. No models."""

import numpy as np

from models.kernel.arithmetic import exp, kernel

# Bits of a random word: boundaries then fit a signed 32-bit integer, 2^30 included.
BITS = 30
_ZERO, _ONE, _WHOLE = np.float32(0), np.float32(1), np.float64(2**BITS)


@kernel
def _sift(order, logits, top, n):  # type: ignore[no-untyped-def]
    """Let the outcome at `top` of the heap order[:n] sink below all that are more probable: the least one is on top."""
    while 2 * top + 1 < n:
        child = 2 * top + 1
        if child + 1 < n and _less(logits, order[child + 1], order[child]):
            child += 1
        if _less(logits, order[top], order[child]):
            return
        order[top], order[child] = order[child], order[top]
        top = child


@kernel
def _less(logits, a, b):  # type: ignore[no-untyped-def]
    """Say whether outcome a comes after b: it is less probable, or as probable with the higher index.

    Logits tell apart what weights cannot: exp(-1e-10) is 1 in single precision.
    """
    return logits[a] < logits[b] or (logits[a] == logits[b] and a > b)


@kernel
def _keep_most_probable(logits, first, top_k, top_p, weight):  # type: ignore[no-untyped-def]
    """Zero the `weight` of all but the top_k most probable, then of all but the fewest whose share reaches top_p.

    Those below `first` are no candidates. Ties go to the lower index. top_p takes its share of what top_k has left.
    The order is a heap's (Williams 1964), without recursion and further memory.
    """
    n = len(weight) - first
    order = np.empty(n, np.int32)
    for v in range(n):
        order[v] = first + v
    for v in range(n // 2 - 1, -1, -1):
        _sift(order, logits, v, n)
    for last in range(n - 1, 0, -1):
        order[0], order[last] = order[last], order[0]
        _sift(order, logits, 0, last)
    kept = min(top_k, n)
    total = _ZERO
    for k in range(kept):
        total += weight[order[k]]
    share, goal = _ZERO, top_p * total
    for k in range(n):
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
        _keep_most_probable(logits, first, top_k, top_p, weight[:V])
    total = _ZERO
    for v in range(V):
        total += weight[v]
        weight[v] = total
    for v in range(V):
        boundaries[v] = np.int32(np.float64(weight[v]) / np.float64(total) * _WHOLE)
