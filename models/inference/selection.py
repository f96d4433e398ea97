"""Which candidates become names, compiled: the constraints over codes, in the order of `constraints.REASONS`.

`pipeline` calls `select`. `constraints.ConstraintFilter` does the same with text: it
is the oracle of the tests, and serves the vocabularies in which names may look alike (`Vocabulary.loose`).
"""

from collections.abc import Callable, Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.inference.constraints import (
    ANY,
    CONTAINS,
    ENDS_WITH,
    LOOKED,
    MAX_LENGTH,
    NAMES,
    NOVEL,
    PATTERN,
    REFUSED,
    RUN,
    SAFE,
    UNFIT,
    UNIQUE,
    UNSAFE,
    WILDCARDS,
    Constraints,
)
from models.kernel.arithmetic import kernel
from models.kernel.sample import TOO_LONG
from models.spelling import fold
from models.vocabulary import Vocabulary

Codes = NDArray[np.int32]
# The codes of ? and * in a pattern.
ANY_CODE, RUN_CODE = -1, -2
# Places of a table for each name in it: about half of them stay free.
PLACES = 2
FREE = 0
# The first numbers of a table: names and characters of each that there is room for, places, and names in it.
_ROOM, _LONGEST, _PLACES, _USED, _HEAD = range(5)
# FNV-1a (Fowler, Noll and Vo) in 64 bits.
_BASIS, _PRIME, _HALF = np.uint64(14695981039346656037), np.uint64(1099511628211), np.uint64(32)


class NameTable(NamedTuple):
    """Names as codes in a hash table with linear probing: the parts of one array, which `empty_table` makes.

    `codes` (N, T) and `lengths` (N,): the names; `places` (a power of two,): one more than their rows, or FREE. `used`
    (1,): how many there are. A table without places holds nothing and takes nothing.
    """

    codes: Codes
    lengths: Codes
    places: Codes
    used: Codes


class Rules(NamedTuple):
    """The constraints of a request as codes; what is empty rejects nothing. `known`: a table of names that are not
    novel.
    """

    ending: Codes
    part: Codes
    pattern: Codes
    known: Codes


def empty_table(names: int, longest: int) -> Codes:
    """Return a table with room for `names` names of at most `longest` characters; none for 0 names."""
    places = 1 << (PLACES * names - 1).bit_length() if names else 0
    table = np.zeros(_HEAD + places + names * (1 + longest), np.int32)
    table[:_USED] = names, longest, places
    return table


NO_NAMES = empty_table(0, 0)
_NOTHING = np.zeros(0, np.int32)


@kernel
def parts_of(table):  # type: ignore[no-untyped-def]
    """Return the parts of a table, as views."""
    names, longest, places = table[_ROOM], table[_LONGEST], table[_PLACES]
    lengths = _HEAD + places
    codes = table[lengths + names :].reshape((names, longest))
    return NameTable(codes, table[lengths : lengths + names], table[_HEAD:lengths], table[_USED:_HEAD])


def table_of(names: Collection[str], vocabulary: Vocabulary, place: Callable[..., None]) -> Codes:
    """Return a table of those names that the vocabulary can spell. `place`: `place_names`, compiled or plain."""
    letters = set(vocabulary.characters)
    spelled = [found for found in map(vocabulary.split, names) if letters.issuperset(found)]
    table = empty_table(len(spelled), max(map(len, spelled), default=1))
    parts: NameTable = parts_of.py_func(table)
    parts.lengths[:] = list(map(len, spelled))
    parts.used[0] = len(spelled)
    if vocabulary.clustered:
        for row, found in zip(parts.codes, spelled, strict=True):
            row[: len(found)] = [vocabulary.stoi[c] for c in found]
        place(table)
        return table
    code_points = np.frombuffer("".join(map(str, spelled)).encode("utf-32-le"), np.uint32)
    known = np.array(list(map(ord, vocabulary.characters)), np.uint32)
    inside = np.arange(parts.codes.shape[1]) < parts.lengths[:, None]
    parts.codes[inside] = np.argsort(known)[np.searchsorted(np.sort(known), code_points)] + 1
    place(table)
    return table


