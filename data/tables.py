"""Tables of names: their separators, header, and columns of names, weights and styles."""

import csv
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import compress
from typing import NamedTuple

from data.errors import NameListError

# A structure is one that at least this share of the lines has. From the second share on, a list is neither.
NEARLY_ALL, SOME = 0.95, 0.3
# Separators, and what messages call them.
_SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas"}
_BLANKS = re.compile(r"\s{2,}|\t")
_NUMBER = re.compile(r"[+-]?(\d+([.,'’ ]\d{3})*([.,]\d+)?|[.,]\d+)([eE][+-]?\d+)?\s*%?")
_RULE = re.compile(r":?-+:?|=+|\+?(-+\+)+")
# Cells that say that there is nothing.
_NOTHING = ("", "*", "-", "n/a", "na", "nan", "null", "none", "unknown")
# A comma that is no separator of thousands: 0,5 or 12,34 or 1.234,567.
_DECIMAL_COMMA = re.compile(r"(^0|\.\d{3}),\d+$|,(\d{1,2}|\d{4,})$")
# Headers of names. The last ones may also be names: they count in a table, but not above a list.
LIST_HEADERS = (
    *("name", "names", "first name", "firstname", "given name", "givenname", "forename", "surname", "last name"),
    *("lastname", "family name", "full name", "fullname", "vorname", "nachname", "nombre", "apellido", "prenom"),
    *("prénom", "nom", "nome", "cognome", "naam", "voornaam", "achternaam", "imię", "nazwisko", "isim", "имя"),
    *("фамилия", "名前", "姓名", "이름"),
)
NAME_HEADERS = (*LIST_HEADERS, "first", "last", "ad", "town", "city", "place", "species", "title", "label", "word")
# Headers of other columns.
_OTHER_HEADERS = (
    *("id", "index", "no", "nr", "#", "rank", "gender", "sex", "geschlecht", "sexe", "sexo", "genre", "count"),
    *("counts", "frequency", "freq", "number", "n", "births", "total", "year", "decade", "country", "language"),
    *("origin", "meaning", "type", "kind", "value", "weight", "prop", "percent", "population"),
)
# A header of at most two letters may also be a name.
_SHORT = 2
# A column with more distinct values than this may be names; one with fewer is a category, such as a gender.
_MOST_CATEGORIES = 12


class Line(NamedTuple):
    """A line of the file, without spaces at its ends, and its number from 1."""

    number: int
    text: str


@dataclass(frozen=True)
class Table:
    """`rows` of as many cells as there are `columns`, from the lines `numbers`. Without a header a column is called by
    its number from 1.
    """

    kind: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...]
    has_header: bool

    def cells(self, column: int) -> list[str]:
        """Return the cells of a column."""
        return [row[column] for row in self.rows]

    def describe(self) -> str:
        """Return, e.g., "a table of 3 columns, separated by commas"."""
        return f"a table of {len(self.columns)} columns{self.kind}"

    def shown(self) -> str:
        """Return the columns with an example of each."""
        examples = [next(filter(None, self.cells(i)), "empty") for i in range(len(self.columns))]
        return ", ".join(f"{name} ({example})" for name, example in zip(self.columns, examples, strict=True))


@dataclass(frozen=True)
class Reading:
    """Names as a list has them, one for each of the lines `numbers`; `shape` says what the file was taken for.

    `weights`: how much each counts, None for all alike. `styles`: each column's values, by the column's name. `dropped`
    lines are no names: a header, comments, text before the list.
    """

    shape: str
    names: tuple[str, ...]
    numbers: tuple[int, ...]
    weights: tuple[float, ...] | None = None
    styles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)


def is_number(cell: str) -> bool:
    """Return whether a cell is a number, maybe with separators of thousands or a sign of per cent."""
    return not cell[:1].isalpha() and _NUMBER.fullmatch(cell.strip()) is not None


