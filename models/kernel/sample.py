"""The kernel: from a plan, options, seed and index to names, many candidates abreast.

Candidate i depends on the weights, the options, the seed and i alone. It has its own random stream; what it shares
with others are the distributions after common prefixes, whose bits are the same whoever computes them. They hang in a
tree of prefixes. Its first nodes stay from call to call (`prefix_cache`), the others as long as a candidate looks back
at them. All candidates go down the tree a character at a time, so that new nodes are computed in
batches and the processor waits for many of them at once.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.errors import OptionError
from models.kernel.arithmetic import kernel, philox, prefetch
from models.kernel.distribution import BITS, fill_boundaries
from models.kernel.evaluate import (
    BOUNDARIES,
    COMPUTED,
    NOTHING,
    OPTIONS,
    PARTS,
    QUARTER,
    ROOM,
    ROOT,
    STAYING,
    Codes,
    Paths,
    evaluate,
    scratch_size,
    scratch_space,
)
from models.kernel.freeze import Floats
from models.kernel.int8.distribution import EXCLUDED, fill_cumulative
from models.kernel.int8.stage import LOGIT_ONE
from models.kernel.matmul import LANES
from models.kernel.mixture import INT8, NEVER
from models.kernel.plan import ACTIVATION, Ints, Plan
from models.manifest import MAX_NAME_LENGTH
from models.spelling import fold

# 32-bit integers for each candidate in `work` of `sample`, beside its ring of nodes.
WORK = 11
# How often a child counts as missing at most.
MOST_MISSING = 100
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 5.0
MAX_SEED = 2**53 - 1
TOO_LONG = -1
# Numbers of options are 32-bit integers of a node, and never used twice: a service may see more options than those.
LAST_NUMBER, NOT_KEPT = 2**31 - 1, -1

_CUT = np.uint64(32 - BITS)


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """What the distribution of a candidate depends on. Raises `OptionError` out of range.

    Order: the end token is masked below `min_length` and the characters of `excludes` everywhere, logits are divided by
    `temperature`, then `top_k` keeps the k most probable characters, then `top_p` the fewest whose share reaches p; the
    rest is renormalised. `excludes` is kept folded, sorted, each character once.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    prefix: str = ""
    min_length: int = 1
    excludes: str = ""

    def __post_init__(self) -> None:
        if self.excludes:
            object.__setattr__(self, "excludes", "".join(sorted(set(fold(self.excludes)))))
        _check("temperature", self.temperature, MIN_TEMPERATURE, MAX_TEMPERATURE)
        _check("min_length", self.min_length, 1, MAX_NAME_LENGTH)
        if self.top_k is not None:
            _check("top_k", self.top_k, 1, None)
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise OptionError(
                f"top_p is {self.top_p}; it must be above 0 and at most 1.",
                field="top_p",
                allowed="above 0 and at most 1",
            )


def _check(field: str, value: float, low: float, high: float | None) -> None:
    allowed = f"at least {low}" if high is None else f"between {low} and {high}"
    if not (value >= low and (high is None or value <= high)):  # written so that NaN fails
        raise OptionError(f"{field} is {value}; it must be {allowed}.", field=field, allowed=allowed)


class Choice(NamedTuple):
    """How outcomes are chosen: `SamplingOptions` as the kernel wants them.

    `number` stands for all that follows, from 1 to LAST_NUMBER. Boundaries under NOT_KEPT are derived again each time.

    `excluded`: indices of characters that are masked. `rate`, `share` and `powers` are for models of format 2 (see
    `int8.distribution`), `temperature` and `top_p` for the others.
    """

    number: int
    excluded: Ints
    temperature: np.float32
    rate: int
    top_k: int
    top_p: np.float32
    share: int
    powers: Codes
    min_length: int


class Distribution(NamedTuple):
    """Space for one distribution on its way from logits to boundaries, as floats and as integers."""

    logits: Floats
    weight: Floats
    keys: Ints
    integers: Codes


def space_size(plan: Plan) -> int:
    """Return the length of `space` of `sample`: 32-bit floats."""
    size = scratch_size(plan)
    return int(size + size % 2 + distribution_size.py_func(plan.vocab_size))


