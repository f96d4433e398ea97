"""From prefixes to logits, many at once: the stages of a plan over a batch of positions. No randomness.

A batch is a list of new nodes of the tree of prefixes, all equally deep, each with a candidate that came by. Products
with the numbers of older positions are computed once for all that share the older position; those and the products that
the last few characters decide are remembered.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.kernel.arithmetic import kernel
from models.kernel.freeze import CELL, Floats
from models.kernel.int8.lstm import BLOCK, GROUP
from models.kernel.int8.stage import run_int8
from models.kernel.matmul import RUN, multiply
from models.kernel.mixture import CODES, INT8, MIX, SIZE, mix
from models.kernel.plan import (
    ACTIVATION,
    ADDED,
    ALPHABET,
    AT,
    BACK,
    BIAS,
    CARRIED,
    FROM,
    H_PADDED,
    KEPT,
    LAGGING,
    MADE_BY,
    N_IN,
    N_OUT,
    ORDER,
    SHARED,
    SOURCE,
    SPAN,
    TARGET,
    TERMS_END,
    TO,
    V_PADDED,
    VIRTUAL,
    Ints,
    N,
    Plan,
)
from models.kernel.reference import activate, carry

# The node before the first, whose state is zero, and the node of the empty prefix.
NOTHING, ROOT = 0, 1
# What `used` counts: nodes that stay, room for such nodes, a quarter of the room when it is largest, nodes computed in
# all.
STAYING, ROOM, QUARTER, COMPUTED = range(4)
# A row of `nodes` for V outcomes: OPTIONS, a number of those for which the boundaries are; then V boundaries; then V
# children, 0 or negative for none (see `sample`), where the first is always none, for no name goes on after its end;
# then V logits, 32-bit floats.
OPTIONS, BOUNDARIES, PARTS = 0, 1, 3
_ZERO = np.float32(0)
# Knuth's multiplier for hashing (TAOCP 6.4), which mixes best in the middle bits of a product.
_SPREAD, _MIDDLE = 2654435761, 12

Codes = NDArray[np.int32]


class Program(NamedTuple):
    """A plan's arrays (see there), and the `shares` of a blend's models."""

    stages: Ints
    terms: Ints
    keep: Ints
    weights: Floats
    alphabets: Ints
    integer: Ints
    narrow: NDArray[np.int8]
    gates: NDArray[np.int16]
    wide: NDArray[np.int32]
    shares: Floats


class Tree(NamedTuple):
    """A tree's arrays (see `prefix_cache`), `used` among them; `floats` is `nodes` as 32-bit floats, for the logits."""

    nodes: Codes
    floats: Floats
    state: Floats
    slot: Codes
    used: Ints
    shared: Floats
    shared_of: Codes


class Paths(NamedTuple):
    """Where candidates are: their characters (n, length), and their last nodes (n, ring) by position modulo ring."""

    codes: Codes
    path: Codes


class Scratch(NamedTuple):
    """Space to work in: rows of numbers of BLOCK positions; older positions' nodes, keys, numbers; their products, and
    which row of those is whose. The last three are for models of format 2 (see `int8.stage`).
    """

    rows: Floats
    nodes: Codes
    keys: Ints
    found: Floats
    product: Floats
    place: Codes
    sums: Codes
    logits: Codes
    states: NDArray[np.int16]