def table_of_lines(lines: Sequence[Line], source: str) -> Table | None:
    """Return the lines as a table, or None where they are none. Raises `NameListError` if only some of them are."""
    found: Table | None = None
    partly = ""
    for separator, called in _SEPARATORS.items():
        if sum(separator in line.text for line in lines) < SOME * len(lines):
            continue
        table, share = _split(lines, partial(cells_of, separator=separator), f", separated by {called}")
        if table is not None and (found is None or len(table.columns) > len(found.columns)):
            found = table
        elif table is None and share >= SOME:
            partly = called
    if found is None and partly:
        raise NameListError(
            f"The lines of {source} have different numbers of {partly}, so it may be a table or not; give --as-is if "
            "the lines are names as they are, or make all lines alike."
        )
    if found is None and sum("  " in line.text or "\t" in line.text for line in lines) >= NEARLY_ALL * len(lines):
        found, _ = _split(lines, _BLANKS.split, ", separated by several blanks")
    return found or _numbers_behind(lines)


def table_of_rows(rows: Sequence[Sequence[str]], columns: Sequence[str], kind: str) -> Table:
    """Return rows that some other reader found, with their columns."""
    return Table(kind, tuple(columns), tuple(map(tuple, rows)), tuple(range(1, len(rows) + 1)), True)


def cells_of(text: str, separator: str) -> list[str]:
    """Return the cells of a line, with or without quotes."""
    if '"' not in text:
        return [cell.strip() for cell in text.split(separator)]
    try:
        return [cell.strip() for cell in next(csv.reader([text], delimiter=separator, skipinitialspace=True), [])]
    except csv.Error:
        # A cell that is larger than any table's.
        return text.split(separator)


def _split(lines: Sequence[Line], cut: Callable[[str], list[str]], kind: str) -> tuple[Table | None, float]:
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
    if _is_header(cells):
        columns = tuple(name or str(i) for i, name in enumerate(cells[0], start=1))
        return Table(kind, columns, tuple(cells[1:]), tuple(numbers[1:]), True), several
    return Table(kind, tuple(map(str, range(1, len(kept) + 1))), tuple(cells), tuple(numbers), False), several


