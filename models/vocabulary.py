"""The characters of a model, and their indices, without normalisation or files.

A character is a code point or, in models of lists with combining marks, a grapheme cluster.

Index 0 is the end token. It is shown as "." but is no character: a full stop in a list has an index of its own.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.errors import ConfigError, UnknownCharacter
from models.spelling import (
    DOT,
    JAMO,
    LIKE_APOSTROPHES,
    TURKIC,
    capital,
    clusters,
    conjoins,
    continues,
    fold,
    is_consonant,
    lower_i,
    normalize,
    twin,
)

END = 0
END_SYMBOL = "."
# The first code point of Unicode's private plane 15.
_PRIVATE = 0xF0000


@dataclass(frozen=True)
class Vocabulary:
    """The alphabet of one model: `characters[i]` has index i + 1, index 0 is the end token.

    `locale`: one of `spelling.TURKIC` where i and ı have capitals of their own, else "".
    Raises `ConfigError` for characters that repeat or are neither single code points nor grapheme clusters.
    """

    characters: tuple[str, ...]
    locale: str = ""
    stoi: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        stoi = {character: i for i, character in enumerate(self.characters, start=1)}
        odd = any(len(c) != 1 and len(clusters(c)) != 1 for c in self.characters)
        if odd or len(stoi) != len(self.characters):
            raise ConfigError("The vocabulary must hold single characters, each once.", field="vocabulary")
        object.__setattr__(self, "stoi", stoi)

    @classmethod
    def of(cls, names: Iterable[str], locale: str = "") -> "Vocabulary":
        """Return the sorted alphabet of `names`, code point by code point."""
        return cls(tuple(sorted(set().union(*names))), locale)

    @classmethod
    def of_clusters(cls, names: Iterable[str], locale: str = "") -> "Vocabulary":
        """Return the sorted alphabet of `names`, cluster by cluster: that of `of` where no name has marks."""
        return cls(tuple(sorted(set().union(*map(clusters, names)))), locale)

    def __len__(self) -> int:
        """Return vocab_size: the characters and the end token."""
        return len(self.characters) + 1

    @cached_property
    def itos(self) -> tuple[str, ...]:
        """The symbol of each index; the end token is shown as "."."""
        return (END_SYMBOL, *self.characters)

    @cached_property
    def code_points(self) -> NDArray[np.uint32]:
        """The code point of each index (V,); 0 for the end token."""
        return np.array([END, *map(ord, self.characters)], np.uint32)

    @cached_property
    def clustered(self) -> bool:
        """Whether some characters have several code points; marks then never stand alone."""
        return any(len(c) > 1 for c in self.characters)

    @cached_property
    def bare(self) -> tuple[int, ...]:
        """The indices of marks that begin a name of the list; no name is drawn with them."""
        return tuple(i for c, i in self.stoi.items() if continues(c[0])) if self.clustered else ()

    @cached_property
    def pieces(self) -> NDArray[np.float32] | None:
        """How often each index has each code point, the end token first (V, P); None where none has several."""
        if not self.clustered:
            return None
        numbers = {c: i for i, c in enumerate(sorted(set().union(*self.characters)), start=1)}
        pieces = np.zeros((len(self), len(numbers) + 1), np.float32)
        pieces[END, END] = 1
        for character, i in self.stoi.items():
            for c in character:
                pieces[i, numbers[c]] += 1
        return pieces

    @cached_property
    def joins(self) -> bool:
        """Whether two characters side by side may be one to a reader: क् and ष are क्ष."""
        if not self.clustered:
            return False
        return any(map(conjoins, self.characters)) and any(is_consonant(c[0]) for c in self.characters)

    @cached_property
    def loose(self) -> bool:
        """Whether two names may look like one.

        A blank may end it, a mark follow its letter, and a capital stand for two letters, as I does for ı and i.
        """
        return " " in self.characters or bool(self.irregular)

    @cached_property
    def irregular(self) -> frozenset[str]:
        """The characters that may look different in a name that was capitalised and read again; no plain blank."""
        return frozenset(
            c
            for c in self.characters
            if (c.isspace() and c != " ")
            or (twin(c, self.locale) != c.strip() if self.clustered else _is_ambiguous(c, self.locale))
        )

    def split(self, text: str, wildcards: str = "") -> Sequence[str]:
        """Return the characters of `text`, known or not; nothing joins one of `wildcards`."""
        if not self.clustered:
            return text
        if not wildcards:
            return clusters(text)
        pieces = re.split(f"([{re.escape(wildcards)}])", text)
        return [c for piece in pieces for c in clusters(piece)]

    def as_code_points(self, text: str, wildcards: str = "") -> str | None:
        """Return `text` with a code point for each character, `wildcards` as they are; None with unknown ones."""
        if not self.clustered:
            return text
        try:
            return "".join(c if c in wildcards else chr(_PRIVATE + self.stoi[c]) for c in self.split(text, wildcards))
        except KeyError:
            return None

    def texts(self, codes: NDArray[np.int32]) -> list[str]:
        """Return rows of indices (n, T), padded with 0, as text."""
        if self.clustered:
            return ["".join(row) for row in self._symbols[codes].tolist()]
        # A row of code points, padded with zeros, is numpy's own form of a string.
        texts: list[str] = self.code_points[codes].view(f"<U{codes.shape[1]}")[:, 0].tolist()
        return texts

    @cached_property
    def _symbols(self) -> NDArray[np.object_]:
        return np.array(["", *self.characters], np.object_)

    def longest(self, names: Collection[str], code_points: int) -> int:
        """Return the length of the longest name in characters; it has `code_points`, the answer without names."""
        if not self.clustered or not names:
            return code_points
        longest = 0
        for name in sorted(names, key=len, reverse=True):
            if len(name) <= longest:
                break
            longest = max(longest, len(clusters(name)))
        return longest

    def spelled(self, text: str) -> str:
        """Return `text` with the letters i and the apostrophe of this alphabet instead of others that look like it."""
        if self.locale in TURKIC or DOT not in self.stoi:
            text = lower_i(text, self.locale)
        if self.apostrophe is None or not any(sign in text for sign in LIKE_APOSTROPHES):
            return text
        return "".join(self.apostrophe if c in LIKE_APOSTROPHES and c not in self.stoi else c for c in text)

    def normalize(self, name: str) -> str:
        """Return a name as the list has it: in lower case, with the letters of this alphabet."""
        return normalize(self.spelled(name))

    @cached_property
    def apostrophe(self) -> str | None:
        """The first sign of this alphabet that looks like an apostrophe."""
        return next((sign for sign in LIKE_APOSTROPHES if sign in self.stoi), None)

    def encode(self, text: str) -> list[int]:
        """Return the indices of `text` (no end token added). Raises `UnknownCharacter`."""
        return self.indices(self.split(text))

    def indices(self, characters: Sequence[str]) -> list[int]:
        """Return the indices of `characters`. Raises `UnknownCharacter`."""
        try:
            return [self.stoi[character] for character in characters]
        except KeyError:
            unknown = sorted(set(characters) - set(self.characters))
            raise UnknownCharacter(
                f"The model does not know {', '.join(map(repr, unknown))}; it knows {self.describe()}.",
                allowed=f"text of the characters {self.describe()}",
            ) from None

    def decode(self, indices: Sequence[int]) -> str:
        """Return the text of `indices`, up to the first end token if there is one."""
        letters = []
        for index in indices:
            if index == END:
                break
            letters.append(self.itos[index])
        return "".join(letters)

    def describe(self, limit: int = 80) -> str:
        """Return the alphabet in one readable line, runs of a-z shortened, at most about `limit` characters."""
        text = "".join(self.characters).replace("abcdefghijklmnopqrstuvwxyz", "a-z")
        text = text.replace(" ", "␣")
        return text if len(text) <= limit else f"{text[:limit]}… ({len(self.characters)} in all)"


def _is_ambiguous(character: str, locale: str) -> bool:
    if unicodedata.category(character)[0] == "M" or character in JAMO:
        return True
    return fold(capital(character, locale), locale) != character
