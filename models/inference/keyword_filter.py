"""Which names hold a keyword: words as an automaton, for any alphabet, walked over drawn codes. No word is known here.

Aho and Corasick, "Efficient string matching: an aid to bibliographic search", Communications of the ACM 18 (1975), with
the failure links worked into the table, so that each letter is one step. `find` is a plain Python function that `jit`
turns into machine code; run as it is, it is its own slow oracle.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.spelling import is_break
from models.vocabulary import END, Vocabulary

_ONE, _NONE = np.uint64(1), np.uint64(0)
_WHOLE, _INSIDE, _EXCEPTED = range(3)
# The masks are 64 bits wide, and the last bit stands for "longer than any word".
LONGEST = 63
# Letters by number: a place between words, and any letter that no word has.
GAP, OTHER = 0, 1
# From here on a mark is an accent (Unicode's canonical combining classes); below are signs that spell, such as vowels.
_ACCENTS = 200
# The arcs to all states of one depth: from a state, by a letter, to a state.
_Level = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
# More than there are characters.
_MANY_LETTERS = 2**21


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
        if not letters:
            return Keywords(frozenset(), frozenset(), frozenset())
        spelled = re.compile(f"^[{re.escape(''.join(letters))}]{{1,{LONGEST}}}$", re.MULTILINE)
        sets = (self.whole | self.inside, self.inside, self.excepted)
        return Keywords(*(frozenset(spelled.findall("\n".join(words))) for words in sets))


@dataclass(frozen=True)
class Machine:
    """The automaton. table (states, letters) int32: the next state; state 0 is the start. masks (states, 3) uint64, one
    column for each set of `Keywords`: bit k is set where a word of k + 1 letters ends. `numbers`: of each letter that a
    word has. `suffixes` (states,) int32: where the longest shorter suffix of a state is; `levels`: all states but the
    start by depth.
    """

    table: NDArray[np.int32]
    masks: NDArray[np.uint64]
    numbers: dict[str, int]
    suffixes: NDArray[np.int32]
    levels: tuple[NDArray[np.int64], ...]

    def only_whole(self, words: Iterable[str]) -> NDArray[np.uint64]:
        """Return the masks without these words in the column of those that are found inside others."""
        removed = np.zeros(len(self.masks), np.uint64)
        for word in words:
            if self.numbers.keys() >= set(word):
                state = 0
                for letter in word:
                    state = self.table[state, self.numbers[letter]]
                removed[state] |= np.uint64(1 << (len(word) - 1))
        # A word ends in each state that it is a suffix of.
        for level in self.levels:
            removed[level] |= removed[self.suffixes[level]]
        masks = self.masks.copy()
        masks[:, _INSIDE] &= ~removed
        return masks


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
    words = sorted(frozenset().union(*sets))
    letters = sorted(set("".join(words)))
    numbers = {letter: number for number, letter in enumerate(letters, start=OTHER + 1)}
    levels, states = _trie(words, numbers)
    masks = np.zeros((1 + sum(len(children) for *_, children in levels), len(sets)), np.uint64)
    for state, word in zip(states.tolist(), words, strict=True):
        masks[state] = [(word in each) << (len(word) - 1) for each in sets]
    table, suffixes = _link(levels, masks, len(letters) + OTHER + 1)
    return Machine(table, masks, numbers, suffixes, tuple(children for *_, children in levels))


@lru_cache(4)
def _machine_of(keywords: Keywords, letters: frozenset[str]) -> Machine:
    """Return the automaton of the words that can be spelled with these letters: many alphabets have the same."""
    return build(keywords.spelled_in(letters))


def _trie(words: Sequence[str], numbers: dict[str, int]) -> tuple[list[_Level], NDArray[np.intp]]:
    """Return the tree of all words, its arcs by depth, and the state in which each word ends."""
    codes = np.array([numbers[letter] for letter in "".join(words)], np.int64)
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    starts = lengths.cumsum() - lengths
    levels: list[_Level] = []
    states, count = np.zeros(len(words), np.int64), 1
    for depth in range(lengths.max(initial=0)):
        longer = (lengths > depth).nonzero()[0]
        parents, steps = states[longer], codes[starts[longer] + depth]
        arcs, places = np.unique(parents * _MANY_LETTERS + steps, return_inverse=True)
        children = np.arange(count, count + len(arcs))
        levels.append((arcs // _MANY_LETTERS, arcs % _MANY_LETTERS, children))
        states[longer] = children[places]
        count += len(arcs)
    return levels, states


def _link(levels: list[_Level], masks: NDArray[np.uint64], letters: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the table and the suffixes, and complete the masks.

    Where the tree has no arc, the table has that of the longest suffix that is in the tree. Depth by depth: a state's
    suffix is shorter than the state, so it was finished before.
    """
    table, suffix = np.zeros((len(masks), letters), np.int32), np.zeros(len(masks), np.int32)
    for depth, (parents, steps, children) in enumerate(levels):
        if depth:
            suffix[children] = table[suffix[parents], steps]
        table[parents, steps] = children
        table[children] = table[suffix[children]]
        masks[children] |= masks[suffix[children]]
    return table, suffix