def _is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row names the columns."""
    first, rest = [cell.casefold().replace("_", " ") for cell in rows[0]], rows[1:]
    known = [cell for cell in first if cell in (*NAME_HEADERS, *_OTHER_HEADERS)]
    # A short word may be a name; the other columns may be years.
    if rest and known and (len(known) > 1 or len(known[0]) > _SHORT):
        return True
    if not rest or any(map(is_number, first)):
        return False
    return any(
        cell not in _NOTHING and sum(is_number(row[i]) for row in rest) >= NEARLY_ALL * len(rest)
        for i, cell in enumerate(first)
    )


def _numbers_behind(lines: Sequence[Line]) -> Table | None:
    """Return lines such as "Emma F 500" as a table: a name, then numbers and categories, each after a blank."""
    rest, columns = [line.text for line in lines], list[list[str]]()
    while lines:
        halves = [text.rpartition(" ") for text in rest]
        last = [cell for _, _, cell in halves]
        if sum(bool(head) for head, _, _ in halves) < NEARLY_ALL * len(lines):
            break
        are_numbers = sum(is_number(cell) and bool(head) for head, _, cell in halves) >= NEARLY_ALL * len(lines)
        are_categories = bool(columns) and len(set(last)) <= min(_MOST_CATEGORIES, len(lines) // 4)
        if not (are_numbers or are_categories):
            break
        columns.insert(0, [cell if is_number(cell) == are_numbers else "" for cell in last])
        rest = [
            head.strip().rstrip(":=") if is_number(cell) == are_numbers else text
            for text, (head, _, cell) in zip(rest, halves, strict=True)
        ]
    if not columns:
        return None
    rows = tuple(zip(rest, *columns, strict=True))
    names = tuple(map(str, range(1, len(columns) + 2)))
    return Table(", separated by blanks", names, rows, tuple(line.number for line in lines), False)


def names_of_table(
    table: Table, source: str, column: str | None, weights: str | None, styles: Sequence[str]
) -> Reading:
    """Return the names of one column, and the weights and styles of others. Raises `NameListError`."""
    table = _with_named_header(table, [column, weights, *styles])
    at = _name_column(table, source) if column is None else _column(table, column, "--column", source)
    shape = f"{table.describe()}; names from {_called(table, at)}"
    counts: tuple[float, ...] | None = None
    if weights is not None:
        place = _column(table, weights, "--weights", source)
        counts, shape = _weights(table, place, source), f"{shape}, weights from {_called(table, place)}"
    values = dict[str, tuple[str, ...]]()
    for style in styles:
        place = _column(table, style, "--style", source)
        values[table.columns[place].strip().casefold()] = tuple(cell.strip() for cell in table.cells(place))
    if values:
        shape = f"{shape}, styles from {', '.join(values)}"
    dropped = Counter({"header": 1} if table.has_header else {})
    return Reading(shape, tuple(table.cells(at)), table.numbers, counts, values, dropped)


def _with_named_header(table: Table, wanted: Sequence[str | None]) -> Table:
    """Return the table; if an option names a cell of its first row, with that row as header."""
    first = [cell.casefold() for cell in table.rows[0]] if table.rows else []
    if table.has_header or not any(name and name.strip().casefold() in first for name in wanted):
        return table
    return replace(table, columns=table.rows[0], rows=table.rows[1:], numbers=table.numbers[1:], has_header=True)


def _called(table: Table, at: int) -> str:
    return f"`{table.columns[at]}`" if table.has_header else f"column {table.columns[at]}"


def _column(table: Table, wanted: str, option: str, source: str) -> int:
    """Return the place of a column, by its name or its number from 1."""
    folded = [name.strip().casefold() for name in table.columns]
    if wanted.strip().casefold() in folded:
        return folded.index(wanted.strip().casefold())
    if wanted.isdecimal() and 1 <= int(wanted) <= len(folded):
        return int(wanted) - 1
    raise NameListError(
        f"{option} {wanted} is no column of {source}; allowed: 1 to {len(folded)}, or a name of {table.shown()}."
    )


def _name_column(table: Table, source: str) -> int:
    """Return the column of names. Raises `NameListError` where there may be several."""
    likely = []
    for i in range(len(table.columns)):
        cells = [cell for cell in table.cells(i) if cell]
        numbers = sum(map(is_number, cells))
        if len(set(cells)) > _MOST_CATEGORIES and numbers < SOME * len(cells):
            likely.append(i)
    named = [i for i in likely if table.columns[i].strip().casefold().replace("_", " ") in NAME_HEADERS]
    for choice in (likely, named):
        if len(choice) == 1:
            return choice[0]
    if not likely:
        raise NameListError(f"No column of {source} looks like names; give --column: {table.shown()}.")
    some = " or ".join(table.columns[i] for i in likely)
    raise NameListError(
        f"{source} is {table.describe()}, and names may be in column {some}; give --column, or --as-is if whole lines "
        f"are names: {table.shown()}."
    )


def _weights(table: Table, at: int, source: str) -> tuple[float, ...]:
    """Return the numbers of a column, whose cells show together which sign is the decimal one."""
    cells = [re.sub(r"[\s'’%]", "", cell) for cell in table.cells(at)]
    comma_is_decimal = any(_DECIMAL_COMMA.search(cell) for cell in cells)
    found = []
    for number, cell, shown in zip(table.numbers, cells, table.cells(at), strict=True):
        dots = cell.count(".")
        text = cell.replace(".", "") if comma_is_decimal or dots > 1 else cell
        text = text.replace(",", "." if comma_is_decimal else "")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 <= value < math.inf:
            raise NameListError(
                f"Line {number} of {source} has the weight {shown!r}; a weight is a number of at least 0."
            )
        found.append(value)
    return tuple(found)
