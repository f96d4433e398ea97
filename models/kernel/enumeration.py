"""Every name whose log-probability reaches a limit, once each: down the tree of prefixes, many of them at a time.

Nothing is drawn. A prefix whose probability is below the limit has no name above it, so that whole subtrees are left
out. Prefixes of one length are evaluated together, whatever their parents are: the longest of which there are enough,
which keeps few in memory. So names come in no order.

Log-probabilities count in MICROS, as whole numbers: each step is rounded as `/score` rounds it, sums are exact, and all
machines agree on what reaches the limit.
"""

from typing import NamedTuple

import numpy as np

from models.kernel.arithmetic import exp_64, kernel, log_64
from models.kernel.evaluate import BOUNDARIES, COMPUTED, PARTS, ROOT, Codes, Paths, evaluate, scratch_space
from models.kernel.int8.lstm import BLOCK
from models.kernel.plan import Ints, Plan
from models.kernel.prefix_cache import PrefixTree

# One in a log-probability.
MICROS = 10**6
# Columns of `Search.pending`: the node of the prefix without its last character, that character, the log-probability,
# and whether the prefix is one of the first bound's or the last bound's.
PARENT, SYMBOL, LOG_PROB, ON_LOW, ON_HIGH = range(5)
_SMALLEST_RING = 2


class Search(NamedTuple):
    """Where a search is. A node (N in all) is an evaluated prefix that something below it still needs.

    `codes` (N, T): its characters; `path` (N, ring): its nodes by length modulo ring; `length` and `waiting` (N,): its
    length, and what needs it. `free` (N,): nodes in no use. `pending` (T + 1, P, 5): prefixes to be evaluated, by
    length. `counts` (T + 2,): how many of them there are, and at last how many nodes are free.
    """

    codes: Codes
    path: Codes
    length: Codes
    waiting: Codes
    free: Codes
    pending: Ints
    counts: Ints


class Region(NamedTuple):
    """Which names are wanted: those with allowed characters and lengths, from `low` up to but without `high`.

    `allowed` bool (T, V): characters by position; `ends` bool (T + 1,): lengths. `low` and `high`: prefixes in the
    order of the tree, where a name comes before those that it begins; no `high` is the end. Prefixes from `cut` on are
    searched and others that reach `limit` are reported, both in MICROS; with an equal `cut` and `limit` there are none.
    """

    allowed: np.ndarray
    ends: np.ndarray
    low: Ints
    high: Ints
    cut: int
    limit: int


class Names(NamedTuple):
    """Room for what is found: codes (M, T), zeros beyond the end; lengths (M,), inverted (`~`) for prefixes that are
    reported; log-probabilities (M,) in MICROS.
    """

    codes: Codes
    lengths: Codes
    log_probs: Codes


