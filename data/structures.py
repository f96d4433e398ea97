"""Structures around names that nearly all lines of a list have: tags, numbers, bullets, quotes, labels."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from data.errors import NameListError
from data.tables import LIST_HEADERS, NEARLY_ALL, SOME, Line

_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "„": "“", "«": "»", "‘": "’", "「": "」"}
_WRAPPED = re.compile(
    "|".join(rf"{re.escape(a)}([^{re.escape(b)}]+){re.escape(b)}\s*[,;]?" for a, b in _QUOTES.items())
)
# Lines without a structure that are shown: they stay among the names.
_SHOWN_ODD = 3
# Structures inside each other that are taken off.
_MOST_STRUCTURES = 8
# Each structure around a name: what messages call it, and the name in it. A label is the same on all lines.
_MARKED_UP, _LABELLED = "marked up", "labelled"
_STRUCTURES = (
    (_MARKED_UP, re.compile(r"<(?P<label>\w++)[^>]*+>(?P<name>.*)</\1>")),
    ("numbered", re.compile(r"(?:[(\[#]?\d+\s*[.):\]\-]|#?\d+(?=\s))\s*(?P<name>\D.*)")),
    ("emphasised", re.compile(r"([*_]{1,2})(?P<name>[^*_]++)\1")),
    ("bulleted", re.compile(r"(?:[-+>–—](?=\s)|[*•·‣◦▪●])\s*(?P<name>.+)")),
    ("with a comma at the end", re.compile(r"(?P<name>.*[^,;\s])\s*[,;]")),
    ("with a number behind", re.compile(r"(?P<name>.*[^\s:=(\[])\s*(?:[:=]\s*\d[\d.,]*|\(\d[\d.,]*\)|\[\d[\d.,]*\])")),
    (_LABELLED, re.compile(r"(?P<label>[^\W\d]++(?:[ -][^\W\d]++){0,3}+\s*+[:=])\s*(?P<name>.+)")),
)


def is_list_header(text: str) -> bool:
    """Return whether a line only says that names follow: "Name", "child_name", "Baby names:"."""
    words = text.strip("\"':").replace("_", " ").casefold()
    return words in LIST_HEADERS or words.endswith((" name", " names"))


def unwrapped(lines: Sequence[Line], source: str) -> tuple[list[str], list[Line]]:
    """Return what nearly all lines have around the names, and the lines without it.

    Raises `NameListError` where only some lines have such a structure.
    """
    found = list[str]()
    for _ in range(_MOST_STRUCTURES):
        step = _one_structure(lines, source)
        # Tags may be inside each other.
        if step is None or (step[0] in found and step[0] != _MARKED_UP):
            break
        called, lines = step
        found += [called] if called not in found else []
    return found, list(lines)


def structures_of(lines: Sequence[Line]) -> list[Callable[[str], bool]]:
    """Return a test for each structure that nearly all of the lines have: whether a text has it too."""
    # Of few lines, one may be odd.
    needed = max(min(NEARLY_ALL * len(lines), len(lines) - 1), 1)
    tests = list[Callable[[str], bool]]()
    for called, pattern in _STRUCTURES:
        matches = [match for line in lines if (match := pattern.fullmatch(line.text))]
        label = _label_of(matches, len(lines))
        if len(matches) >= needed and (label or called != _LABELLED):
            tests.append(partial(_has, pattern, label))
    if sum(_WRAPPED.fullmatch(line.text) is not None for line in lines) >= needed:
        tests.append(partial(_has, _WRAPPED, None))
    return tests


def _has(pattern: re.Pattern[str], label: str | None, text: str) -> bool:
    match = pattern.fullmatch(text)
    return match is not None and (label is None or match["label"] == label)


def _label_of(matches: Sequence[re.Match[str]], count: int) -> str | None:
    """Return the label that nearly all of `count` lines have, such as "Name:", or None."""
    labels = Counter(match["label"] for match in matches if "label" in match.re.groupindex)
    (label, most), *_ = labels.most_common(1) or [("", 0)]
    return label if label and most >= NEARLY_ALL * count else None


def _one_structure(lines: Sequence[Line], source: str) -> tuple[str, list[Line]] | None:
    """Return a structure that nearly all lines have, and the lines without it, or None."""
    # Letters and blanks alone make no structure.
    if sum(not line.text.replace(" ", "").isalpha() for line in lines) < SOME * len(lines):
        return None
    for called, cut in (*((called, _named(pattern)) for called, pattern in _STRUCTURES), ("quoted", _unquoted)):
        names = [cut(line.text) for line in lines]
        if called == _LABELLED and not _same_label(lines):
            continue
        share = sum(name is not None for name in names) / max(len(lines), 1)
        if share >= NEARLY_ALL:
            odd = [line.text for line, name in zip(lines, names, strict=True) if name is None]
            kept = [line if name is None else line._replace(text=name) for line, name in zip(lines, names, strict=True)]
            return f"{called} (but not {', '.join(odd[:_SHOWN_ODD])})" if odd else called, kept
        if share >= SOME:
            raise NameListError(
                f"Only some lines of {source} are {called}; give --as-is if that is part of the names, or make all "
                "lines alike."
            )
    return None


def _named(pattern: re.Pattern[str]) -> Callable[[str], str | None]:
    def cut(text: str) -> str | None:
        match = pattern.fullmatch(text)
        return match["name"].strip() if match else None

    return cut


def _unquoted(text: str) -> str | None:
    match = _WRAPPED.fullmatch(text)
    return next(filter(None, match.groups()), "").strip() or None if match else None


def _same_label(lines: Sequence[Line]) -> bool:
    """Return whether nearly all lines begin with the same word and sign, such as "Name:"."""
    pattern = _STRUCTURES[-1][1]
    return _label_of([match for line in lines if (match := pattern.fullmatch(line.text))], len(lines)) is not None