@kernel
def distribution_size(V):  # type: ignore[no-untyped-def]
    """Return how many 32-bit numbers hold one distribution of V outcomes on its way; an even number."""
    size = 2 * (V + -V % LANES) + 3 * V
    return size + size % 2


@kernel
def distribution_space(space, V):  # type: ignore[no-untyped-def]
    """Return the last part of `space`, for one distribution of V outcomes."""
    padded, rest = V + -V % LANES, space[len(space) - distribution_size(V) :]
    rest[:padded] = NEVER
    keys, integers = rest[2 * padded : 2 * padded + 2 * V], rest[2 * padded + 2 * V : 2 * padded + 3 * V]
    return Distribution(rest[:padded], rest[padded : 2 * padded], keys.view(np.int64), integers.view(np.int32))


@kernel
def _derive_integers(tree, node, first, choice, room):  # type: ignore[no-untyped-def]
    """Do what `_derive` does, for a model of format 2: boundaries are sums of weights."""
    V = len(room.keys)
    logits = tree.floats[node, BOUNDARIES + 2 * V : BOUNDARIES + 3 * V]
    for v in range(V):
        room.integers[v] = np.int32(logits[v] * LOGIT_ONE)
    for v in choice.excluded:
        room.integers[v] = EXCLUDED
    out = tree.nodes[node, BOUNDARIES : BOUNDARIES + V]
    fill_cumulative(room.integers, first, choice.rate, choice.top_k, choice.share, choice.powers, room.keys, out)


@kernel
def _derive(tree, node, first, choice, room):  # type: ignore[no-untyped-def]
    """Fill the boundaries of `node` under the options of this call; outcomes below `first` are masked."""
    V = len(room.keys)
    logits = tree.floats[node, BOUNDARIES + 2 * V : BOUNDARIES + 3 * V]
    for v in range(V):
        room.logits[v] = logits[v]
    for v in choice.excluded:
        room.logits[v] = NEVER
    out = tree.nodes[node, BOUNDARIES : BOUNDARIES + V]
    fill_boundaries(room.logits, first, choice.temperature, choice.top_k, choice.top_p, room.weight, out)


@kernel
def _draw(nodes, node, V, word):  # type: ignore[no-untyped-def]
    """Return the outcome that a random word of 30 bits chooses: how many boundaries do not exceed its share of the last
    one, which is 2^30 for floats.
    """
    row, v = nodes[node, BOUNDARIES : BOUNDARIES + V], np.int32(0)
    threshold = np.int32((np.int64(word) * np.int64(row[V - 1])) >> BITS)
    for k in range(V):
        v = np.int32(v + (row[k] <= threshold))
    return v


@kernel
def _roll(words, alive, n, seed, first, block):  # type: ignore[no-untyped-def]
    """Fill `words` of the candidates alive[:n] with the next four random words of their streams, cut to 30 bits."""
    for k in range(n):
        c = alive[k]
        a, b, d, e = philox(seed, first + np.uint64(c), np.uint64(block))
        words[c, 0], words[c, 1] = np.int32(a >> _CUT), np.int32(b >> _CUT)
        words[c, 2], words[c, 3] = np.int32(d >> _CUT), np.int32(e >> _CUT)


@kernel
def _child(node, at, V, nodes, state, used, settled, passing, fresh, owners, unlinked, count, c):  # type: ignore[no-untyped-def]
    """Return the node that column `at` of `node` links to, and how many new ones there are now.

    A new node stays where its parent does and there is room. The first quarter of the final room takes all of them.
    Later the parent must have stayed since an earlier call, and the child must have been missing once in the second
    quarter, twice in the third, three times in the last: so the room goes to prefixes that come again. The number of
    times, negative, stands in place of the link. Else it takes the next of the passing ones, and its link is noted in
    `unlinked`, to be cut when all candidates are at this depth.
    """
    child = nodes[node, at]
    if child > NOTHING:
        # All but its logits, until this candidate's next turn.
        row = nodes[child]
        prefetch(row, 0, BOUNDARIES + 2 * V)
        return child, count
    missing, staying = min(1 - child, MOST_MISSING), used[STAYING]
    wanted = staying < used[QUARTER] or (node < settled and staying < used[QUARTER] * (missing + 1))
    if node < used[ROOM] and staying < used[ROOM] and wanted:
        child = staying
        used[STAYING] += 1
        unlinked[count, 0] = NOTHING
    else:
        child = passing + count
        unlinked[count, 0], unlinked[count, 1], unlinked[count, 2] = node, at, -missing
    row = nodes[child]
    nodes[node, at], row[OPTIONS] = child, 0
    children = row[BOUNDARIES + V : BOUNDARIES + 2 * V]
    for k in range(V):
        children[k] = NOTHING
    # It is computed from these.
    before = state[node]
    prefetch(before, 0, len(before))
    fresh[count], owners[count] = child, c
    return child, count + 1


