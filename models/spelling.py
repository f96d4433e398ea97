"""The normal form of names for lists, scores and requests, and their capital letters.

Standard library only, so that every room may import it. Nothing about alphabets or models lives here.
"""

import re
import unicodedata
from collections.abc import Sequence

PLAIN = re.compile(r"[a-z \n.-]*")

APOSTROPHES = "'’"
# Signs that look like an apostrophe.
LIKE_APOSTROPHES = "'’ʼ"
# Joiners, which change the shape of letters in the scripts of these characters (by the first word of their names).
_JOINERS = "\u200c\u200d"
_JOINING_SCRIPTS = (
    *("ARABIC", "SYRIAC", "MONGOLIAN", "NKO", "THAANA", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA"),
    *("TAMIL", "TELUGU", "KANNADA", "MALAYALAM", "SINHALA", "KHMER", "MYANMAR", "TIBETAN"),
)
# Signs beside Unicode's format characters that show nothing: the grapheme joiner, and variation selectors.
_INVISIBLE = re.compile("[\u034f\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def normalize(text: str) -> str:
    """Return `text` in lower case, in Unicode's composed form (NFC), without blanks at either end.

    Lower-casing may decompose a letter (İ becomes i and a dot), so the composition comes last; the result is a fixed
    point: `normalize(normalize(t)) == normalize(t)`.
    """
    return fold(text).strip()


def fold(text: str) -> str:
    """Return `text` in lower case and NFC, blanks kept: for pieces of names such as the prefix "van ".

    Texts that look the same become the same: format characters are dropped, and all blanks are one.
    """
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", visible(text)).lower())


def visible(text: str) -> str:
    """Return `text` without characters that show nothing, and with the plain blank for every blank of one line.

    Joiners stay behind letters of scripts that need them. Such a text is returned unchanged.
    """
    shown: list[str] = []
    for i, character in enumerate(text):
        category = unicodedata.category(character)
        if category == "Zs":
            shown.append(" ")
        elif category == "Cf":
            if character in _JOINERS and shown and i + 1 < len(text) and _needs_joiners(shown[-1]):
                shown.append(character)
        elif not _INVISIBLE.match(character):
            shown.append(character)
    return "".join(shown)


def _needs_joiners(character: str) -> bool:
    return unicodedata.name(character, "").partition(" ")[0] in _JOINING_SCRIPTS


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
