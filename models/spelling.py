"""The normal form of names for lists, scores and requests, their capital letters and their grapheme clusters.

Standard library only, so that every room may import it. Nothing about alphabets or models lives here.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

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
# What continues a cluster beside marks and joiners: conjoining Hangul vowels and last consonants, the vowel am of Thai
# and Lao, and the voicing signs of halfwidth katakana.
JAMO = "".join(map(chr, (*range(0x1161, 0x1200), *range(0xD7B0, 0xD7FC))))
_CONTINUING = frozenset(JAMO + _JOINERS + "\u0e33\u0eb3\uff9e\uff9f")
# Signs that join the consonants at both sides into one cluster (Indic_Conjunct_Break=Linker, in scripts of today):
# Devanagari, Bengali, Gujarati, Oriya, Telugu, Malayalam, Myanmar, Khmer, Tai Tham, Balinese, Sundanese, Javanese,
# Meetei Mayek, Chakma.
_LINKERS = frozenset("\u094d\u09cd\u0acd\u0b4d\u0c4d\u0d4d\u1039\u17d2\u1a60\u1b44\u1bab\ua9c0\uaaf6\U00011133")
_LINKED_SCRIPTS = frozenset(
    (
        *("DEVANAGARI", "BENGALI", "GUJARATI", "ORIYA", "TELUGU", "MALAYALAM", "MYANMAR", "KHMER", "TAI THAM"),
        *("BALINESE", "SUNDANESE", "JAVANESE", "MEETEI MAYEK", "CHAKMA"),
    )
)
_VOWEL = re.compile(r"(.* )?[AEIOU]+[WY]?|.*VOCALIC.*")
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


def clusters(text: str) -> list[str]:
    """Return the grapheme clusters of `text`: what a reader calls its characters (Unicode Standard Annex 29).

    A cluster is a code point with the marks, joiners and conjoining letters behind it. Consonants with a linker, such
    as a virama, between them are one cluster.
    """
    found: list[str] = []
    for character in text:
        if found and (continues(character) or (conjoins(found[-1]) and is_consonant(character))):
            found[-1] += character
        else:
            found.append(character)
    return found


@lru_cache(4096)
def continues(character: str) -> bool:
    """Return whether a code point belongs to the cluster before it, whatever that is."""
    return unicodedata.category(character)[0] == "M" or character in _CONTINUING


def conjoins(cluster: str) -> bool:
    """Return whether a consonant behind `cluster` would belong to it: a consonant with a linker ends it."""
    if cluster[-1:].isalpha():
        return False
    linked = False
    for character in reversed(cluster):
        if character in _LINKERS:
            linked = True
        elif not continues(character):
            return linked and is_consonant(character)
        elif character == "\u200c" or unicodedata.category(character) == "Mc":
            return False
    return False


@lru_cache(4096)
def is_consonant(character: str) -> bool:
    """Return whether a code point is a consonant of a script with linkers, by its name in Unicode: KA, but not AI."""
    script, letter, sound = unicodedata.name(character, "").partition(" LETTER ")
    return bool(letter) and script in _LINKED_SCRIPTS and not _VOWEL.fullmatch(sound)
