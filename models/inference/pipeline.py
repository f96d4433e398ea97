"""From options to the bytes of names in one call: draw candidates, mark offensive ones, select names, write them.

`draw_names` is a plain Python function that `jit` turns into machine code, once for each processor level. Its parts are
`kernel.sample`, `keyword_filter`, `selection` and `lines`, whose tests have their own oracles.
"""

import numpy as np

from models.inference.constraints import CHARACTERS, LOOKED, UNSAFE, WRITTEN
from models.inference.keyword_filter import find
from models.inference.lines import write_lines
from models.inference.selection import Rules, select
from models.kernel.arithmetic import borrowed, kernel
from models.kernel.enumeration import Names, Region, Search, enumerate_names
from models.kernel.evaluate import Program, Tree
from models.kernel.sample import Choice, sample

_sample, _find, _write, _enumerate = kernel(sample), kernel(find), kernel(write_lines), kernel(enumerate_names)


@kernel
def _program_of(stages, terms, keep, weights, alphabets, integer, narrow, gates, wide, shares):  # type: ignore[no-untyped-def]
    return Program(
        borrowed(stages),
        borrowed(terms),
        borrowed(keep),
        borrowed(weights),
        borrowed(alphabets),
        borrowed(integer),
        borrowed(narrow),
        borrowed(gates),
        borrowed(wide),
        borrowed(shares),
    )


@kernel
def _tree_of(nodes, state, slot, used, shared, shared_of):  # type: ignore[no-untyped-def]
    rows = borrowed(nodes)
    return Tree(
        rows,
        rows.view(np.float32),
        borrowed(state),
        borrowed(slot),
        borrowed(used),
        borrowed(shared),
        borrowed(shared_of),
    )


@kernel
def _mark(codes, lengths, letters, sizes, table, masks):  # type: ignore[no-untyped-def]
    """Give offensive names the length UNSAFE; an empty `table` has no words."""
    if len(table) > 0:
        marks = np.empty(len(lengths), np.bool_)
        _find(codes, lengths, letters, sizes, table, masks, marks)
        for c in range(len(lengths)):
            if marks[c]:
                lengths[c] = UNSAFE


def draw_names(  # type: ignore[no-untyped-def]
    stages,
    terms,
    keep,
    weights,
    alphabets,
    integer,
    narrow,
    gates,
    wide,
    nodes,
    state,
    slot,
    used,
    shared,
    shared_of,
    work,
    space,
    ring,
    width,
    prefix,
    shares,
    options,
    excluded,
    temperature,
    rate,
    top_k,
    top_p,
    share,
    powers,
    min_length,
    max_length,
    letters,
    sizes,
    table,
    masks,
    ending,
    part,
    pattern,
    known,
    pieces,
    piece_sizes,
    kinds,
    special,
    frames,
    frame_sizes,
    title,
    seen,
    seed,
    first,
    wanted,
    codes,
    lengths,
    out,
    counts,
):
    """Draw the candidates first, first + 1, ... (n) and add what becomes of them to `counts` (see `selection`).

    The arguments come in groups: up to `max_length` those of `sample`; up to `masks` of `keyword_filter.find`, with an
    empty `table` to mark none; up to `known` of `Rules`; up to `title` of `write_lines`; `seen` is the table of
    the answer. Names are selected until counts[NAMES] is `wanted`; with a negative `wanted` candidates
    stay as they are, except for marked ones. Selected names are written into `out` (uint8), which has room for n of
    them, or for none.
    """
    program = _program_of(stages, terms, keep, weights, alphabets, integer, narrow, gates, wide, shares)
    tree = _tree_of(nodes, state, slot, used, shared, shared_of)
    choice = Choice(options, borrowed(excluded), temperature, rate, top_k, top_p, share, borrowed(powers), min_length)
    _sample(
        program,
        tree,
        choice,
        borrowed(work),
        borrowed(space),
        ring,
        width,
        borrowed(prefix),
        max_length,
        np.uint64(seed),
        np.uint64(first),
        borrowed(codes),
        borrowed(lengths),
    )
    n = len(lengths)
    for c in range(n):
        counts[CHARACTERS] += 1 + (lengths[c] if lengths[c] >= 0 else max_length)
    _mark(codes, lengths, letters, sizes, table, masks)
    if wanted >= 0:
        looked = counts[LOOKED]
        select(codes, lengths, Rules(ending, part, pattern, borrowed(known)), borrowed(seen), wanted, counts)
        looked = counts[LOOKED] - looked
        if len(out) > 0:
            written, _, _ = _write(
                codes[:looked],
                lengths[:looked],
                pieces,
                piece_sizes,
                kinds,
                special,
                frames,
                frame_sizes,
                title,
                n,
                out,
            )
            counts[WRITTEN] = written


def list_names(  # type: ignore[no-untyped-def]
    stages,
    terms,
    keep,
    weights,
    alphabets,
    integer,
    narrow,
    gates,
    wide,
    nodes,
    state,
    slot,
    used,
    shared,
    shared_of,
    shares,
    work,
    width,
    codes,
    path,
    length,
    waiting,
    free,
    pending,
    counts,
    allowed,
    ends,
    low,
    high,
    cut,
    limit,
    letters,
    sizes,
    table,
    masks,
    ending,
    part,
    pattern,
    known,
    seen,
    found_codes,
    found_lengths,
    found_log_probs,
    selected,
):
    """Fill the `found` arrays with the next names of a search, and return their number; see `enumerate_names`.

    The arguments come in groups: up to `shared_of` plan and tree; up to `counts` of `Search`; up to `limit` of
    `Region`; up to `masks` of `keyword_filter.find`, up to `known` of `Rules`. Rejected names get a negative
    length (see `selection`), and `selected` counts them, unless `cut` is above `limit`. `seen`: a table without room.
    """
    program = _program_of(stages, terms, keep, weights, alphabets, integer, narrow, gates, wide, shares)
    tree = _tree_of(nodes, state, slot, used, shared, shared_of)
    search = Search(
        borrowed(codes),
        borrowed(path),
        borrowed(length),
        borrowed(waiting),
        borrowed(free),
        borrowed(pending),
        borrowed(counts),
    )
    region = Region(borrowed(allowed), borrowed(ends), borrowed(low), borrowed(high), cut, limit)
    names = Names(borrowed(found_codes), borrowed(found_lengths), borrowed(found_log_probs))
    n = _enumerate(program, tree, search, region, names, borrowed(work), width)
    if cut <= limit:
        lengths = found_lengths[:n]
        _mark(found_codes[:n], lengths, letters, sizes, table, masks)
        rules = Rules(ending, part, pattern, borrowed(known))
        select(found_codes[:n], lengths, rules, borrowed(seen), -1, selected)
    return n
