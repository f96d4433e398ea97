"""How a list spells its names: a table of words, patterns for other words, and a default.

`casing.txt` of a version holds one entry a line (docs/model-format.md). `training.casing` finds the entries. Nothing
here knows files or models.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

from models.spelling import WORD, capital, capitalize_all, lower_i, title, title_word

# What follows a pattern, in its key and in its spelling: small letters, a capital and small letters, or capitals.
SMALL, CAPITAL, CAPITALS = "*", "^", "^^"
# Stands before a key that is for the first word of a name.
FIRST = "^"
# How names are spelled: as in the list, with a capital at the start of each word, or in small letters.
Case = Literal["list", "title", "lower"]
# Words whose spelling is remembered.
_REMEMBERED = 4096


@dataclass(frozen=True)
class Casing:
    """How names are spelled. `entries`: the lines of `casing.txt`; `locale`: that of the alphabet.

    A word has the spelling of the first entry that there is: of the first word, of the word, of the longest pattern
    that it begins with, of the default for first words, of the default. Raises `ValueError` for a malformed entry.
    """

    entries: Mapping[str, str]
    locale: str = ""

    def __post_init__(self) -> None:
        for key, spelling in self.entries.items():
            if not self._is_entry(key, spelling):
                raise ValueError(f"{key!r} cannot be spelled {spelling!r}: it must have the same letters")

    def _is_entry(self, key: str, spelling: str) -> bool:
        word = key.removeprefix(FIRST)
        if word.endswith(SMALL):
            word, head, rest = word.removesuffix(SMALL), *_parts(spelling)
            return bool(rest) and not (word and key.startswith(FIRST)) and self._has_letters(word, head)
        return bool(word) and self._has_letters(word, spelling)

    def _has_letters(self, word: str, spelling: str) -> bool:
        is_word = not word or WORD.fullmatch(word) is not None
        return is_word and len(word) == len(spelling) and small(spelling, self.locale) == word.replace("ς", "σ")

    @property
    def is_title(self) -> bool:
        """Whether all words are spelled as `title` spells them."""
        return self.entries.items() <= {SMALL: CAPITAL}.items()

    @cached_property
    def _patterns(self) -> dict[str, tuple[str, str]]:
        """The head and the rest of each pattern's spelling, by its letters."""
        starts = (key for key in self.entries if key.endswith(SMALL) and key not in (SMALL, FIRST + SMALL))
        return {key.removesuffix(SMALL): _parts(self.entries[key]) for key in starts}

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self._patterns), default=0)

    @cached_property
    def _remembered(self) -> Callable[[str, bool], str]:
        return lru_cache(_REMEMBERED)(self.word)

    def spell(self, name: str) -> str:
        """Return a name in lower case as the list spells it."""
        first = True

        def spelled(match: re.Match[str]) -> str:
            nonlocal first
            is_first, first = first, False
            return self._remembered(match[0], is_first)

        return WORD.sub(spelled, name)

    def title(self, name: str) -> str:
        """Return a name in lower case with a capital at the start of each word."""
        return title(name, self.locale)

    def word(self, word: str, is_first: bool) -> str:
        """Return a word in lower case as the list spells it at the start of a name, or elsewhere."""
        entries = self.entries
        if (is_first and (found := entries.get(FIRST + word))) or (found := entries.get(word)):
            return found
        for length in range(min(self._longest, len(word)), 0, -1):
            if pattern := self._patterns.get(word[:length]):
                return pattern[0] + self.rest(word[length:], pattern[1])
        default = entries.get(SMALL, CAPITAL)
        if is_first:
            default = entries.get(FIRST + SMALL, default)
        return title_word(word, self.locale) if default == CAPITAL else self.rest(word, default)

    def rest(self, letters: str, rest: str) -> str:
        """Return letters that end a word, spelled as one of SMALL, CAPITAL and CAPITALS says."""
        if rest == CAPITAL:
            return "".join(map(self._capital, letters[:1])) + letters[1:]
        return "".join(map(self._capital, letters)) if rest == CAPITALS else letters

    def _capital(self, letter: str) -> str:
        return capital(letter, self.locale)


def casing_of(entries: Mapping[str, str], locale: str) -> Casing | None:
    """Return the casing of a version, None if it says nothing. Raises `ValueError` for a malformed entry."""
    return Casing(entries, locale) if entries or locale else None


def spell_all(names: Sequence[str], case: Case, casing: Casing | None) -> list[str]:
    """Return names in lower case as `case` says; versions without a casing have no case but title and lower."""
    if case == "lower":
        return list(names)
    if casing is None:
        return capitalize_all(names)
    return list(map(casing.spell if case == "list" else casing.title, names))


def merged(casings: Sequence[Casing | None], locale: str) -> Casing | None:
    """Return the casing of a blend: the first entry of each key, and no default. None where there is no casing."""
    known = [casing for casing in casings if casing is not None]
    if not known:
        return None
    entries = {key: each.entries[key] for each in reversed(known) for key in each.entries if key.strip(FIRST) != SMALL}
    return Casing({key: entry for key, entry in entries.items() if _fits_locale(key, entry, locale)}, locale)


def _fits_locale(key: str, entry: str, locale: str) -> bool:
    try:
        Casing({key: entry}, locale)
    except ValueError:
        return False
    return True


def small(text: str, locale: str = "") -> str:
    """Return `text` letter by letter in lower case, with σ for every sigma."""
    return "".join(c if (low := c.lower()) == c or len(low) != 1 else low for c in lower_i(text, locale)).replace(
        "ς", "σ"
    )


def _parts(spelling: str) -> tuple[str, str]:
    """Return the head of a pattern's spelling and how its rest is spelled; "" for the rest where it does not say."""
    for rest in (CAPITALS, CAPITAL, SMALL):
        if spelling.endswith(rest):
            return spelling.removesuffix(rest), rest
    return spelling, ""
