"""What a text is: a list, a table, JSON, a pasted literal, or all names on one line; and the names in it.

A structure that nearly every line has, such as a number or quotes, is no part of the names. Where only some lines have
it, the error names the option that decides.
"""

import ast
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from data.errors import NameListError
from data.tables import (
    LIST_HEADERS,
    NEARLY_ALL,
    SOME,
    Line,
    Reading,
    Table,
    cells_of,
    is_number,
    names_of_table,
    table_of_lines,
    table_of_rows,
)
from models.spelling import visible

# What stands before a pasted literal, and behind it: const names = [...];
_ASSIGNMENT = re.compile(r"\s*(?:(?:const|let|var)\s+)?[\w.$]+\s*(?::[^=\[{(]*)?=\s*(?=[\[{(])")
_LITERAL = re.compile(r"\s*[\[{(].*[\]})]\s*;?\s*", re.DOTALL)
# The largest literal that is parsed: its syntax tree takes a hundred times the memory.
_MOST_LITERAL = 16 * 2**20
_COMMENT = re.compile(r"#|//")
# Lines before a list, and lines of the list that must follow them.
_MOST_PREAMBLE, _LEAST_LIST = 10, 20
# Signs of a title, a date, an address or a licence.
_NO_NAME = frozenset("0123456789@:/=_<>|\\*#%&!?©")
# Lines of a file that has all names on one line, and names that it has at least.
_MOST_LONG_LINES, _LEAST_ON_A_LINE = 3, 20
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "„": "“", "«": "»", "‘": "’", "「": "」"}
_WRAPPED = re.compile(
    "|".join(rf"{re.escape(a)}([^{re.escape(b)}]+){re.escape(b)}\s*[,;]?" for a, b in _QUOTES.items())
)
# Lines without a structure that are shown: they stay among the names.
_SHOWN_ODD = 3
# Each structure around a name: what messages call it, and the name in it.
_STRUCTURES = (
    ("marked up", re.compile(r"<(\w+)[^>]*>\s*(?P<name>.*?)\s*</\1>")),
    ("numbered", re.compile(r"(?:[(\[#]?\d+\s*[.):\]\-]|#?\d+(?=\s))\s*(?P<name>\D.*)")),
    ("bulleted", re.compile(r"(?:[-+>–—](?=\s)|[*•·‣◦▪●])\s*(?P<name>.+)")),
    ("with a comma at the end", re.compile(r"(?P<name>.*[^,;\s])\s*[,;]")),
    ("with a number behind", re.compile(r"(?P<name>.*[^\s:=(\[])\s*(?:[:=]\s*\d[\d.,]*|\(\d[\d.,]*\)|\[\d[\d.,]*\])")),
    ("labelled", re.compile(r"(?P<label>[^\W\d]+\s*[:=])\s*(?P<name>.+)")),
)


@dataclass(frozen=True)
class ReadOptions:
    """How to read a list. Columns go by name or by number from 1; `as_is`: each line is a name, whatever it has."""

    column: str | None = None
    weights: str | None = None
    styles: tuple[str, ...] = ()
    encoding: str | None = None
    as_is: bool = False

    @property
    def wants_table(self) -> bool:
        """Whether an option makes sense for a table alone."""
        return bool(self.column or self.weights or self.styles)


def read_text(text: str, source: str, options: ReadOptions) -> Reading:
    """Return the names in `text`. `source` names the file in errors. Raises `NameListError`."""
    lines = [Line(number, _shown(line)) for number, line in enumerate(text.split("\n"), start=1)]
    if not lines[-1].text.strip():  # what follows the final newline is no line
        lines.pop()
    filled = [line for line in lines if line.text.strip()]
    empty = Counter({"empty": len(lines) - len(filled)})
    if options.as_is:
        if options.wants_table:
            raise NameListError("--as-is takes whole lines as names; it goes with no --column, --weights or --style.")
        return _reading("a list of names as they are, one on each line", _stripped(filled), empty)
    if (value := _literal(text)) is not None:
        return _of_value(value, source, options)
    filled, dropped = _without_comments(filled)
    filled, preamble = _without_preamble(lines, filled)
    dropped += empty + preamble
    if (names := _on_one_line(filled)) is not None:
        return _unwrapped("names on one line", [Line(filled[0].number, name) for name in names], dropped, source)
    table = table_of_lines(filled, source)
    if table is not None:
        found = names_of_table(table, source, options.column, options.weights, options.styles)
        return replace(found, dropped=found.dropped + dropped)
    _refuse_table_options(source, options)
    return _unwrapped("one name on each line", _stripped(filled), dropped, source)


def _shown(line: str) -> str:
    """Return a line without what shows nothing. Tabs at its ends are empty cells of a table."""
    return (line if line.isascii() else visible(line)).strip(" ")


def _stripped(lines: Sequence[Line]) -> list[Line]:
    return [line._replace(text=line.text.strip()) for line in lines]


def _reading(shape: str, lines: Sequence[Line], dropped: Counter[str]) -> Reading:
    return Reading(shape, tuple(line.text for line in lines), tuple(line.number for line in lines), dropped=dropped)


def _refuse_table_options(source: str, options: ReadOptions) -> None:
    if options.wants_table:
        raise NameListError(f"{source} is no table; --column, --weights and --style are for the columns of a table.")


