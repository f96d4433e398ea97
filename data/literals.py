"""JSON, and literals pasted from Python, JavaScript, Java and the like, with their comments and declarations."""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from data.errors import NameListError
from data.tables import MOST_CATEGORIES, Table, table_of_rows

# Comments and imports before a literal. Quantifiers are possessive or bounded: any text is read in linear time.
_LEAD = re.compile(r"(?:\s++|<\?php\b|(?:#|//|(?:import|from|using|use|package)\s)[^\n]*+|/\*(?:[^*]|\*(?!/))*+\*/)*+")
# What declares a literal: export const names: string[] = [...]; final String[] names = {...}; names = List.of(...)
_DECLARATION = re.compile(
    r"""(?:(?:export\s{1,9}default|return)\s{1,9}|[^\n"'=]{1,200}(?::?=|<-)\s{0,99}+)"""
    r"""[^\n"'=\[{(]{0,60}(?:\[\]\s?\w{0,20}\s?)?(?=[\[{(])"""
)
_OPENING, _CLOSING = "[{(", ("]", "}", ")", "] as const", "*/")
# Text in quotes, comments, and words with a colon behind that make them keys.
_TOKEN = re.compile(
    r"""(?P<text>"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"?|'[^'\\\n]*+(?:\\.[^'\\\n]*+)*+'?)"""
    r"""|(?P<comment>(?:#|//)[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/)?)"""
    r"""|(?P<word>[^\W\d][\w$]*+)(?P<colon>\s*+:)?"""
)
_COMMENT = re.compile(r"/\*.*?\*/|(?:#|//|/\*).*")
_CONSTANTS = {"null": "None", "undefined": "None", "true": "True", "false": "False"}
# The largest literal that is parsed: its syntax tree takes a hundred times the memory.
_MOST_LITERAL = 16 * 2**20
# Behind the last bracket: this much text is searched for it.
_TAIL = 2000
# Texts under each key on average, where keys are many groups.
_LEAST_IN_GROUP = 4


def parse_literal(text: str) -> Any:
    """Return the value of a JSON document, of lines of JSON or of a pasted literal, or None for other text."""
    begin = _LEAD.match(text).end()  # type: ignore[union-attr]  # it matches the empty text
    if match := _DECLARATION.match(text, begin):
        begin = match.end()
    if not text.startswith(tuple(_OPENING), begin) or not _closes(text[begin:][-_TAIL:]):
        return None
    body = text[begin:].rstrip("\t\r\n ;,")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        pass
    if (objects := _json_lines(body)) is not None:
        return objects
    return _evaluated(body) if len(body) <= _MOST_LITERAL else None


def content_of(value: Any, source: str) -> Table | list[str]:
    """Return the names in a parsed value: a list of texts, or a table. Raises `NameListError` for other values."""
    value = _innermost(value)
    if isinstance(value, Mapping) and len(value) > 1:
        if all(isinstance(count, (int, float)) for count in value.values()):
            return table_of_rows([[str(name), str(n)] for name, n in value.items()], ["name", "count"], ", a map")
        if all(_is_texts(names) for names in value.values()):
            return _of_groups(value)
    if isinstance(value, (list, tuple)) and value:
        if _is_texts(value):
            return [_cell(item) for item in value]
        if all(isinstance(item, Mapping) for item in value):
            columns = list(dict.fromkeys(str(key) for item in value for key in item))
            rows = [[_cell(item.get(column)) for column in columns] for item in value]
            return table_of_rows(rows, columns, ", a list of objects")
        if all(isinstance(item, (list, tuple)) for item in value) and len({len(item) for item in value}) == 1:
            columns = [str(i) for i, _ in enumerate(value[0], start=1)]
            rows = [[_cell(cell) for cell in item] for item in value]
            return table_of_rows(rows, columns, ", a list of rows", has_header=False)
    raise NameListError(
        f"{source} is a document in brackets, but no list of names; allowed: a list of texts, of objects or of rows of "
        "one length, a map of names to counts, or a map of groups to lists of texts."
    )


def _of_groups(groups: Mapping[Any, Sequence[str]]) -> Table:
    """Return the names of groups as a table. Of many short groups, the keys may be the names: no header decides."""
    rows = [[_cell(name), str(key)] for key, names in groups.items() for name in names]
    are_groups = len(groups) <= MOST_CATEGORIES or len(rows) >= _LEAST_IN_GROUP * len(groups)
    return table_of_rows(rows, ["name", "group"] if are_groups else ["value", "key"], ", a map of lists")


def _closes(tail: str) -> bool:
    """Return whether a text ends with a bracket, before its last comments."""
    for line in reversed(tail.split("\n")):
        code = _COMMENT.sub("", line)
        if code.strip():
            return any(part.rstrip("\t\r ;,").endswith(_CLOSING) for part in (line, code))
    return False


def _json_lines(body: str) -> list[Any] | None:
    """Return the values of lines that are each a JSON object or array, or None."""
    values = []
    for line in body.split("\n"):
        if line.strip():
            try:
                value = json.loads(line.strip().rstrip(","))
            except (ValueError, RecursionError):
                return None
            if not isinstance(value, (dict, list)):
                return None
            values.append(value)
    return values if len(values) > 1 else None


def _evaluated(body: str) -> Any:
    """Return the value of a literal of Python, or of one of another language that reads alike, or None."""
    code = _TOKEN.sub(_as_python, body).strip().removesuffix(";").rstrip().removesuffix("as const")
    try:
        tree = ast.parse(code.strip(), mode="eval").body
        # An array in braces keeps its order.
        return ast.literal_eval(ast.List(tree.elts, ast.Load()) if isinstance(tree, ast.Set) else tree)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def _as_python(token: re.Match[str]) -> str:
    """Return a token as Python has it: text as it is, no comment, keys in quotes."""
    if token["text"] is not None:
        return token[0]
    if token["comment"] is not None:
        return " "
    if token["colon"] is not None:
        return f"{token['word']!r}:"
    return _CONSTANTS.get(token[0], token[0])


def _innermost(value: Any) -> Any:
    """Return a list or a map of several keys without the maps of one key around it."""
    while isinstance(value, Mapping) and len(value) == 1:
        inner = next(iter(value.values()))
        if not isinstance(inner, (list, tuple, Mapping)):
            break
        value = inner
    return value


def _is_texts(value: Any) -> bool:
    """Return whether a value is a list of texts; nulls count as empty ones."""
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    return is_list and any(value) and all(item is None or isinstance(item, str) for item in value)


def _cell(value: object) -> str:
    return "" if value is None else str(value).strip()