def sample(  # type: ignore[no-untyped-def]
    program, tree, choice, work, space, ring, width, prefix, max_length, seed, first, codes, lengths
):
    """Draw candidates first, first + 1, ... into `codes` (n, at least max_length) and `lengths` (n).

    A candidate still without end token at `max_length` characters gets the length TOO_LONG. Codes beyond a name's
    length are 0. `tree` has room for n x ring passing nodes: a node lasts until the characters' positions have gone
    once around the ring. `work` and `space`: space to work in (see `WORK`, `space_size`). `width`: the plan's.
    `prefix`: indices of the characters each name starts with, at most max_length of them.
    """
    nodes, state, used = tree.nodes, tree.state, tree.used
    n, P, V = codes.shape[0], len(prefix), nodes.shape[1] // PARTS
    path, words = work[: n * ring].reshape((n, ring)), work[n * ring : n * (ring + 4)].reshape((n, 4))
    at_once = work[n * (ring + 4) : n * (ring + WORK)]
    alive, at, fresh, owners = at_once[:n], at_once[n : 2 * n], at_once[2 * n : 3 * n], at_once[3 * n : 4 * n]
    unlinked = at_once[4 * n :].reshape((n, 3))
    paths, scratch = Paths(codes, path), scratch_space(space, width, program.integer)
    room, is_integer = distribution_space(space, V), program.stages[program.stages.shape[0] - 1, ACTIVATION] == INT8
    links = BOUNDARIES + V
    if n == 0:
        return
    for c in range(n):
        lengths[c], alive[c], at[c] = TOO_LONG, c, ROOT
        for r in range(ring):
            path[c, r] = ROOT
        for t in range(codes.shape[1]):
            codes[c, t] = prefix[t] if t < P else 0
    count = 0
    settled = used[STAYING]
    if used[STAYING] <= ROOT:
        used[STAYING] = ROOT + 1
        fresh[0], owners[0], unlinked[0, 0], count = ROOT, 0, NOTHING, 1
    for t in range(max_length + 1):
        if count > 0:
            evaluate(program, tree, paths, scratch, fresh, owners, count, t)
            used[COMPUTED] += count
        passing, count = used[ROOM] + (t + 1) % ring * n, 0
        if t < P:
            # All go the same way: one goes ahead, the others follow.
            child, count = _child(
                at[0], links + prefix[t], V, nodes, state, used, settled, passing, fresh, owners, unlinked, 0, 0
            )
            for c in range(n):
                at[c] = path[c, (t + 1) % ring] = child
        else:
            if t % 4 == 0 or t == P:
                _roll(words, alive, len(alive), seed, first, t // 4)
            going = 0
            for k in range(len(alive)):
                c = alive[k]
                node = at[c]
                if nodes[node, OPTIONS] != choice.number or choice.number == NOT_KEPT:
                    first_outcome = 1 if t < choice.min_length else 0
                    if is_integer:
                        _derive_integers(tree, node, first_outcome, choice, room)
                    else:
                        _derive(tree, node, first_outcome, choice, room)
                    nodes[node, OPTIONS] = choice.number
                v = _draw(nodes, node, V, words[c, t % 4])
                if v == 0:
                    lengths[c] = t
                elif t < max_length:
                    codes[c, t] = v
                    child, count = _child(
                        node, links + v, V, nodes, state, used, settled, passing, fresh, owners, unlinked, count, c
                    )
                    at[c] = path[c, (t + 1) % ring] = child
                    alive[going] = c
                    going += 1
            alive = alive[:going]
        for k in range(count):
            if unlinked[k, 0] != NOTHING:
                nodes[unlinked[k, 0], unlinked[k, 1]] = unlinked[k, 2]
        if len(alive) == 0:
            break
