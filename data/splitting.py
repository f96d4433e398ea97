"""From lines to a table: separators, quotes, rules and the header."""

import csv
import re
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import compress

from data.errors import NameListError
from data.structures import is_list_header, unwrapped
from data.tables import MOST_CATEGORIES, NAME_HEADERS, NEARLY_ALL, OTHER_HEADERS, SOME, Line, Table, is_number

# Separators, and what messages call them.
_SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "bars", "│": "bars", ",": "commas"}
_BARS = "|│"
_BLANKS = re.compile(r"\s{2,}|\t")
_RULE = re.compile(r":?-+:?|=+|\+?(-+\+)+")
# Lines drawn between rows: the signs in them, and what each of them has.
_RULE_SIGNS = frozenset("-+=|:") | set(map(chr, range(0x2500, 0x2580)))
_RULE_LINE = re.compile(r"[-+=|:\s\u2500-\u257f]+")
_DOUBLE = ("==", "══")
_RULE_PARTS = ("--", "──", "━━", *_DOUBLE)
# A cell alone between bars, and what databases write below a table.
_BOXED = re.compile(r"([|│])\s*(?P<name>[^|│]*?)\s*\1")
_FOOTER = re.compile(r"\(?\d+ rows?\b.*")
# Lines before and behind a table with rules.
_MOST_AROUND = 10
# Lines over which a cell in quotes may go.
_MOST_JOINED = 10
# Signs between a name and what it means; at the lines of a sample it shows whether a list has them.
_PHRASES = {
    "dashes": re.compile(r"\s[-–—]{1,2}\s"),
    "colons": re.compile(r":\s|："),
    "equals signs": re.compile(r"\s=\s"),
}
_SAMPLE = 200
# What may stand between a name and a word behind it.
_BETWEEN = " :=-–—"
# Letters behind names that are a category, and those that are numbers of kings.
_MOST_LETTERS, _BRACKETED, _ROMAN = 3, 3, frozenset("IVX")
# Cells that say that there is nothing.
_NOTHING = ("", "*", "-", "n/a", "na", "nan", "null", "none", "unknown")
# A header of at most two letters may also be a name.
_SHORT = 2


def table_of_lines(lines: Sequence[Line], source: str) -> Table | None:
    """Return the lines as a table, or None where they are none. Raises `NameListError` if only some of them are."""
    if any('"' in line.text and _ends_in_quotes(line.text) for line in lines):
        # Cells in quotes may go over several lines.
        table, _ = _separated(_joined(lines), [])
        if table is not None:
            return table
    drawn = [line for line in lines if line.text[0] in _RULE_SIGNS and _is_rule(line.text)]
    rows = [line for line in lines if not _is_rule(line.text)] if drawn else lines
    # Where rules differ, double ones are below a header.
    double = [line for line in drawn if any(sign in line.text for sign in _DOUBLE)]
    rules = [line.number for line in double or drawn]
    found, partly = _separated(rows, rules)
    if found is not None and not found.has_header:
        return _with_first_cut(found, source)
    if found is None and not partly:
        found = _aligned(rows, rules) or _words_behind(rows)
    if found is None:
        found = _names_and_phrases(rows, source)
    if found is None and partly:
        raise NameListError(
            f"The lines of {source} have different numbers of {partly}, so it may be a table or not; give --as-is if "
            "the lines are names as they are, or make all lines alike."
        )
    return found or _one_column(rows, rules, bool(double))


def cells_of(text: str, separator: str) -> list[str]:
    """Return the cells of a line, with or without quotes."""
    if '"' not in text:
        return [cell.strip() for cell in text.split(separator)]
    try:
        return [cell.strip() for cell in next(csv.reader([text], delimiter=separator, skipinitialspace=True), [])]
    except csv.Error:
        # A cell that is larger than any table's.
        return text.split(separator)


