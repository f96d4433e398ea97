"""From prefixes to distributions, many at once: the stages of a plan over a batch of positions. No randomness.

A batch is a list of new nodes of the tree of prefixes, all equally deep, each with a candidate that came by. Products
with the numbers of older positions are computed once for all that share the older position, and are remembered.
"""

import numpy as np

from models.inference.distribution import fill_boundaries
from models.inference.forward import activate, carry
from models.inference.frozen import CELL
from models.inference.kernel import kernel
from models.inference.plan import (
    ACTIVATION,
    ADDED,
    AT,
    BACK,
    BIAS,
    CARRIED,
    FROM,
    KEPT,
    LAGGING,
    MADE_BY,
    N_IN,
    N_OUT,
    ORDER,
    SHARED,
    SOURCE,
    TARGET,
    TERMS_END,
    TO,
    N,
)
from models.inference.product import RUN, multiply

# So many positions are computed together: their numbers stay in the processor's second cache beside a layer's weights.
BLOCK = 64
# The node before the first, whose state is zero, and the node of the empty prefix.
NOTHING, ROOT = 0, 1
# What `used` counts: nodes that stay, room for such nodes, room for those that stay at once, nodes computed in all.
STAYING, ROOM, EASY, COMPUTED = range(4)
_ZERO, _ONE, _ALL = np.float32(0), np.float32(1), 2**30


@kernel
def _character(codes, c, t):  # type: ignore[no-untyped-def]
    """Return character t of candidate c; position 0 and all before it have the end token."""
    return codes[c, t - 1] if t > 0 else 0


@kernel
def _add_terms_looked_up(row, terms, begin, end, weights, codes, c, t, V):  # type: ignore[no-untyped-def]
    n = len(row)
    for m in range(begin, end):
        if terms[m, ORDER] > 0:
            index = 0
            for back in range(terms[m, BACK] + terms[m, ORDER] - 1, terms[m, BACK] - 1, -1):
                index = index * V + _character(codes, c, t - back)
            found = weights[terms[m, AT] + index * n : terms[m, AT] + (index + 1) * n]
            for o in range(n):
                row[o] += found[o]


@kernel
def _begin(row, here, stages, s, weights):  # type: ignore[no-untyped-def]
    """Fill `row` with stage s's bias, and with what stands in `here` already."""
    n, bias, added = len(row), stages[s, BIAS], stages[s, ADDED]
    if bias >= 0 and added >= 0:
        for o in range(n):
            row[o] = weights[bias + o] + here[added + o]
    elif bias >= 0:
        for o in range(n):
            row[o] = weights[bias + o]
    else:
        for o in range(n):
            row[o] = _ZERO


@kernel
def _older_node(path, c, t, back, lagging):  # type: ignore[no-untyped-def]
    """Return candidate c's node `back` positions before t: the root before the name, or nothing where a state lags."""
    if t >= back:
        return path[c, (t - back) % path.shape[1]]
    return NOTHING if lagging else ROOT


@kernel
def _fill_older(row, stages, terms, m, weights, codes, state, rows, b, c, node, t, V):  # type: ignore[no-untyped-def]
    """Fill `row` with the numbers of an older position, `node`, that term m needs for row b, which is candidate c's."""
    kept, maker = terms[m, KEPT], terms[m, MADE_BY]
    if maker >= 0:
        _begin(row, row, stages, maker, weights)
        first = stages[maker - 1, TERMS_END] if maker > 0 else 0
        at = max(t - terms[m, BACK], 0)
        _add_terms_looked_up(row, terms, first, stages[maker, TERMS_END], weights, codes, c, at, V)
        activate(row, stages[maker, ACTIVATION])
    elif node == ROOT and t == 0:
        # All that came before the name stands as the root does, which is just being computed.
        for i in range(len(row)):
            row[i] = rows[b, terms[m, SOURCE] + i]
    else:
        for i in range(len(row)):
            row[i] = state[node, kept + i]