def find(codes, lengths, letters, sizes, table, masks, out):  # type: ignore[no-untyped-def]
    """Set `out` (n,) bool where a name holds a keyword.

    codes (n, T) and lengths (n,): the sampler's; a negative length holds none. letters (V, W), sizes (V,): the letters
    of each character. table, masks: see `Machine`.

    Three rows of bits, one for each letter so far and the last letter lowest: `starts`, where a word of the name
    starts; `word`, the letters of the word under way; `name`, those of all. A mask that meets one of them is a keyword
    that starts where it must.
    """
    for c in range(len(lengths)):
        state, starts, word, name, inside, found = 0, _NONE, _NONE, _NONE, False, False
        # One place more than there are characters, for the end token ends the last word.
        for t in range(lengths[c] + 1):
            code = codes[c, t] if t < lengths[c] else END
            for k in range(sizes[code]):
                letter = letters[code, k]
                if letter != GAP:
                    state = table[state, letter]
                    starts = (starts << _ONE) | (_ONE if word == _NONE else _NONE)
                    word = (word << _ONE) | _ONE
                    name = (name << _ONE) | _ONE
                    ending = masks[state, _INSIDE]
                    if ending != _NONE:
                        inside = inside or (ending & word) != _NONE
                        found = found or (ending & starts & ~word) != _NONE
                elif word != _NONE:
                    # The highest bit of a row alone: a keyword that is all of it.
                    excepted = masks[state, _EXCEPTED] & (word ^ (word >> _ONE))
                    found = found or (inside and excepted == _NONE)
                    found = found or (masks[state, _WHOLE] & starts & ~excepted) != _NONE
                    word, inside = _NONE, False
        out[c] = found and (masks[state, _EXCEPTED] & (name ^ (name >> _ONE))) == _NONE


class Automaton:
    """The keywords over one vocabulary. Safe to share between threads: nothing in it changes.

    `kernel` is `find`, compiled or plain; `arrays` are its arguments from `letters` to `masks`, `nbytes` their size.
    """

    def __init__(self, keywords: Keywords, vocabulary: Vocabulary, kernel: Callable[..., None]) -> None:
        # The end token ends a word.
        folded = [" ", *map(fold, vocabulary.characters)]
        machine = _machine_of(keywords, frozenset("".join(folded)))
        sizes = np.array([len(text) for text in folded], np.int64)
        letters = np.full((len(folded), max(1, int(sizes.max()))), GAP, np.int32)
        for row, text in zip(letters, folded, strict=True):
            row[: len(text)] = [GAP if c == " " else machine.numbers.get(c, OTHER) for c in text]
        self.arrays = (letters, sizes, machine.table, machine.masks)
        self.vocabulary, self._machine, self._kernel = vocabulary, machine, kernel
        self.nbytes = sum(array.nbytes for array in self.arrays)

    def only_whole(self, words: Iterable[str]) -> "Automaton":
        """Return an automaton that finds these keywords only as whole words; it shares the table."""
        other = copy(self)
        other.arrays = (*self.arrays[:3], self._machine.only_whole(words))
        return other

    def mark(self, codes: NDArray[np.int32], lengths: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return which of the names (n,) hold a keyword; codes (n, T), lengths (n,), a refused candidate holds none."""
        out = np.empty(len(lengths), np.bool_)
        self._kernel(codes, lengths, *self.arrays, out)
        return out
