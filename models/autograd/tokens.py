"""Split the text of an expression into tokens: numbers, names and operators."""

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from models.errors import ExpressionError

FIELD = "expression"
MAX_NAME = 16
SYMBOLS = "letters without accents, digits, + - * / ** ( ) . = and ;"

# Typographic signs for - * /; each is one character, so that positions stay.
TYPESET = MappingProxyType({0x2212: "-", 0x2013: "-", 0xD7: "*", 0xB7: "*", 0x22C5: "*", 0xF7: "/"})
# ASCII alone: \d and \w would take the digits and letters of all scripts.
_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<operator>\*\*|[-+*/()=])"
    r"|(?P<separator>[;\n])"
    r"|(?P<space>[ \t\r]+)"
)


@dataclass(frozen=True)
class Token:
    """A token of the text; the last one is "end".

    `position` is the index of its first character, counted from 1.
    """

    kind: Literal["number", "name", "operator", "separator", "end"]
    text: str
    position: int


def tokenize(text: str) -> list[Token]:
    """Return the tokens of `text`, including the end.

    Raises `ExpressionError` for characters and names that are not allowed, and for numbers that are too large.
    Typographic minus, times and division signs mean - * /.
    """
    found: list[Token] = []
    plain = text.translate(TYPESET)
    begin = 0
    while begin < len(plain):
        match = _TOKEN.match(plain, begin)
        if match is None:
            hint = "; a power is written **" if text[begin] == "^" else ""
            raise wrong(text, begin + 1, f"this character has no meaning here{hint}", SYMBOLS)
        begin = match.end()
        if (kind := match.lastgroup) != "space":
            found.append(_token(text, kind, match))
    return [*found, Token("end", "", len(text) + 1)]


def _token(text: str, kind: str | None, match: re.Match[str]) -> Token:
    position = match.start() + 1
    match kind:
        case "number":
            if float(match[0]) == float("inf"):
                raise wrong(text, position, "this number is too large", "numbers up to 1.7e308")
            return Token("number", match[0], position)
        case "name":
            if len(match[0]) > MAX_NAME:
                raise wrong(text, position, "this name is too long", f"a name of at most {MAX_NAME} characters")
            return Token("name", match[0], position)
        case "operator":
            return Token("operator", match[0], position)
    return Token("separator", match[0], position)


def wrong(text: str, position: int, reason: str, allowed: str, nearest: tuple[str, ...] = ()) -> ExpressionError:
    """Return the error for a position of `text`. Only its message repeats the text."""
    message = f"Character {position} of {text!r}: {reason}; allowed: {allowed}."
    return ExpressionError(message, field=FIELD, allowed=allowed, nearest=nearest, position=position, reason=reason)