def new_search(plan: Plan, longest: int) -> tuple[PrefixTree, Search]:
    """Return a search that has not begun, for names of at most `longest` characters, and the tree of its nodes."""
    # With one more block than each length can have pending, none is ever full: see `_next_length`. Where products look
    # further back than one position, nodes wait for their descendants.
    blocks = 2 * (longest + 2)
    ring = PrefixTree(plan).ring
    if ring > _SMALLEST_RING:
        blocks *= longest + 2
    tree = PrefixTree(plan, -(-blocks * BLOCK // ring))
    N, V = len(tree.nodes), plan.vocab_size
    free, counts = np.arange(N, dtype=np.int32)[::-1].copy(), np.zeros(longest + 2, np.int64)
    counts[0], counts[-1] = 1, N - ROOT - 1
    pending = np.zeros((longest + 1, BLOCK * (V + 1), ON_HIGH + 1), np.int64)
    pending[0, 0, ON_LOW:] = 1
    codes, path = np.zeros((N, longest), np.int32), np.full((N, ring), ROOT, np.int32)
    return tree, Search(codes, path, np.zeros(N, np.int32), np.zeros(N, np.int32), free, pending, counts)


@kernel
def _next_length(counts):  # type: ignore[no-untyped-def]
    """Return the length that is next, or -1 if all is done: the greatest with a whole block, else the least with any.

    So each length has less than a block pending before the one above it is evaluated.
    """
    least = -1
    for t in range(len(counts) - 2, -1, -1):
        if counts[t] >= BLOCK:
            return t
        if counts[t] > 0:
            least = t
    return least


@kernel
def _place(search, node, parent, symbol, t):  # type: ignore[no-untyped-def]
    """Make `node` the prefix of `parent` and one more character, t in all."""
    for k in range(t - 1):
        search.codes[node, k] = search.codes[parent, k]
    for r in range(search.path.shape[1]):
        search.path[node, r] = search.path[parent, r]
    if t > 0:
        search.codes[node, t - 1] = symbol
    search.path[node, t % search.path.shape[1]] = node
    search.length[node] = t


@kernel
def _release(search, node):  # type: ignore[no-untyped-def]
    """Count down what waits for `node`; free it with the last one, and older nodes that wait for it alone."""
    free, counts, ring = search.free, search.counts, search.path.shape[1]
    search.waiting[node] -= 1
    while node > ROOT and search.waiting[node] <= 0:
        free[counts[-1]] = node
        counts[-1] += 1
        if ring == _SMALLEST_RING:
            break
        node = search.path[node, (search.length[node] - 1) % ring]
        search.waiting[node] -= 1


@kernel
def fill_steps(logits, steps):  # type: ignore[no-untyped-def]
    """Fill `steps` (V,) float64 with the log-probability of each outcome in MICROS, rounded to whole ones."""
    V = len(steps)
    highest, total = np.float64(logits[0]), 0.0
    for v in range(1, V):
        highest = max(highest, np.float64(logits[v]))
    for v in range(V):
        steps[v] = exp_64(np.float64(logits[v]) - highest)
    for v in range(V):
        total += steps[v]
    whole = log_64(total)
    for v in range(V):
        steps[v] = np.rint(((np.float64(logits[v]) - highest) - whole) * MICROS)


@kernel
def _report(names, k, search, node, t, log_prob):  # type: ignore[no-untyped-def]
    """Write the prefix of t characters at `node` as the k-th name."""
    for i in range(t):
        names.codes[k, i] = search.codes[node, i]
    for i in range(t, names.codes.shape[1]):
        names.codes[k, i] = 0
    names.lengths[k], names.log_probs[k] = t, log_prob


@kernel
def _go_on(search, region, names, node, entry, steps, found):  # type: ignore[no-untyped-def]
    """Report the name that ends at `node`, make its children pending, and return how many names there are now."""
    t, before, limit = search.length[node], entry[LOG_PROB], region.limit
    on_low, on_high = entry[ON_LOW] > 0 and t < len(region.low), entry[ON_HIGH] > 0 and t < len(region.high)
    if region.ends[t] and not on_low and before + steps[0] >= limit:
        _report(names, found, search, node, t, before + np.int64(steps[0]))
        found += 1
    if t == region.allowed.shape[0]:
        return found
    first = region.low[t] if on_low else 1
    last = region.high[t] if on_high else len(steps) - 1
    least = np.float64(limit - before)
    for v in range(first, last + 1):
        if steps[v] < least or not region.allowed[t, v]:
            continue
        stays_low, stays_high = on_low and v == first, on_high and v == last
        if stays_high and t + 1 == len(region.high):
            continue
        log_prob = before + np.int64(steps[v])
        if log_prob < region.cut:
            _report(names, found, search, node, t, log_prob)
            names.codes[found, t], names.lengths[found] = v, ~(t + 1)
            found += 1
            continue
        to = search.pending[t + 1, search.counts[t + 1]]
        to[PARENT], to[SYMBOL], to[LOG_PROB], to[ON_LOW], to[ON_HIGH] = node, v, log_prob, stays_low, stays_high
        search.counts[t + 1] += 1
        search.waiting[node] += 1
    return found


def enumerate_names(program, tree, search, region, names, work, width):  # type: ignore[no-untyped-def]
    """Fill `names` with the next ones, as many as there is surely room for, and return their number.

    The search is done when there are none. There must be room for BLOCK of them, and with a `cut` above the limit for
    BLOCK x V. `work`: space to work in, of `scratch_size`; `width`: the plan's.
    """
    V, counts = tree.floats.shape[1] // PARTS, search.counts
    scratch, paths = scratch_space(work, width, program.integer), Paths(search.codes, search.path)
    nodes, steps, found = np.empty(BLOCK, np.int32), np.empty(V, np.float64), 0
    most = BLOCK * V if region.cut > region.limit else BLOCK
    while found + most <= len(names.lengths):
        t = _next_length(counts)
        if t < 0:
            break
        n = min(BLOCK, counts[t])
        counts[t] -= n
        entries = search.pending[t, counts[t] : counts[t] + n]
        for b in range(n):
            nodes[b] = ROOT
            if t > 0:
                counts[-1] -= 1
                nodes[b] = search.free[counts[-1]]
            _place(search, nodes[b], entries[b, PARENT], entries[b, SYMBOL], t)
            search.waiting[nodes[b]] = 0
        evaluate(program, tree, paths, scratch, nodes, nodes, n, t)
        tree.used[COMPUTED] += n
        for b in range(n):
            node, parent = nodes[b], entries[b, PARENT]
            fill_steps(tree.floats[node, BOUNDARIES + 2 * V :], steps)
            found = _go_on(search, region, names, node, entries[b], steps, found)
            if t > 0 and search.waiting[node] == 0:
                search.free[counts[-1]] = node
                counts[-1] += 1
            # Where products look further back, a node stays for those below it.
            if t > 0 and (search.waiting[node] == 0 or search.path.shape[1] == _SMALLEST_RING):
                _release(search, parent)
    return found