@kernel
def _multiply_older(  # type: ignore[no-untyped-def]
    stages,
    terms,
    m,
    weights,
    codes,
    path,
    state,
    slot,
    used,
    shared,
    shared_of,
    cands,
    begin,
    n,
    t,
    V,
    runs,
    rows,
    nodes,
    found,
    product,
):
    """Fill `product` with term m's products of the distinct older positions that rows have; slot[node] is the row.

    Products that are remembered come from below, the others from above; slot[node] counts only where nodes[slot[node]]
    is that node, so it need not be cleared.
    """
    n_in, kind, entries = terms[m, N_IN], terms[m, SHARED], shared.shape[1]
    count, low = 0, BLOCK
    for b in range(n):
        c = cands[begin + b]
        node = _older_node(path, c, t, terms[m, BACK], terms[m, LAGGING])
        k = slot[node]
        if (0 <= k < count or low <= k < BLOCK) and nodes[k] == node:
            continue
        if shared_of[kind, node % entries] == node:
            low -= 1
            slot[node], nodes[low] = low, node
            known, row = shared[kind, node % entries], product[low]
            for o in range(runs):
                row[o] = known[o]
        else:
            slot[node], nodes[count] = count, node
            _fill_older(found[count, :n_in], stages, terms, m, weights, codes, state, rows, b, c, node, t, V)
            count += 1
    multiply(found, 0, n_in, count, weights, terms[m, AT], runs, product)
    for k in range(count):
        # What only passes is not worth it; the root's numbers may come from a row that is not finished.
        if ROOT < nodes[k] < used[ROOM]:
            entry = nodes[k] % entries
            shared_of[kind, entry] = nodes[k]
            known, row = shared[kind, entry], product[k]
            for o in range(runs):
                known[o] = row[o]


@kernel
def _run_stage(  # type: ignore[no-untyped-def]
    s,
    stages,
    terms,
    weights,
    codes,
    path,
    state,
    slot,
    used,
    shared,
    shared_of,
    cands,
    begin,
    n,
    t,
    V,
    rows,
    nodes,
    found,
    product,
):
    target, n_out = stages[s, TARGET], stages[s, N_OUT]
    runs = n_out + -n_out % RUN
    first, end = stages[s - 1, TERMS_END] if s > 0 else 0, stages[s, TERMS_END]
    for b in range(n):
        row = rows[b, target : target + n_out]
        _begin(row, rows[b], stages, s, weights)
        _add_terms_looked_up(row, terms, first, end, weights, codes, cands[begin + b], t, V)
    for m in range(first, end):
        if terms[m, ORDER] > 0:
            continue
        back, n_in = terms[m, BACK], terms[m, N_IN]
        if back == 0:
            multiply(rows, terms[m, SOURCE], n_in, n, weights, terms[m, AT], runs, product)
        else:
            _multiply_older(
                stages,
                terms,
                m,
                weights,
                codes,
                path,
                state,
                slot,
                used,
                shared,
                shared_of,
                cands,
                begin,
                n,
                t,
                V,
                runs,
                rows,
                nodes,
                found,
                product,
            )
        for b in range(n):
            k = b if back == 0 else slot[_older_node(path, cands[begin + b], t, back, terms[m, LAGGING])]
            row, add = rows[b, target : target + n_out], product[k, :n_out]
            for o in range(n_out):
                row[o] += add[o]
    for b in range(n):
        row = rows[b, target : target + n_out]
        if stages[s, ACTIVATION] == CELL:
            before = _older_node(path, cands[begin + b], t, 1, True)
            carry(row, state[before, stages[s, CARRIED] : stages[s, CARRIED] + n_out // 4])
        else:
            activate(row, stages[s, ACTIVATION])


@kernel
def evaluate(  # type: ignore[no-untyped-def]
    stages,
    terms,
    keep,
    weights,
    boundaries,
    state,
    slot,
    used,
    shared,
    shared_of,
    codes,
    path,
    fresh,
    cands,
    count,
    t,
    first_outcome,
    temperature,
    top_k,
    top_p,
    rows,
    nodes,
    found,
    product,
    weight,
):
    """Fill the boundaries and the state of the nodes fresh[:count], each at position t of candidate cands[k].

    `rows`, `nodes`, `found`, `product` and `weight` are scratch space.
    """
    V, last = boundaries.shape[1], stages.shape[0] - 1
    for begin in range(0, count, BLOCK):
        n = min(BLOCK, count - begin)
        for s in range(stages.shape[0]):
            _run_stage(
                s,
                stages,
                terms,
                weights,
                codes,
                path,
                state,
                slot,
                used,
                shared,
                shared_of,
                cands,
                begin,
                n,
                t,
                V,
                rows,
                nodes,
                found,
                product,
            )
        for b in range(n):
            node = fresh[begin + b]
            logits = rows[b, stages[last, TARGET] : stages[last, TARGET] + stages[last, N_OUT]]
            fill_boundaries(logits, first_outcome, temperature, top_k, top_p, weight, boundaries[node])
            for k in range(keep.shape[0]):
                kept = rows[b, keep[k, FROM] : keep[k, FROM] + keep[k, N]]
                for i in range(len(kept)):
                    state[node, keep[k, TO] + i] = kept[i]
