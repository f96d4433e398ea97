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
# Signs before or after which a word goes on: apostrophes, and letters that look like one, as in ʻOlina and ʿAbd.
SIGNS = "'’‘`´ʹʻʼʽʾʿꞌ"
# A word: a run of letters, digits, signs, and marks of scripts that have capitals.
WORD = re.compile(
    rf"(?:[^\W_]|[{SIGNS}\u0300-\u036f\u0483-\u0487\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f])+"
)
# Locales in which the capital of i is İ, and that of ı is I.
TURKIC = ("tr", "az")
_TURKIC_LOWER = str.maketrans("Iİ", "ıi")
DOT = "\u0307"
# The share of ı and İ among all letters i from which a text is Turkish or Azeri; in Turkish it is about a third.
_TURKIC_SHARE = 0.1
# A capital sigma at the end of a word; ? and * of a pattern stand for letters.
_FINAL_SIGMA = re.compile(r"(?<=[\w?*])Σ(?![\w?*])")
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


def normalize(text: str, locale: str = "") -> str:
    """Return `text` in lower case, in Unicode's composed form (NFC), without blanks at either end.

    Lower-casing may decompose a letter (İ becomes i and a dot), so the composition comes last; the result is a fixed
    point: `normalize(normalize(t)) == normalize(t)`.
    """
    return fold(text, locale).strip()


def fold(text: str, locale: str = "") -> str:
    """Return `text` in lower case and NFC, blanks kept: for pieces of names such as the prefix "van ".

    Texts that look the same become the same: format characters are dropped, and all blanks are one. In a locale of
    `TURKIC`, I becomes ı and İ becomes i.
    """
    if locale in TURKIC:
        text = lower_i(text, locale)
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", composed(text).lower())


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


def composed(text: str) -> str:
    """Return `text` in NFC without what shows nothing, with its capitals."""
    return text if text.isascii() else unicodedata.normalize("NFC", visible(text))


def _needs_joiners(character: str) -> bool:
    return unicodedata.name(character, "").partition(" ")[0] in _JOINING_SCRIPTS


def capitalize(name: str) -> str:
    """Return `name` with a capital at the start of each word.

    "mary-ann o'brien" becomes "Mary-Ann O'Brien".

    A word starts after anything that is no letter, digit or mark; after an apostrophe only where one letter stands
    before it, so that "ka'ani" keeps its small a. A letter without a one-letter capital (ß) stays as it is.
    """
    return "".join(capital(c) if _starts_word(name, i) else c for i, c in enumerate(name))


def fold_sigmas(text: str) -> str:
    """Return `text` with σ for each Σ, and with ς at the ends of words.

    `text` is a pattern or a part of one: ? and * stand for letters, so that "ΑΣ*" has no ς.
    """
    return _FINAL_SIGMA.sub("ς", text).replace("Σ", "σ") if "Σ" in text else text


def lower_i(text: str, locale: str) -> str:
    """Return `text` with i for İ, which is one letter then, and in a locale of `TURKIC` with ı for I."""
    if not text.isascii():
        text = text.replace(f"I{DOT}", "i").replace("İ", "i")
    return text.translate(_TURKIC_LOWER) if locale in TURKIC else text


def turkic_locale(text: str) -> str:
    """Return the locale of `TURKIC` that the letters of `text` show, or ""."""
    dotless = text.count("ı") + text.count("İ")
    if not dotless or dotless < _TURKIC_SHARE * (dotless + text.count("i") + text.count("I")):
        return ""
    return "az" if "ə" in text or "Ə" in text else "tr"


def twin(name: str, locale: str = "") -> str:
    """Return a key that is equal for all names that look like `name`.

    It is the spelling in a list, read from its capitals.
    """
    return normalize("".join(capital(c, locale) if _starts_word(name, i) else c for i, c in enumerate(name)), locale)


def capitalize_all(names: Sequence[str]) -> list[str]:
    """Return each name as `capitalize` spells it.

    Lists of plain names, as most are, take a tenth of the time.
    """
    text = "\n".join(names)
    # In these characters Python's title case is ours, and a line stays a line.
    if PLAIN.fullmatch(text) and text.count("\n") == len(names) - 1:
        return text.title().split("\n")
    return [capitalize(name) for name in names]


def title(name: str, locale: str = "") -> str:
    """Return `name` with a capital at the start of each word, as versions with a casing table have it.

    Signs are part of a word. The letter after signs at its start gets a capital, and so does the one after a single
    letter and a sign, if another letter follows: ʿAbd and O'Brien, but 's and A'a.
    """
    return WORD.sub(lambda word: title_word(word[0], locale), name)


def title_word(word: str, locale: str = "") -> str:
    """Return a word of `WORD` as `title` has it."""
    if word[0] in SIGNS:
        start = len(word) - len(word.lstrip(SIGNS))
    else:
        start = 2 if word[1:2] and word[1] in SIGNS else 0
        word = capital(word[0], locale) + word[1:]
    if start and start + 1 < len(word):
        return word[:start] + capital(word[start], locale) + word[start + 1 :]
    return word


def capital(character: str, locale: str = "") -> str:
    """Return the character at the start of a word: its title case, if that is one character.

    ß stays as it is. In a locale of `TURKIC`, i becomes İ.
    """
    if character == "i" and locale in TURKIC:
        return "İ"
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