def _literal(text: str) -> Any:
    """Return the value of a JSON document or a pasted literal of Python or JavaScript, or None for other text."""
    begin = match.end() if (match := _ASSIGNMENT.match(text)) else 0
    body = text[begin:]
    if not _LITERAL.fullmatch(body):
        return None
    body = body.strip().removesuffix(";")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        pass
    if len(body) > _MOST_LITERAL:
        return None
    try:
        return ast.literal_eval(body)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _of_value(value: Any, source: str, options: ReadOptions) -> Reading:
    """Return the names of a parsed value: a list of names, of objects or of rows, or a map of names to counts."""
    if isinstance(value, Mapping) and len(value) == 1 and isinstance(next(iter(value.values())), list):
        # {"names": [...]}
        value = next(iter(value.values()))
    if isinstance(value, Mapping) and value and all(isinstance(count, (int, float)) for count in value.values()):
        rows = [[str(name), str(count)] for name, count in value.items()]
        return _of_table(table_of_rows(rows, ["name", "count"], ", a map"), source, options)
    items = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
    if isinstance(items, (list, tuple)) and items:
        if all(isinstance(item, str) for item in items):
            _refuse_table_options(source, options)
            return _reading("a list in brackets", [Line(n, item.strip()) for n, item in enumerate(items, 1)], Counter())
        if all(isinstance(item, Mapping) for item in items):
            columns = list(dict.fromkeys(str(key) for item in items for key in item))
            rows = [[_cell(item.get(column)) for column in columns] for item in items]
            return _of_table(table_of_rows(rows, columns, ", a list of objects"), source, options)
        if all(isinstance(item, (list, tuple)) for item in items) and len({len(item) for item in items}) == 1:
            columns = [str(i) for i, _ in enumerate(items[0], start=1)]
            rows = [[_cell(cell) for cell in item] for item in items]
            table = replace(table_of_rows(rows, columns, ", a list of rows"), has_header=False)
            return _of_table(table, source, options)
    raise NameListError(
        f"{source} is a document in brackets, but no list of names; allowed: a list of texts, of objects or of rows of "
        "one length, or a map of names to counts."
    )


def _of_table(table: Table, source: str, options: ReadOptions) -> Reading:
    found = names_of_table(table, source, options.column, options.weights, options.styles)
    return replace(found, dropped=Counter())


def _cell(value: object) -> str:
    return "" if value is None else str(value).strip()


def _without_comments(lines: Sequence[Line]) -> tuple[list[Line], Counter[str]]:
    """Return the lines without comments. Where many lines begin with the sign of a comment, none is one."""
    comments = [line for line in lines if _COMMENT.match(line.text)]
    if len(comments) >= SOME * len(lines):
        return list(lines), Counter()
    return [line for line in lines if not _COMMENT.match(line.text)], Counter({"comment": len(comments)})


def _without_preamble(lines: Sequence[Line], filled: Sequence[Line]) -> tuple[list[Line], Counter[str]]:
    """Return the lines behind a first paragraph that is unlike names: each of its lines has a sign of `_NO_NAME` that
    the others lack, or more words than any of them.
    """
    first_empty = next((line.number for line in lines[1 : _MOST_PREAMBLE + 1] if not line.text.strip()), None)
    if first_empty is None:
        return list(filled), Counter()
    head = [line for line in filled if line.number < first_empty]
    rest = [line for line in filled if line.number > first_empty]
    # Where many lines are empty, the first of them ends no paragraph.
    if not head or len(rest) < _LEAST_LIST or len(lines) - len(filled) > len(rest) // 4:
        return list(filled), Counter()
    signs = _NO_NAME - set("".join(line.text for line in rest))
    words = max(len(line.text.split()) for line in rest)
    if all(signs & set(line.text) or len(line.text.split()) > words for line in head):
        return rest, Counter({"preamble": len(head)})
    return list(filled), Counter()


def _on_one_line(lines: Sequence[Line]) -> list[str] | None:
    """Return the names of a file that has all of them on one line, or on very few, or None."""
    if not 0 < len(lines) <= _MOST_LONG_LINES:
        return None
    text = " ".join(line.text for line in lines)
    for separator in ",;|\t":
        if text.count(separator) >= _LEAST_ON_A_LINE:
            names = [name for line in lines for name in cells_of(line.text, separator)]
            return [name for name in names if name]
    return text.split() if len(text.split()) >= _LEAST_ON_A_LINE else None


def _unwrapped(shape: str, lines: Sequence[Line], dropped: Counter[str], source: str) -> Reading:
    """Return the names without the structures that nearly all lines have. Raises `NameListError` where only some do."""
    if len(lines) > 1 and _is_header(lines[0].text):
        lines, dropped = lines[1:], dropped + Counter({"header": 1})
    found: list[str] = []
    while (step := _one_structure(lines, source)) is not None and step[0] not in found:
        name, lines = step
        found.append(name)
    if lines and sum(is_number(line.text) for line in lines) >= NEARLY_ALL * len(lines):
        raise NameListError(f"The lines of {source} are numbers, not names; give --as-is if they are the names.")
    return _reading(f"{shape}, {' and '.join(found)}" if found else shape, lines, dropped)


def _is_header(text: str) -> bool:
    """Return whether a line only says that names follow: "Name", "child_name", "Baby names:"."""
    words = text.strip("\"':").replace("_", " ").casefold()
    return words in LIST_HEADERS or words.endswith((" name", " names"))


def _one_structure(lines: Sequence[Line], source: str) -> tuple[str, list[Line]] | None:
    """Return a structure that nearly all lines have, and the lines without it, or None."""
    # Letters and blanks alone make no structure.
    if sum(not line.text.replace(" ", "").isalpha() for line in lines) < SOME * len(lines):
        return None
    for called, cut in (*((called, _named(pattern)) for called, pattern in _STRUCTURES), ("quoted", _unquoted)):
        names = [cut(line.text) for line in lines]
        if called == "labelled" and not _same_label(lines):
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
    labels = Counter(match["label"] for line in lines if (match := _STRUCTURES[-1][1].fullmatch(line.text)))
    return bool(labels) and labels.most_common(1)[0][1] >= NEARLY_ALL * len(lines)
