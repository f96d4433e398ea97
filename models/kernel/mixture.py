"""The geometric mean of several models' distributions, over the union of their alphabets. No sampling.

After the characters so far, outcome v has the probability prod_m p_m(v)^w_m, renormalised (a logarithmic opinion pool:
Genest and Zidek 1986). A character that a model does not know counts there as UNKNOWN. A model that does not know one
of the characters so far has left, and its weight goes to the others in proportion; what none of those knows is never
drawn.
"""

import math

import numpy as np

from models.kernel.arithmetic import exp, kernel, log
from models.kernel.freeze import CELL

# The activations of a stage that mixes, and of one that is a model of format 2: they come after those of `freeze`.
MIX, INT8 = CELL + 1, CELL + 2
UNKNOWN = 1e-4
# A logit so low that its outcome is never drawn, whatever the temperature, and finite, so that all arithmetic is.
NEVER = np.float32(-1e30)
# Columns of `alphabets`, a row for each model: where its logits begin, how many they are, and from CODES on its own
# index of each character of the union, -1 for one that it does not know.
LOGITS_AT, SIZE, CODES = range(3)
_LOG_UNKNOWN = np.float32(math.log(UNKNOWN))
_ZERO = np.float32(0)


@kernel
def knows(alphabet, codes, t):  # type: ignore[no-untyped-def]
    """Say whether the model of this row of `alphabets` knows codes[:t]."""
    known = True
    for k in range(t):
        known = known and alphabet[CODES + codes[k]] >= 0
    return known


@kernel
def mix(row, alphabets, shares, codes, t, out):  # type: ignore[no-untyped-def]
    """Fill out (V,) with the mixed log-probabilities after codes[:t], not yet renormalised.

    `row` holds the models' logits, `shares` (M,) the weights, which add up to 1. At least one model knows all codes.
    """
    models, V, present = len(shares), alphabets.shape[1] - CODES, _ZERO
    for v in range(V):
        out[v] = NEVER
    for m in range(models):
        if knows(alphabets[m], codes, t):
            present += shares[m]
            for v in range(V):
                if alphabets[m, CODES + v] >= 0:
                    out[v] = _ZERO
    for m in range(models):
        if knows(alphabets[m], codes, t):
            logits = row[alphabets[m, LOGITS_AT] : alphabets[m, LOGITS_AT] + alphabets[m, SIZE]]
            highest, total = logits[0], _ZERO
            for k in range(1, len(logits)):
                highest = max(highest, logits[k])
            for k in range(len(logits)):
                total += exp(logits[k] - highest)
            share, whole = shares[m] / present, highest + log(total)
            for v in range(V):
                if out[v] > NEVER:
                    code = alphabets[m, CODES + v]
                    out[v] += share * (logits[code] - whole if code >= 0 else _LOG_UNKNOWN)


def mixed(rows, alphabets, shares, ids, out):  # type: ignore[no-untyped-def]
    """Fill out (T, V) with what `mix` gives after ids[1 : t + 1], for each t: ids (T,) begins with the end token."""
    for t in range(len(ids)):
        mix(rows[t], alphabets, shares, ids[1:], t, out[t])