def rules_of(constraints: Constraints, vocabulary: Vocabulary, known: Codes) -> Rules:
    """Return the coded constraints, whose text was checked before. `known`: a table of names that are not novel."""
    if not (constraints.ends_with or constraints.contains or constraints.pattern):
        return Rules(_NOTHING, _NOTHING, _NOTHING, known)
    letters = vocabulary.stoi
    # In a pattern these are wildcards, even where the list has them.
    symbols = {**letters, ANY: ANY_CODE, RUN: RUN_CODE}
    ending, part = (
        np.array([letters[c] for c in vocabulary.split(fold(text))], np.int32)
        for text in (constraints.ends_with, constraints.contains)
    )
    pattern = np.array([symbols[c] for c in vocabulary.split(fold(constraints.pattern), WILDCARDS)], np.int32)
    return Rules(ending, part, pattern, known)


@kernel
def _find(names, row, length):  # type: ignore[no-untyped-def]
    """Return the place in the table of the name row[:length], or of a free place where it would be."""
    value = _BASIS
    for t in range(length):
        value = (value ^ np.uint64(row[t])) * _PRIME
    mask = len(names.places) - 1
    place = np.int64((value ^ (value >> _HALF)) & np.uint64(mask))
    while names.places[place] != FREE:
        other = names.places[place] - 1
        same = names.lengths[other] == length
        for t in range(length):
            if not same:
                break
            same = names.codes[other, t] == row[t]
        if same:
            break
        place = (place + 1) & mask
    return place


def place_names(table):  # type: ignore[no-untyped-def]
    """Put the names of a table into their places; equal names share one."""
    names = parts_of(table)
    for k in range(names.used[0]):
        names.places[_find(names, names.codes[k], names.lengths[k])] = k + 1


@kernel
def _is_at(piece, row, at):  # type: ignore[no-untyped-def]
    same = True
    for k in range(len(piece)):
        same = same and row[at + k] == piece[k]
    return same


@kernel
def _contains(part, row, length):  # type: ignore[no-untyped-def]
    found = False
    for at in range(length - len(part) + 1):
        found = found or _is_at(part, row, at)
    return found


@kernel
def _matches(pattern, row, length):  # type: ignore[no-untyped-def]
    """Return whether the whole name matches: after a mismatch, only the last run of any characters grows."""
    p = t = 0
    run, start = -1, 0
    while t < length:
        if p < len(pattern) and pattern[p] == RUN_CODE:
            run, start = p, t
            p += 1
        elif p < len(pattern) and (pattern[p] == ANY_CODE or pattern[p] == row[t]):
            p, t = p + 1, t + 1
        elif run >= 0:
            start += 1
            p, t = run + 1, start
        else:
            return False
    while p < len(pattern) and pattern[p] == RUN_CODE:
        p += 1
    return p == len(pattern)


@kernel
def _reason(rules, known, seen, row, length):  # type: ignore[no-untyped-def]
    """Return the number of the constraint that rejects a name, or -1, and remember the name as seen."""
    if len(rules.ending) > length or not _is_at(rules.ending, row, length - len(rules.ending)):
        return ENDS_WITH
    if len(rules.part) > 0 and not _contains(rules.part, row, length):
        return CONTAINS
    if len(rules.pattern) > 0 and not _matches(rules.pattern, row, length):
        return PATTERN
    if len(known.places) > 0 and known.places[_find(known, row, length)] != FREE:
        return NOVEL
    if len(seen.places) > 0:
        place = _find(seen, row, length)
        if seen.places[place] != FREE:
            return UNIQUE
        k = seen.used[0]
        for t in range(length):
            seen.codes[k, t] = row[t]
        seen.lengths[k], seen.places[place], seen.used[0] = length, k + 1, k + 1
    return -1


@kernel
def select(codes, lengths, rules, seen, wanted, counts):  # type: ignore[no-untyped-def]
    """Reject candidates (n, T) by giving them a negative length, until `wanted` names are found; add to `counts`.

    lengths (n,): TOO_LONG and UNSAFE are rejected before. `seen`: a table of the names of this answer so far, with room
    for all, where names must be unique.
    """
    listed, before = parts_of(rules.known), parts_of(seen)
    for c in range(len(lengths)):
        if counts[NAMES] == wanted:
            break
        counts[LOOKED] += 1
        if lengths[c] == TOO_LONG:
            counts[REFUSED + MAX_LENGTH] += 1
        elif lengths[c] == UNSAFE:
            counts[REFUSED + SAFE] += 1
        else:
            reason = _reason(rules, listed, before, codes[c], lengths[c])
            if reason >= 0:
                lengths[c] = UNFIT
                counts[REFUSED + reason] += 1
            else:
                counts[NAMES] += 1
