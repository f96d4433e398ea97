"""Words as an automaton: which of them end at each letter of a text, for any alphabet. Built here, walked in
`automaton`; what the words mean is their owner's affair.

Aho and Corasick, "Efficient string matching: an aid to bibliographic search", Communications of the ACM 18 (1975),
with the failure links worked into the table, so that each letter is one step.
"""

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.spelling import is_break

# The masks are 64 bits wide, and the last bit stands for "longer than any word".
LONGEST = 63
# Letters by number: a place between words, and any letter that no word has.
GAP, OTHER = 0, 1
# From here on a mark is an accent (Unicode's canonical combining classes); below are signs that spell, such as vowels.
_ACCENTS = 200
# From a state, by a letter, to a state.
_Arc = tuple[int, int, int]


@dataclass(frozen=True)
class Keywords:
    """Three sets of folded words: `whole` count where they fill one word of a name or several ("big-foot" is bigfoot);
    `inside` also within a word, and from the start of one into the next ("big-footed"); `excepted` are names, and words
    of names, that hold none.
    """

    whole: frozenset[str]
    inside: frozenset[str]
    excepted: frozenset[str]

    def spelled_in(self, letters: Collection[str]) -> "Keywords":
        """Return the words that can be spelled with these letters, and are not too long to be looked for."""
        known = frozenset(letters)
        sets = (self.whole | self.inside, self.inside, self.excepted)
        return Keywords(*(frozenset(w for w in words if len(w) <= LONGEST and known.issuperset(w)) for words in sets))


@dataclass(frozen=True)
class Machine:
    """The automaton. table (states, letters) int32: the next state; state 0 is the start. masks (states, 3) uint64, one
    column for each set of `Keywords`: bit k is set where a word of k + 1 letters ends. `numbers`: of each letter that a
    word has.
    """

    table: NDArray[np.int32]
    masks: NDArray[np.uint64]
    numbers: dict[str, int]


def fold(text: str) -> str:
    """Return the letters of `text` without case and accents: NFKD of each character, its accents dropped.

    What ends a word becomes a space, a lone accent nothing. "Ré-ﬁ" becomes "re fi".
    """
    return "".join(map(_fold_character, text))


@lru_cache(4096)
def _fold_character(character: str) -> str:
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    kept = "".join(c for c in plain if unicodedata.combining(c) < _ACCENTS)
    # Hangul and kana are put together again: a syllable is a letter.
    return "".join(" " if is_break(c) else c for c in unicodedata.normalize("NFC", kept))


def build(keywords: Keywords) -> Machine:
    """Return the automaton of these words, which are folded, without gaps and at most `LONGEST` letters long."""
    sets = (keywords.whole, keywords.inside, keywords.excepted)
    letters = sorted(set().union(*(set(word) for words in sets for word in words)))
    numbers = {letter: number for number, letter in enumerate(letters, start=OTHER + 1)}
    table, masks = _link(*_trie(sets, numbers), len(letters) + OTHER + 1)
    return Machine(table, masks, numbers)


def _trie(
    sets: tuple[frozenset[str], ...], numbers: dict[str, int]
) -> tuple[list[list[_Arc]], list[tuple[int, int, int]]]:
    """Return the tree of all words, its arcs by depth, and where which word ends: (state, set, letters)."""
    arcs: list[list[_Arc]] = []
    ends: list[tuple[int, int, int]] = []
    seen: dict[tuple[int, int], int] = {}
    for word in frozenset().union(*sets):
        state = 0
        for depth, letter in enumerate(word):
            step = (state, numbers[letter])
            if step not in seen:
                seen[step] = len(seen) + 1
                if depth == len(arcs):
                    arcs.append([])
                arcs[depth].append((*step, seen[step]))
            state = seen[step]
        ends.extend((state, column, len(word)) for column, words in enumerate(sets) if word in words)
    return arcs, ends


def _link(arcs: list[list[_Arc]], ends: list[tuple[int, int, int]], letters: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return table and masks: where the tree has no arc, that of the longest suffix that is in the tree.

    Depth by depth: a state's suffix is shorter than the state, so it was finished before.
    """
    states = 1 + sum(map(len, arcs))
    table, masks = np.zeros((states, letters), np.int32), np.zeros((states, 3), np.uint64)
    for state, column, length in ends:
        masks[state, column] |= np.uint64(1 << (length - 1))
    suffix = np.zeros(states, np.int64)
    for depth, level in enumerate(arcs):
        parents, steps, children = np.array(level, np.int64).T
        if depth:
            suffix[children] = table[suffix[parents], steps]
        table[parents, steps] = children
        table[children] = table[suffix[children]]
        masks[children] |= masks[suffix[children]]
    return table, masks
