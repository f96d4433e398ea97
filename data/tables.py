"""Tables of names: their columns of names, weights and styles."""

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

from data.errors import NameListError

# A structure is one that at least this share of the lines has. From the second share on, a list is neither.
NEARLY_ALL, SOME = 0.95, 0.3
_NUMBER = re.compile(r"[+-]?(\d+([.,'’ ]\d{3})*([.,]\d+)?|[.,]\d+)([eE][+-]?\d+)?\s*%?|#?\d+[.)]?")
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
COUNT_HEADERS = ("count", "counts", "frequency", "freq", "number", "n", "births", "total", "population", "weight")
INDEX_HEADERS = ("id", "index", "no", "nr", "#", "rank", "year", "decade")
OTHER_HEADERS = (
    *COUNT_HEADERS,
    *INDEX_HEADERS,
    *("gender", "sex", "geschlecht", "sexe", "sexo", "genre", "country", "language", "origin", "meaning", "type"),
    *("kind", "value", "prop", "percent"),
)
# Numbers that are years, and rows that show what a column has.
_FIRST_YEAR, _LAST_YEAR, _SAMPLE = 1500, 2100, 1000
# A column with more distinct values than this may be names; one with fewer is a category, such as a gender.
MOST_CATEGORIES = 12
# A column may be a style if it has few values, and this many names of each on average.
MOST_STYLE_VALUES, NAMES_PER_VALUE = 64, 20


class Line(NamedTuple):
    """A line of the file, without spaces at its ends, and its number from 1."""

    number: int
    text: str


@dataclass(frozen=True)
class Table:
    """`rows` of as many cells as there are `columns`, from the lines `numbers`. Without a header a column is called by
    its number from 1. `dropped` lines are no rows: what stands before the table and behind it.
    """

    kind: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...]
    has_header: bool
    dropped: Counter[str] = field(default_factory=Counter)

    def cells(self, column: int) -> list[str]:
        """Return the cells of a column."""
        return [row[column] for row in self.rows]

    def describe(self) -> str:
        """Return, e.g., "a table of 3 columns, separated by commas"."""
        return f"a table of {len(self.columns)} column{'s' * (len(self.columns) > 1)}{self.kind}"

    def shown(self) -> str:
        """Return the columns with an example of each."""
        examples = [next(filter(None, self.cells(i)), "empty") for i in range(len(self.columns))]
        return ", ".join(f"{name} ({example})" for name, example in zip(self.columns, examples, strict=True))


@dataclass(frozen=True)
class Reading:
    """Names as a list has them, one for each of the lines `numbers`; `shape` says what the file was taken for.

    `weights`: how much each counts, None for all alike. `styles`: each column's values, by the column's name. `dropped`
    lines are no names: a header, comments, text before the list. `possible_weights` and `possible_styles`: columns that
    were not asked for and may be weights or styles.
    """

    shape: str
    names: tuple[str, ...]
    numbers: tuple[int, ...]
    weights: tuple[float, ...] | None = None
    styles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    possible_weights: str = ""
    possible_styles: tuple[str, ...] = ()


def is_number(cell: str) -> bool:
    """Return whether a cell is a number such as 1,000 or 5 %, or one of an index, such as "1.", "1)" or "#1"."""
    return not cell[:1].isalpha() and _NUMBER.fullmatch(cell.strip()) is not None


def table_of_rows(rows: Sequence[Sequence[str]], columns: Sequence[str], kind: str, has_header: bool = True) -> Table:
    """Return rows that some other reader found, with their columns."""
    return Table(kind, tuple(columns), tuple(map(tuple, rows)), tuple(range(1, len(rows) + 1)), has_header)


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
    hint = _possible_weights(table, at) if weights is None else ""
    values = dict[str, tuple[str, ...]]()
    for style in styles:
        place = _column(table, style, "--style", source)
        values[table.columns[place].strip().lower()] = tuple(cell.strip() for cell in table.cells(place))
    if values:
        shape = f"{shape}, styles from {', '.join(values)}"
    dropped = table.dropped + Counter({"header": 1} if table.has_header else {})
    taken = {at, *(_column(table, each, "--weights", source) for each in (weights, hint) if each)}
    offers = () if styles else _possible_styles(table, taken)
    return Reading(shape, tuple(table.cells(at)), table.numbers, counts, values, dropped, hint, offers)


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
        cells = Counter(filter(None, table.cells(i)))
        if len(cells) <= MOST_CATEGORIES:
            continue
        if sum(count for cell, count in cells.items() if is_number(cell)) < SOME * cells.total():
            likely.append(i)
    named = [i for i in likely if _folded(table.columns[i]) in NAME_HEADERS]
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


def _possible_weights(table: Table, names_at: int) -> str:
    """Return the name of a column of numbers that are no index and no years, or nothing. Headers of counts go first."""
    found = [i for i in range(len(table.columns)) if i != names_at and _may_be_weights(table, i)]
    found.sort(key=lambda i: _folded(table.columns[i]) not in COUNT_HEADERS)
    return table.columns[found[0]] if found else ""


def _possible_styles(table: Table, taken: Collection[int]) -> tuple[str, ...]:
    """Return the names of columns with few enough values that each has many names."""
    most = min(MOST_STYLE_VALUES, len(table.rows) // NAMES_PER_VALUE)
    free = (i for i in range(len(table.columns)) if i not in taken)
    return tuple(table.columns[i] for i in free if 2 <= len({*table.cells(i)} - {""}) <= most)


def _may_be_weights(table: Table, at: int) -> bool:
    """Return whether the first cells of a column differ, and are numbers but no index or years."""
    cells = [row[at] for row in table.rows[:_SAMPLE]]
    if (table.has_header and _folded(table.columns[at]) in INDEX_HEADERS) or len(set(cells)) < 2:
        return False
    if sum(is_number(cell) and "-" not in cell for cell in cells) < NEARLY_ALL * len(cells):
        return False
    whole = [int(cell) for cell in (cell.strip("#.)") for cell in cells) if cell.isdecimal()]
    is_index = len(whole) == len(cells) and all(b - a == 1 for a, b in pairwise(whole))
    are_years = all(_FIRST_YEAR <= number <= _LAST_YEAR for number in whole) if whole else False
    return not (is_index or are_years)


def _folded(header: str) -> str:
    return header.strip().casefold().replace("_", " ")


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
