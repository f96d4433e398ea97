"""Which names hold a keyword: an automaton walked over drawn codes, a step for each letter. No word is known here, and
no name becomes text.

`find` is a plain Python function that `compiler` turns into machine code; run as it is, it is its own slow oracle.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.inference.keywords import GAP, OTHER, Keywords, build, fold
from models.vocabulary import END, Vocabulary

_ONE, _NONE = np.uint64(1), np.uint64(0)
_WHOLE, _INSIDE, _EXCEPTED = range(3)


def find(codes, lengths, letters, sizes, table, masks, out):  # type: ignore[no-untyped-def]
    """Set `out` (n,) bool where a name holds a keyword.

    codes (n, T) and lengths (n,): the sampler's; a negative length holds none. letters (V, W), sizes (V,): the letters
    of each character. table, masks: see `keywords.Machine`.

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

    `kernel` is `find`, compiled or plain. `nbytes`: what its tables take.
    """

    def __init__(self, keywords: Keywords, vocabulary: Vocabulary, kernel: Callable[..., None]) -> None:
        # The end token ends a word.
        folded = [" ", *map(fold, vocabulary.characters)]
        machine = build(keywords.spelled_in("".join(folded).replace(" ", "")))
        self._sizes = np.array([len(text) for text in folded], np.int64)
        self._letters = np.full((len(folded), max(1, int(self._sizes.max()))), GAP, np.int32)
        for row, text in zip(self._letters, folded, strict=True):
            row[: len(text)] = [GAP if c == " " else machine.numbers.get(c, OTHER) for c in text]
        self._table, self._masks, self._kernel = machine.table, machine.masks, kernel
        self.nbytes = sum(a.nbytes for a in (self._letters, self._sizes, self._table, self._masks))

    def mark(self, codes: NDArray[np.int32], lengths: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return which of the names (n,) hold a keyword; codes (n, T), lengths (n,), a refused candidate holds none."""
        out = np.empty(len(lengths), np.bool_)
        self._kernel(codes, lengths, self._letters, self._sizes, self._table, self._masks, out)
        return out
