"""The characters of a model, and their indices, without normalisation or files.

Index 0 is the end token. It is shown as "." but is no character: a full stop in a list has an index of its own.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.errors import ConfigError, UnknownCharacter
from models.spelling import DOT, LIKE_APOSTROPHES, TURKIC, capital, fold, lower_i, normalize

END = 0
# Vowels and last consonants that compose with what stands before them (Unicode's conjoining Hangul).
JAMO = "".join(map(chr, range(0x1161, 0x1200)))
END_SYMBOL = "."


@dataclass(frozen=True)
class Vocabulary:
    """The alphabet of one model: `characters[i]` has index i + 1, index 0 is the end token.

    `locale`: one of `spelling.TURKIC` where i and ı have capitals of their own, else "".
    Raises `ConfigError` for characters that repeat or are not single code points.
    """

    characters: tuple[str, ...]
    locale: str = ""
    stoi: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        stoi = {character: i for i, character in enumerate(self.characters, start=1)}
        if len(stoi) != len(self.characters) or any(len(c) != 1 for c in self.characters):
            raise ConfigError("The vocabulary must hold single characters, each once.", field="vocabulary")
        object.__setattr__(self, "stoi", stoi)

    @classmethod
    def of(cls, names: Iterable[str], locale: str = "") -> "Vocabulary":
        """Return the sorted alphabet of `names`."""
        return cls(tuple(sorted(set().union(*names))), locale)

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
            or unicodedata.category(c)[0] == "M"
            or c in JAMO
            or fold(capital(c, self.locale), self.locale) != c
        )

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
        try:
            return [self.stoi[character] for character in text]
        except KeyError:
            unknown = sorted(set(text) - set(self.characters))
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