def scratch_size(plan: Plan) -> int:
    """Return how many 32-bit numbers the scratch space of a plan has."""
    H, V = plan.padded
    return BLOCK * (3 * plan.width + 4 + GROUP + V + 3 * H // 2)


@kernel
def scratch_space(work, width, integer):  # type: ignore[no-untyped-def]
    """Return parts of `work` (see `scratch_size`) for rows of `width` numbers and the models of format 2."""
    H = V = 0
    for k in range(len(integer)):
        H, V = max(H, integer[k, H_PADDED]), max(V, integer[k, V_PADDED])
    size, whole = BLOCK * width, work.view(np.int32)
    after = 3 * size
    more = after + 4 * BLOCK
    states = more + BLOCK * (GROUP + V)
    return Scratch(
        work[:size].reshape((BLOCK, width)),
        whole[after : after + BLOCK],
        whole[after + 2 * BLOCK : more].view(np.int64),
        work[size : 2 * size].reshape((BLOCK, width)),
        work[2 * size : after].reshape((BLOCK, width)),
        whole[after + BLOCK : after + 2 * BLOCK],
        whole[more : more + BLOCK * GROUP].reshape((BLOCK, GROUP)),
        whole[more + BLOCK * GROUP : states],
        whole[states : states + 3 * BLOCK * H // 2].view(np.int16),
    )


@kernel
def _gram(codes, c, t, span, V, alphabets, which):  # type: ignore[no-untyped-def]
    """Return the last `span` characters of candidate c at position t as a number; before the name stand end tokens.

    A model of a blend counts in its own alphabet; what it does not know is nothing to it any more, and counts as any.
    """
    number = 0
    if which < 0:
        for at in range(t - span, t):
            number = number * V + (codes[c, at] if at >= 0 else 0)
    else:
        for at in range(t - span, t):
            own = alphabets[which, CODES + codes[c, at]] if at >= 0 else 0
            number = number * alphabets[which, SIZE] + max(own, 0)
    return number


@kernel
def _begin(row, here, stages, weights, s):  # type: ignore[no-untyped-def]
    """Fill `row` with stage s's bias plus the numbers of `here` that it adds."""
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
def _look_up(row, stages, terms, weights, alphabets, s, codes, c, t, V):  # type: ignore[no-untyped-def]
    """Add stage s's rows of tables for candidate c at position t to `row`."""
    n = len(row)
    for m in range(stages[s - 1, TERMS_END] if s > 0 else 0, stages[s, TERMS_END]):
        if terms[m, ORDER] > 0:
            gram = _gram(codes, c, t - terms[m, BACK], terms[m, ORDER], V, alphabets, terms[m, ALPHABET])
            at = terms[m, AT] + n * gram
            found = weights[at : at + n]
            for o in range(n):
                row[o] += found[o]


@kernel
def _older_node(path, c, t, back, lagging):  # type: ignore[no-untyped-def]
    """Return candidate c's node `back` positions before t: the root before the name, or nothing where a state lags."""
    if t >= back:
        return path[c, (t - back) % path.shape[1]]
    return NOTHING if lagging else ROOT


@kernel
def _fill_source(row, stages, terms, weights, alphabets, state, codes, here, m, c, node, t, V):  # type: ignore[no-untyped-def]
    """Fill `row` with the numbers that term m multiplies for candidate c at its position `node`, seen from `here`."""
    maker, source, kept = terms[m, MADE_BY], terms[m, SOURCE], terms[m, KEPT]
    if maker >= 0:
        _begin(row, row, stages, weights, maker)
        _look_up(row, stages, terms, weights, alphabets, maker, codes, c, t - terms[m, BACK], V)
        activate(row, stages[maker, ACTIVATION])
    elif node == ROOT and t == 0:
        # All that came before the name stands as the root does, which is just being computed.
        for i in range(len(row)):
            row[i] = here[source + i]
    else:
        for i in range(len(row)):
            row[i] = state[node, kept + i]


@kernel
def _add_shared(program, tree, paths, scratch, m, owners, begin, n, t, V, target, n_out):  # type: ignore[no-untyped-def]
    """Add term m to all rows, multiplying only what is not remembered and each older position once.

    slot[node] is the row of the product, and counts only where nodes[slot[node]] is that node: it need not be cleared.
    """
    stages, terms, weights, alphabets = program.stages, program.terms, program.weights, program.alphabets
    state, slot, codes, path = tree.state, tree.slot, paths.codes, paths.path
    rows, nodes, keys, place = scratch.rows, scratch.nodes, scratch.keys, scratch.place
    found, product, room = scratch.found, scratch.product, tree.used[ROOM]
    back, span, kind = terms[m, BACK], terms[m, SPAN], terms[m, SHARED]
    known, known_of, mask, count = tree.shared, tree.shared_of, tree.shared.shape[1] - 1, 0
    for b in range(n):
        c = owners[begin + b]
        node = _older_node(path, c, t, back, terms[m, LAGGING])
        k = slot[node]
        if 0 <= k < count and nodes[k] == node:
            place[b] = k
            continue
        key = _gram(codes, c, t - back, span, V, alphabets, terms[m, ALPHABET]) if span > 0 else node
        entry = key * _SPREAD >> _MIDDLE & mask
        if known_of[kind, entry] == key:
            row, add = rows[b, target : target + n_out], known[kind, entry]
            for o in range(n_out):
                row[o] += add[o]
            place[b] = -1
        else:
            slot[node], nodes[count], keys[count], place[b] = count, node, key, count
            source = found[count, : terms[m, N_IN]]
            _fill_source(source, stages, terms, weights, alphabets, state, codes, rows[b], m, c, node, t, V)
            count += 1
    runs = n_out + -n_out % RUN
    multiply(found, 0, terms[m, N_IN], count, weights, terms[m, AT], runs, product)
    for b in range(n):
        if place[b] >= 0:
            row, add = rows[b, target : target + n_out], product[place[b]]
            for o in range(n_out):
                row[o] += add[o]
    for k in range(count):
        # A node that only passes is not worth remembering; the root's numbers may come from an unfinished row.
        if span > 0 or ROOT < keys[k] < room:
            entry = keys[k] * _SPREAD >> _MIDDLE & mask
            known_of[kind, entry] = keys[k]
            row, add = known[kind, entry], product[k]
            for o in range(n_out):
                row[o] = add[o]


@kernel
def _add_product(program, scratch, m, n, target, n_out):  # type: ignore[no-untyped-def]
    """Add term m to all rows: a product of numbers that they have."""
    terms, rows, product, runs = program.terms, scratch.rows, scratch.product, n_out + -n_out % RUN
    multiply(rows, terms[m, SOURCE], terms[m, N_IN], n, program.weights, terms[m, AT], runs, product)
    for b in range(n):
        row, add = rows[b, target : target + n_out], product[b]
        for o in range(n_out):
            row[o] += add[o]


@kernel
def _run_stage(program, tree, paths, scratch, s, owners, begin, n, t, V):  # type: ignore[no-untyped-def]
    stages, terms, weights, rows = program.stages, program.terms, program.weights, scratch.rows
    codes, path, state = paths.codes, paths.path, tree.state
    target, n_out = stages[s, TARGET], stages[s, N_OUT]
    for b in range(n):
        row = rows[b, target : target + n_out]
        _begin(row, rows[b], stages, weights, s)
        _look_up(row, stages, terms, weights, program.alphabets, s, codes, owners[begin + b], t, V)
    for m in range(stages[s - 1, TERMS_END] if s > 0 else 0, stages[s, TERMS_END]):
        if terms[m, SHARED] >= 0:
            _add_shared(program, tree, paths, scratch, m, owners, begin, n, t, V, target, n_out)
        elif terms[m, ORDER] == 0:
            _add_product(program, scratch, m, n, target, n_out)
    for b in range(n):
        row = rows[b, target : target + n_out]
        if stages[s, ACTIVATION] == CELL:
            before = _older_node(path, owners[begin + b], t, 1, True)
            carry(row, state[before, stages[s, CARRIED] : stages[s, CARRIED] + n_out // 4])
        elif stages[s, ACTIVATION] == MIX:
            mix(rows[b], program.alphabets, program.shares, codes[owners[begin + b]], t, row)
        else:
            activate(row, stages[s, ACTIVATION])


@kernel
def evaluate(program, tree, paths, scratch, fresh, owners, count, t):  # type: ignore[no-untyped-def]
    """Fill the logits and the state of the nodes fresh[:count], each at position t of candidate owners[k]."""
    stages, keep, floats, state = program.stages, program.keep, tree.floats, tree.state
    V, last, rows = floats.shape[1] // PARTS, stages.shape[0] - 1, scratch.rows
    start = stages[last, TARGET]
    for begin in range(0, count, BLOCK):
        n = min(BLOCK, count - begin)
        for s in range(stages.shape[0]):
            if stages[s, ACTIVATION] == INT8:
                run_int8(program, tree, paths, scratch, s, fresh, owners, begin, n, t)
            elif not stages[s, VIRTUAL]:
                _run_stage(program, tree, paths, scratch, s, owners, begin, n, t, V)
        for b in range(n):
            node = fresh[begin + b]
            row, to = rows[b, start : start + V], floats[node, BOUNDARIES + 2 * V :]
            for v in range(V):
                to[v] = row[v]
            for k in range(keep.shape[0]):
                row, kept = rows[b, keep[k, FROM] :], state[node, keep[k, TO] :]
                for i in range(keep[k, N]):
                    kept[i] = row[i]
