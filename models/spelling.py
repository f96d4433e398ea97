"""The normal form of names for lists, scores and requests, and their capital letters.

Standard library only, so that every room may import it. Nothing about alphabets or models lives here.
"""

import re
import unicodedata
from collections.abc import Sequence

PLAIN = re.compile(r"[a-z \n.-]*")

APOSTROPHES = "'’"


def normalize(text: str) -> str:
    """Return `text` in lower case, in Unicode's composed form (NFC), without blanks at either end.

    Lower-casing may decompose a letter (İ becomes i and a dot), so the composition comes last; the result is a fixed
    point: `normalize(normalize(t)) == normalize(t)`.
    """
    return fold(text).strip()


def fold(text: str) -> str:
    """Return `text` in lower case and NFC, blanks kept: for pieces of names such as the prefix "van "."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


def capitalize(name: str) -> str:
    """Return `name` with a capital at the start of each word.

    "mary-ann o'brien" becomes "Mary-Ann O'Brien".

    A word starts after anything that is no letter, digit or mark; after an apostrophe only where one letter stands
    before it, so that "ka'ani" keeps its small a. A letter without a one-letter capital (ß) stays as it is.
    """
    return "".join(capital(c) if _starts_word(name, i) else c for i, c in enumerate(name))


def twin(name: str) -> str:
    """Return a key that is equal for all names that look like `name`.

    It is the spelling in a list, read from its capitals.
    """
    return normalize(capitalize(name))


def capitalize_all(names: Sequence[str]) -> list[str]:
    """Return each name as `capitalize` spells it.

    Lists of plain names, as most are, take a tenth of the time.
    """
    text = "\n".join(names)
    # In these characters Python's title case is ours, and a line stays a line.
    if PLAIN.fullmatch(text) and text.count("\n") == len(names) - 1:
        return text.title().split("\n")
    return [capitalize(name) for name in names]


def capital(character: str) -> str:
    """Return the character at the start of a word: its title case, if that is one character.

    ß stays as it is.
    """
    title = character.title()
    return title if len(title) == 1 else character


def _starts_word(name: str, i: int) -> bool:
    if i == 0:
        return True
    before = name[i - 1]
    if before in APOSTROPHES:
        return i >= 2 and name[i - 2].isalpha() and (i == 2 or is_break(name[i - 3]))
    return is_break(before)


def is_break(character: str) -> bool:
    """Return whether a word ends before this character: it is no letter, digit or mark."""
    return unicodedata.category(character)[0] not in "LNM"
