"""What a text is: a list, a table, JSON, a pasted literal, or all names on one line; and the names in it.

A structure that nearly every line has, such as a number or quotes, is no part of the names. Where only some lines have
it, the error names the option that decides.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from data.edges import without_edges
from data.errors import NameListError
from data.literals import content_of, parse_literal
from data.splitting import cells_of, has_known_header, table_of_lines
from data.structures import is_list_header, unwrapped
from data.tables import NEARLY_ALL, Line, Reading, Table, is_number, names_of_table
from models.spelling import visible

# Lines of a file that has all names on one line, and names that it has at least.
_MOST_LONG_LINES, _LEAST_ON_A_LINE = 3, 20
# What separates several names on each line, and how many there are on average.
_SEPARATORS, _LEAST_ON_EACH_LINE = {"\t": "tabs", ";": "semicolons", ",": "commas"}, 4
# A name has at most this many words, and none of these signs. Columns of names are about as wide as each other.
_MOST_WORDS, _NO_NAME, _MOST_UNLIKE = 4, frozenset("0123456789@:/=_<>|\\#%&{}[]"), 2.0
_SAMPLE = 100


@dataclass(frozen=True)
class ReadOptions:
    """How to read a list. Columns go by name or by number from 1; `as_is`: each line is a name, whatever it has.

    `locale`: tr or az for the letters ı and İ, "other" for none, None for what the list shows. `keep_case`: a list in
    one case keeps it.
    """

    column: str | None = None
    weights: str | None = None
    styles: tuple[str, ...] = ()
    encoding: str | None = None
    as_is: bool = False
    # Not shown: digests of lists have the text of the fields above.
    locale: str | None = field(default=None, repr=False)
    keep_case: bool = field(default=False, repr=False)

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
    if (value := parse_literal(text)) is not None:
        content = content_of(value, source)
        if isinstance(content, Table):
            return replace(_of_table(content, source, options), dropped=Counter())
        _refuse_table_options(source, options)
        return _reading("a list in brackets", [Line(n, name) for n, name in enumerate(content, start=1)], Counter())
    filled, dropped = without_edges(lines, filled)
    dropped += empty
    if (names := _on_one_line(filled)) is not None:
        return _of_lines("names on one line", [Line(filled[0].number, name) for name in names], dropped, source)
    if not options.wants_table and (several := _on_each_line(filled)) is not None:
        separator, each = several
        return _of_lines(f"several names on each line, separated by {separator}", each, dropped, source)
    table = table_of_lines(filled, source)
    if table is not None:
        found = _of_table(table, source, options)
        return replace(found, dropped=found.dropped + dropped)
    _refuse_table_options(source, options)
    return _of_lines("one name on each line", _stripped(filled), dropped, source)


def _shown(line: str) -> str:
    """Return a line without what shows nothing. Tabs at its ends are empty cells of a table."""
    return (line if line.isascii() else visible(line)).strip(" ")


def _stripped(lines: Sequence[Line]) -> list[Line]:
    return [line if (text := line.text.strip()) == line.text else line._replace(text=text) for line in lines]


def _reading(shape: str, lines: Sequence[Line], dropped: Counter[str]) -> Reading:
    return Reading(shape, tuple(line.text for line in lines), tuple(line.number for line in lines), dropped=dropped)


def _refuse_table_options(source: str, options: ReadOptions) -> None:
    if options.wants_table:
        raise NameListError(f"{source} is no table; --column, --weights and --style are for the columns of a table.")


def _of_table(table: Table, source: str, options: ReadOptions) -> Reading:
    """Return the names of a column, without the structures that nearly all of them have."""
    found = names_of_table(table, source, options.column, options.weights, options.styles)
    if sum(not name.replace(" ", "").isalpha() for name in found.names) < NEARLY_ALL * len(found.names):
        return found
    try:
        structures, lines = unwrapped([Line(*line) for line in zip(found.numbers, found.names, strict=True)], source)
    except NameListError:
        # --as-is would decide over whole lines: what only some cells have stays.
        return found
    shape = f"{found.shape}; they are {' and '.join(structures)}" if structures else found.shape
    return replace(found, shape=shape, names=tuple(line.text for line in lines))


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


def _on_each_line(lines: Sequence[Line]) -> tuple[str, list[Line]] | None:
    """Return what separates the several names on each line, and the names, or None for a table and other lists."""
    for separator, called in _SEPARATORS.items():
        for some in (lines[:: len(lines) // _SAMPLE + 1], lines):
            # One line may have a single name: the last one.
            if sum(separator in line.text for line in some) < min(NEARLY_ALL * len(some), len(some) - 1):
                break
            rows = [list(filter(None, cells_of(line.text, separator))) for line in some]
            if not _are_names(rows):
                break
        else:
            return called, [line._replace(text=cell) for line, row in zip(lines, rows, strict=True) for cell in row]
    return None


def _are_names(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether all cells are names: nearly all differ, are short and no numbers, and columns are alike."""
    cells = [cell for row in rows for cell in row]
    if len(cells) < max(_LEAST_ON_EACH_LINE * len(rows), 1) or any(map(is_number, cells)) or has_known_header(rows[0]):
        return False
    plain = sum(len(cell.split()) <= _MOST_WORDS and _NO_NAME.isdisjoint(cell) for cell in cells)
    if min(plain, len(set(cells))) < NEARLY_ALL * len(cells):
        return False
    if len(set(map(len, rows))) > 1:
        return True
    widths = [sum(map(len, column)) for column in zip(*rows, strict=True)]
    return max(widths) <= _MOST_UNLIKE * min(widths)


def _of_lines(shape: str, lines: Sequence[Line], dropped: Counter[str], source: str) -> Reading:
    """Return the names without the structures that nearly all lines have. Raises `NameListError` where only some do."""
    if len(lines) > 1 and is_list_header(lines[0].text):
        lines, dropped = lines[1:], dropped + Counter({"header": 1})
    found, lines = unwrapped(lines, source)
    if lines and sum(is_number(line.text) for line in lines) >= NEARLY_ALL * len(lines):
        raise NameListError(f"The lines of {source} are numbers, not names; give --as-is if they are the names.")
    return _reading(f"{shape}, {' and '.join(found)}" if found else shape, lines, dropped)
