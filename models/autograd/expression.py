"""A small expression language for the scalar engine: `a = 2; b = -3; d = a*b + tanh(c)`.

The parser uses operator precedence (Pratt 1973, "Top Down Operator Precedence") and never runs Python. The language has
numbers, names, + - * / **, minus signs, parentheses and four functions, with Python's precedence.

Every text is either computed, with gradients, or refused with an `ExpressionError`.
"""

import difflib
import math
from collections.abc import Callable
from types import MappingProxyType

from models.autograd.engine import Value, topological
from models.autograd.tokens import Token, tokenize, wrong
from models.errors import ExpressionError

MAX_CHARACTERS, MAX_NODES, MAX_DEPTH = 200, 100, 40
FUNCTIONS = MappingProxyType({"exp": Value.exp, "log": Value.log, "tanh": Value.tanh, "relu": Value.relu})
OPERATORS: MappingProxyType[str, Callable[[Value, Value], Value]] = MappingProxyType(
    {
        "+": lambda a, b: a + b,
        "-": lambda a, b: a - b,
        "*": lambda a, b: a * b,
        "/": lambda a, b: a / b,
        # A number that is written out is a constant: x**2 has one operand.
        "**": lambda a, b: a**b.data if _is_literal(b) else a**b,
    }
)
# How tightly an operator holds what is left of it, and what is right of it; SIGN: a minus that has nothing on its left.
BINDING = MappingProxyType({"+": (1, 2), "-": (1, 2), "*": (3, 4), "/": (3, 4), "**": (6, 5)})
SIGN = 5
OPERAND = "a number, a name, a function, - or ("
ALLOWED = MappingProxyType(
    {
        "/": "a divisor other than 0",
        "log": "the logarithm of a number above 0",
        "**": "a negative number raised to a whole number written out, such as 2 or -3",
        "0**": "0 raised to 1 or more, or to 0 written out",
    }
)
RANGE = "results and derivatives up to 1.7e308"


def evaluate(text: str, max_characters: int = MAX_CHARACTERS, max_nodes: int = MAX_NODES) -> Value:
    """Return the value of the last statement, with the gradients of all its ancestors.

    A named value has its name as label; a value with several names has all of them: "a, b". Raises `ExpressionError`.
    All numbers of an answer are finite.
    """
    if len(text) > max_characters:
        raise wrong(text, max_characters + 1, "the expression is too long", f"at most {max_characters} characters")
    parser = _Parser(text, max_nodes)
    result = parser.statements()
    result.backward()
    for value in topological(result):
        if not math.isfinite(value.grad):
            raise wrong(text, parser.places[value], "the gradient here is too large", RANGE)
    return result