def is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row names the columns."""
    first, rest = [cell.casefold().replace("_", " ") for cell in rows[0]], rows[1:]
    if rest and has_known_header(rows[0]):
        return True
    if not rest or any(map(is_number, first)):
        return False
    return any(
        cell not in _NOTHING and sum(is_number(row[i]) for row in rest) >= NEARLY_ALL * len(rest)
        for i, cell in enumerate(first)
    )


def has_known_header(row: Sequence[str]) -> bool:
    """Return whether a row has words that name columns, such as "name" and "count"."""
    folded = (cell.casefold().replace("_", " ") for cell in row)
    known = [cell for cell in folded if cell in (*NAME_HEADERS, *OTHER_HEADERS)]
    # A short word may be a name; the other columns may be years.
    return len(known) > 1 or (bool(known) and len(known[0]) > _SHORT)


def _joined(lines: Sequence[Line]) -> list[Line]:
    """Return the lines, each one that ends within quotes joined with the next ones, up to the end of the quotes."""
    joined, i = list[Line](), 0
    while i < len(lines):
        is_open, end = _ends_in_quotes(lines[i].text), i + 1
        while is_open and end < min(i + 1 + _MOST_JOINED, len(lines)):
            is_open = lines[end].text.count('"') % 2 == 0
            end += 1
        end = i + 1 if is_open else end
        joined.append(lines[i]._replace(text=" ".join(line.text for line in lines[i:end])))
        i = end
    return joined


def _ends_in_quotes(text: str) -> bool:
    """Return whether a line ends within a cell in quotes. Other single quotes are inches, or part of a name."""
    before = text.replace('""', "").rpartition('"')[0].rstrip(" ")
    return text.count('"') % 2 == 1 and before[-1:] in ("", *_SEPARATORS)


def _separated(lines: Sequence[Line], rules: Sequence[int]) -> tuple[Table | None, str]:
    """Return the table of most columns that a separator makes of the lines, or None, and the separator that makes one
    of only some of them. `rules` are the numbers of the lines drawn between rows.
    """
    found: Table | None = None
    partly = ""
    for separator, called in _SEPARATORS.items():
        if sum(separator in line.text for line in lines) < SOME * len(lines):
            continue
        cut = _cells_between_bars if separator in _BARS else cells_of
        rows, dropped = _within_rules(lines, rules, partial(_has, separator))
        table, share = _split(rows, partial(cut, separator=separator), f", separated by {called}", rules)
        if table is not None and (found is None or len(table.columns) > len(found.columns)):
            found = replace(table, dropped=dropped)
        elif table is None and share >= SOME:
            partly = called
    return found, "" if found else partly


def _aligned(lines: Sequence[Line], rules: Sequence[int]) -> Table | None:
    """Return lines whose cells have several blanks between them as a table."""
    rows, dropped = _within_rules(lines, rules, lambda text: "  " in text or "\t" in text)
    if sum("  " in line.text or "\t" in line.text for line in rows) < NEARLY_ALL * len(rows):
        return None
    table, _ = _split(rows, _BLANKS.split, ", separated by several blanks", rules)
    return table and replace(table, dropped=dropped)


def _has(separator: str, text: str) -> bool:
    return separator in text


def _one_column(lines: Sequence[Line], rules: Sequence[int], are_double: bool) -> Table | None:
    """Return lines of one cell as a table: each between bars, or with a rule below the first one."""
    if not lines or (not rules and lines[len(lines) // 2].text[0] not in _BARS):
        return None
    rows, dropped = _within_rules(lines, rules, lambda text: _FOOTER.fullmatch(text) is None)
    inner, around = _within_rules(rows, rules, lambda text: _BOXED.fullmatch(text) is not None)
    boxed = [match["name"] for line in inner if (match := _BOXED.fullmatch(line.text))]
    is_boxed = bool(boxed) and len(boxed) == len(inner)
    if is_boxed:
        rows, dropped = [line._replace(text=text) for line, text in zip(inner, boxed, strict=True)], dropped + around
    numbers = [line.number for line in rows]
    is_ruled_off = _is_ruled_off(numbers, rules)
    # A single rule may be a name, unless it is double, or below a header.
    if not is_boxed and not (is_ruled_off and (are_double or is_list_header(rows[0].text))):
        return None
    has_header = is_ruled_off or is_list_header(rows[0].text)
    cells = tuple((line.text,) for line in rows[has_header:])
    columns = (rows[0].text if has_header else "1",)
    return Table(
        ", between bars" if is_boxed else ", below a rule",
        columns,
        cells,
        tuple(numbers[has_header:]),
        has_header,
        dropped,
    )


def _within_rules(
    lines: Sequence[Line], rules: Sequence[int], is_row: Callable[[str], bool]
) -> tuple[Sequence[Line], Counter[str]]:
    """Return the lines of a table with rules without those at its ends that are no rows, such as "120 rows in set"."""
    begin, end = 0, len(lines)
    if not rules:
        return lines, Counter()
    while begin < min(end, _MOST_AROUND) and not is_row(lines[begin].text):
        begin += 1
    while end > max(begin, len(lines) - _MOST_AROUND) and not is_row(lines[end - 1].text):
        end -= 1
    return lines[begin:end], Counter({"preamble": begin, "behind": len(lines) - end})


def _is_rule(text: str) -> bool:
    """Return whether a line is drawn between the rows of a table."""
    return any(sign in text for sign in _RULE_PARTS) and _RULE_LINE.fullmatch(text) is not None


def _cells_between_bars(text: str, separator: str) -> list[str]:
    """Return the cells of a line; bars at its ends are no separators."""
    return cells_of(text[1:-1] if text[0] == separator == text[-1] else text, separator)


def _split(
    lines: Sequence[Line], cut: Callable[[str], list[str]], kind: str, rules: Sequence[int] = ()
) -> tuple[Table | None, float]:
    """Return the table that `cut` makes of the lines, or None, and the share of lines that it cuts."""
    rows = [cut(line.text) for line in lines]
    several = sum(len(row) > 1 for row in rows) / max(len(rows), 1)
    (width, _), *_ = Counter(map(len, rows)).most_common(1) or [(1, 0)]
    widths = sum(len(row) == width for row in rows)
    if width < 2 or widths < NEARLY_ALL * len(rows):
        return None, several
    # Short rows lack their last cells; what is beyond the last column was no separator.
    rows = [row if len(row) == width else [*row[:width], *[""] * (width - len(row))] for row in rows]
    kept = [i for i in range(width) if any(row[i] for row in rows)]
    if len(kept) < 2:
        return None, 0.0
    if len(kept) < width:
        rows = [[row[i] for i in kept] for row in rows]
    is_row = [not all(map(_RULE.fullmatch, row)) for row in rows]
    cells = list(map(tuple, compress(rows, is_row)))
    numbers = [line.number for line in compress(lines, is_row)]
    if not cells:
        return None, several
    if is_header(cells) or _is_ruled_off(numbers, rules):
        columns = tuple(name or str(i) for i, name in enumerate(cells[0], start=1))
        return Table(kind, columns, tuple(cells[1:]), tuple(numbers[1:]), True), several
    return Table(kind, tuple(map(str, range(1, len(kept) + 1))), tuple(cells), tuple(numbers), False), several


def _is_ruled_off(numbers: Sequence[int], rules: Sequence[int]) -> bool:
    """Return whether a rule is drawn below the first row, and not below the others."""
    below = [bisect(numbers, rule) for rule in rules]
    return len(numbers) > 2 and 1 in below and not any(1 < i < len(numbers) for i in below)


def _words_behind(lines: Sequence[Line]) -> Table | None:
    """Return lines such as "Emma F 500" or "Emma F" as a table: a name, then numbers and categories."""
    rest, columns = [line.text for line in lines], list[list[str]]()
    while lines:
        halves = [text.rpartition(" ") for text in rest]
        last = [cell for _, _, cell in halves]
        if sum(bool(head) for head, _, _ in halves) < NEARLY_ALL * len(lines):
            break
        are_numbers = sum(is_number(cell) and bool(head) for head, _, cell in halves) >= NEARLY_ALL * len(lines)
        are_categories = bool(columns) and len(set(last)) <= min(MOST_CATEGORIES, len(lines) // 4)
        if not (are_numbers or are_categories or (not columns and _are_letters(last))):
            break
        # The last word of a line that lacks the column is part of the name.
        fits = [bool(head) and is_number(cell) == are_numbers for head, _, cell in halves]
        if not (columns or are_numbers):
            fits = [fit and _is_letter(cell) for fit, cell in zip(fits, last, strict=True)]
        columns.insert(0, [cell if fit else "" for cell, fit in zip(last, fits, strict=True)])
        rest = [
            head.strip().rstrip(_BETWEEN) if fit else text
            for text, (head, _, _), fit in zip(rest, halves, fits, strict=True)
        ]
    if not columns:
        return None
    rows = tuple(zip(rest, *columns, strict=True))
    names = tuple(map(str, range(1, len(columns) + 2)))
    return Table(", separated by blanks", names, rows, tuple(line.number for line in lines), False)


def _are_letters(words: Sequence[str]) -> bool:
    """Return whether nearly all words are one of few letters, such as f and m. Numbers of kings are none."""
    if sum(map(_is_letter, words)) < NEARLY_ALL * len(words):
        return False
    letters = Counter(filter(_is_letter, words))
    return len(letters) <= _MOST_LETTERS and min(letters.values()) > 1 and not _ROMAN.issuperset(letters)


def _is_letter(word: str) -> bool:
    """Return whether a word is one letter, maybe in brackets."""
    return len(word) <= _BRACKETED and len(letter := word.strip("()[]")) == 1 and letter.isalpha()


def _names_and_phrases(lines: Sequence[Line], source: str) -> Table | None:
    """Return lines such as "Emma - whole" as a table of two columns, or None. Raises `NameListError` if only some of
    them are such.
    """
    sample = lines[:: len(lines) // _SAMPLE + 1]
    if not any(_share(sign, sample) >= SOME for sign in _PHRASES.values()):
        return None
    header = int(is_list_header(lines[0].text))
    # Numbers and bullets in front, and labels, are structures.
    _, lines = unwrapped(lines[header:], source)
    shares = {called: _share(sign, lines) for called, sign in _PHRASES.items()}
    likely = [called for called, share in shares.items() if share >= NEARLY_ALL]
    if likely:
        first = min(likely, key=lambda called: sum(len(_PHRASES[called].split(text, 1)[0]) for _, text in lines))
        table, _ = _split(lines, partial(_halves, _PHRASES[first]), f", separated by {first}")
        return table and replace(table, dropped=Counter({"header": header}))
    called = max(shares, key=lambda called: shares[called])
    if shares[called] >= SOME:
        raise NameListError(
            f"Only some lines of {source} have {called} between words; give --as-is if they are part of the names, or "
            "make all lines alike."
        )
    return None


def _with_first_cut(table: Table, source: str) -> Table:
    """Return a table whose first cells are such as "Emma - whole" with these cut into two columns."""
    lines = [Line(number, row[0]) for number, row in zip(table.numbers[:_SAMPLE], table.rows, strict=False)]
    if not any(_share(sign, lines) >= NEARLY_ALL for sign in _PHRASES.values()):
        return table
    try:
        cut = _names_and_phrases([Line(*row) for row in zip(table.numbers, table.cells(0), strict=True)], source)
    except NameListError:
        return table
    if cut is None or len(cut.rows) < len(table.rows):
        return table
    rows = tuple((*halves, *row[1:]) for halves, row in zip(cut.rows, table.rows, strict=True))
    return replace(table, columns=tuple(map(str, range(1, len(rows[0]) + 1))), rows=rows)


def _share(sign: re.Pattern[str], lines: Sequence[Line]) -> float:
    return sum(sign.search(line.text) is not None for line in lines) / max(len(lines), 1)


def _halves(sign: re.Pattern[str], text: str) -> list[str]:
    return [half.strip() for half in sign.split(text, maxsplit=1)]
