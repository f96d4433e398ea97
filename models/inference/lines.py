"""From drawn codes to bytes, in one of four forms: plain text, CSV, NDJSON, JSON list. No text object is made for a
name, and nothing is drawn here.

`write_lines` is a plain Python function that `jit` turns into machine code; run as it is, it is its own slow
oracle. What it must know of characters (their bytes, whether a word starts after them) comes in tables.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.casing import Case, Casing
from models.spelling import APOSTROPHES, SIGNS, capital, is_break
from models.vocabulary import Vocabulary

# What a character means for the one after it: see `spelling.capitalize`. Both of the last two end a word.
_INSIDE, _LETTER, _BREAK, _APOSTROPHE = range(4)


@dataclass(frozen=True)
class Form:
    """How lines are written. A name with one of the `special` characters stands between `special_head` and
    `special_tail`; `escape` gives what stands for a character.
    """

    head: str
    tail: str
    escape: Callable[[str], str]
    title: str = ""
    special: str = ""
    special_head: str = ""
    special_tail: str = ""


def _json_escape(character: str) -> str:
    return json.dumps(character, ensure_ascii=False)[1:-1]


TEXT = Form("", "\n", str)
# RFC 4180. A leading = or + stays as it is: names are data, and a changed name would be another one.
CSV = Form("", "\r\n", lambda c: c.replace('"', '""'), "name\r\n", ',"\r\n', '"', '"\r\n')
NDJSON = Form('{"name":"', '"}\n', _json_escape)
# The elements of a JSON list.
JSON_LIST = Form('"', '",', _json_escape)


@njit(nogil=True)
def _put(out, at, piece, size):  # type: ignore[no-untyped-def]
    for k in range(size):
        out[at + k] = piece[k]
    return at + size


@njit(nogil=True)
def _ends_word(kinds, codes, i):  # type: ignore[no-untyped-def]
    """Return whether `spelling.capitalize` puts a capital after place i."""
    kind = kinds[codes[i]]
    if kind == _APOSTROPHE:
        return i >= 1 and kinds[codes[i - 1]] == _LETTER and (i == 1 or kinds[codes[i - 2]] >= _BREAK)
    return kind == _BREAK


def write_lines(codes, lengths, pieces, sizes, kinds, special, frames, frame_sizes, title, limit, out):  # type: ignore[no-untyped-def]
    """Write at most `limit` names into `out` (uint8), and return the bytes used, the names written and the candidates
    looked at: those up to the last name written, or all; fewer where the next name might not fit.

    codes (n, T) and lengths (n,): the sampler's; a negative length is refused. pieces (2, V, W), sizes (2, V): the
    bytes of each character, small and capital. kinds, special (V,). frames (4, F), frame_sizes (4,): head and tail,
    special head and tail.
    """
    used, names, looked = 0, 0, 0
    for c in range(len(lengths)):
        length = lengths[c]
        if names == limit:
            break
        if length >= 0:
            if used + 2 * frames.shape[1] + length * pieces.shape[2] > len(out):
                break
            row, head = codes[c], 0
            for t in range(length):
                if special[row[t]]:
                    head = 2
            used = _put(out, used, frames[head], frame_sizes[head])
            starts = True
            for t in range(length):
                case = 1 if title and starts else 0
                size = sizes[case, row[t]]
                for k in range(size):
                    out[used + k] = pieces[case, row[t], k]
                used += size
                starts = _ends_word(kinds, row, t)
            used = _put(out, used, frames[head + 1], frame_sizes[head + 1])
            names += 1
        looked += 1
    return used, names, looked


class LineWriter:
    """The tables of one form over one vocabulary. Safe to share between threads: nothing in it changes.

    `kernel` is `write_lines`, compiled or plain; `arrays` are its arguments from `pieces` to `title`. A name takes at
    most `frame_bytes`, and `character_bytes` for each of its characters.
    """

    def __init__(
        self, vocabulary: Vocabulary, form: Form, title: bool, kernel: Callable[..., tuple[int, int, int]]
    ) -> None:
        characters = vocabulary.characters
        cases = ["", *characters], ["", *(capital(c[0], vocabulary.locale) + c[1:] for c in characters)]
        pieces, sizes = _padded([form.escape(c).encode() if c else b"" for case in cases for c in case])
        kinds = np.array([_BREAK, *map(_kind, characters)], np.int8)
        special = np.array([0, *(not set(c).isdisjoint(form.special) for c in characters)], np.int8)
        frames, frame_sizes = _padded(
            [frame.encode() for frame in (form.head, form.tail, form.special_head, form.special_tail)]
        )
        V = len(vocabulary)
        self.arrays = (pieces.reshape(2, V, -1), sizes.reshape(2, V), kinds, special, frames, frame_sizes, title)
        self._kernel = kernel
        self.frame_bytes, self.character_bytes = 2 * int(frames.shape[1]), int(pieces.shape[1])

    def __call__(self, codes: NDArray[np.int32], lengths: NDArray[np.int32], limit: int) -> tuple[bytes, int, int]:
        """Return the lines of at most `limit` names, how many these are, and how many candidates were looked at."""
        names, longest = codes.shape
        out = np.empty(names * (self.frame_bytes + longest * self.character_bytes), np.uint8)
        used, names, looked = self._kernel(codes, lengths, *self.arrays, limit, out)
        return out[:used].tobytes(), names, looked


class SpellingWriter:
    """Writes names as `spell` spells them, in Python: for versions that say how their list spells words."""

    def __init__(self, vocabulary: Vocabulary, form: Form, spell: Callable[[str], str]) -> None:
        self._form, self._spell = form, spell
        # Of letters no form escapes any, so small ones stand for capitals.
        letters = sorted(set("".join(vocabulary.characters)))
        self._escapes = str.maketrans({c: form.escape(c) for c in letters if form.escape(c) != c})

    def __call__(self, names: Iterable[str | None]) -> bytes:
        """Return the lines of `names`; None is left out."""
        form, spell, lines = self._form, self._spell, list[str]()
        for name in names:
            if name is not None:
                text = spell(name).translate(self._escapes)
                is_special = bool(form.special) and not set(form.special).isdisjoint(name)
                head, tail = (form.special_head, form.special_tail) if is_special else (form.head, form.tail)
                lines.append(f"{head}{text}{tail}")
        return "".join(lines).encode()


Writer = LineWriter | SpellingWriter


def writer_of(
    vocabulary: Vocabulary,
    form: Form,
    case: Case,
    casing: Casing | None,
    kernel: Callable[..., tuple[int, int, int]],
) -> Writer:
    """Return what writes names of this alphabet in a form and a case: the kernel wherever its title case is the one."""
    if case != "lower" and casing is not None:
        is_title = case == "title" or casing.is_title
        if not is_title or not set(SIGNS).isdisjoint("".join(vocabulary.characters)):
            return SpellingWriter(vocabulary, form, casing.title if is_title else casing.spell)
    return LineWriter(vocabulary, form, case != "lower", kernel)


def _padded(texts: list[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the texts as rows of one array, padded with zeros, and their sizes."""
    rows = np.zeros((len(texts), max(map(len, texts))), np.uint8)
    for row, text in zip(rows, texts, strict=True):
        row[: len(text)] = np.frombuffer(text, np.uint8)
    return rows, np.array([len(text) for text in texts], np.int64)


def _kind(character: str) -> int:
    if len(character) > 1:
        # Marks end it, or letters without a case.
        return _INSIDE
    if character in APOSTROPHES:
        return _APOSTROPHE
    if character.isalpha():
        return _LETTER
    return _BREAK if is_break(character) else _INSIDE