class _Parser:
    """The state of a parser: its position, the values of names, and the position that created each value."""

    def __init__(self, text: str, max_nodes: int) -> None:
        self._text, self._max_nodes = text, max_nodes
        self._tokens, self._next, self._depth = tokenize(text), 0, 0
        self._names: dict[str, Value] = {}
        self.places: dict[Value, int] = {}

    def statements(self) -> Value:
        result = None
        while (token := self._peek()).kind != "end":
            if token.kind == "separator":
                self._take()
                continue
            result = self._statement()
        if result is None:
            raise wrong(self._text, 1, "there is nothing to compute", f"{OPERAND}, as in a = 2; a * 3")
        return result

    def _statement(self) -> Value:
        name = self._name() if self._tokens[self._next + 1 :][:1] and self._is("=", 1) else None
        value = self._expression(0)
        token = self._peek()
        if token.kind not in ("separator", "end"):
            raise self._after_a_value(token)
        if name is not None:
            value.label = f"{value.label}, {name}" if value.label else name
            self._names[name] = value
        return value

    def _name(self) -> str:
        """Read a name and the = after it."""
        token, _ = self._take(), self._take()
        if token.kind != "name":
            raise self._wrong(token, "only a name can be given a value", "a name, as in a = 2")
        if token.text in FUNCTIONS:
            raise self._wrong(token, "this is the name of a function", "another name")
        if token.text in self._names:
            raise self._wrong(token, "this name has a value already", "each name once on the left of =")
        return token.text

    def _expression(self, binding: int) -> Value:
        """Read a value and all following operators that bind tighter than `binding`."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._wrong(self._peek(), "this stands too deep inside", f"at most {MAX_DEPTH} things in each other")
        left = self._operand()
        while (token := self._peek()).text in BINDING and BINDING[token.text][0] > binding:
            self._take()
            left = self._apply(token, left, self._expression(BINDING[token.text][1]))
        self._depth -= 1
        return left

    def _operand(self) -> Value:
        token = self._take()
        if token.kind == "number":
            return self._keep(token, lambda: Value(float(token.text)))
        if token.kind == "name":
            return self._named(token)
        if token.text == "-":
            return self._negative(token)
        if token.text == "(":
            return self._closed(token)
        raise self._wrong(token, "a value is missing here", OPERAND)

    def _negative(self, token: Token) -> Value:
        value = self._expression(SIGN)
        if _is_literal(value):
            # -3 is a number, not an operation.
            value.data = -value.data
            return value
        return self._keep(token, lambda: -value)

    def _named(self, token: Token) -> Value:
        if token.text in FUNCTIONS:
            if not self._is("("):
                raise self._wrong(self._peek(), "a function is followed by its argument", "( after a function")
            argument = self._closed(self._take())
            return self._keep(token, lambda: FUNCTIONS[token.text](argument))
        if token.text in self._names:
            return self._names[token.text]
        if self._is("("):
            near = tuple(difflib.get_close_matches(token.text, FUNCTIONS, 1))
            raise wrong(self._text, token.position, "there is no such function", ", ".join(FUNCTIONS), near)
        raise self._wrong(token, "this name has no value yet", "a name with a value, as in a = 2; a * 3")

    def _closed(self, opening: Token) -> Value:
        """Read the rest of a parenthesis up to its ), after `opening`."""
        value = self._expression(0)
        if self._is(")"):
            self._take()
            return value
        if self._peek().kind in ("separator", "end"):
            raise self._wrong(opening, "this ( is not closed", "a ) for each (")
        raise self._after_a_value(self._peek())

    def _apply(self, token: Token, left: Value, right: Value) -> Value:
        rule = "0**" if token.text == "**" and left.data == 0 else token.text
        made = self._keep(token, lambda: OPERATORS[token.text](left, right), rule)
        if right not in made.operands:
            # The exponent became a part of the operation.
            del self.places[right]
        return made

    def _keep(self, token: Token, make: Callable[[], Value], rule: str = "") -> Value:
        """Return the result of `make` at `token`.

        Raises `ExpressionError` if it fails (`ALLOWED` of `rule` says what is allowed) or is not finite.
        """
        if len(self.places) >= self._max_nodes:
            raise self._wrong(token, "the graph is too large", f"at most {self._max_nodes} numbers and operations")
        value = self._computed(token, make, rule or token.text)
        if not all(map(math.isfinite, (value.data, *value.derivatives))):
            raise self._wrong(token, "the result or its derivative is too large", RANGE)
        self.places[value] = token.position
        return value

    def _computed(self, token: Token, make: Callable[[], Value], rule: str) -> Value:
        try:
            return make()
        except ZeroDivisionError:
            reason = "this divides by 0" if token.text == "/" else "0 has no such power, or no derivative there"
        except OverflowError:
            raise self._wrong(token, "the result or its derivative is too large", RANGE) from None
        except ValueError as error:
            # The engine's own words, which repeat nothing.
            reason = str(error)
        raise self._wrong(token, reason, ALLOWED[rule])

    def _after_a_value(self, token: Token) -> ExpressionError:
        if token.text == ")":
            return self._wrong(token, "this ) closes nothing", "a ( for each )")
        if token.text == "=":
            return self._wrong(token, "a value is given to one name only, at the start of a statement", "a = 2; a * 3")
        return self._wrong(token, "an operator is missing before this", "+ - * / ** between values, ; after them")

    def _wrong(self, token: Token, reason: str, allowed: str) -> ExpressionError:
        return wrong(self._text, token.position, reason, allowed)

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _is(self, text: str, ahead: int = 0) -> bool:
        return self._tokens[self._next + ahead].text == text

    def _take(self) -> Token:
        token = self._peek()
        # The end stays.
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token


def _is_literal(value: Value) -> bool:
    """Return whether a value is a literal number without a name or operands."""
    return not value.operands and not value.label
