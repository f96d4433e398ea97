"""The expression language: Python's precedence, errors with a position, and no text that breaks the parser."""

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from models.autograd.engine import Value, topological
from models.autograd.expression import MAX_CHARACTERS, MAX_DEPTH, MAX_NODES, evaluate
from models.autograd.graph_data import backward_steps
from models.errors import ExpressionError

FUNCTIONS = {"exp": math.exp, "log": math.log, "tanh": math.tanh, "relu": lambda x: max(x, 0.0)}
OPERATORS: dict[type, Callable[[float, float], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def reference(text: str) -> float:
    """The last statement's value as Python's own grammar reads the text, walked as a tree."""
    names: dict[str, float] = {}

    def walk(node: Any) -> float:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                names[name] = walk(value)
                return names[name]
            case ast.Expr(value=value):
                return walk(value)
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name):
                return names[name]
            case ast.UnaryOp(op=ast.USub(), operand=inside):
                return -walk(inside)
            case ast.Call(func=ast.Name(id=name), args=[inside]):
                return FUNCTIONS[name](walk(inside))
            case ast.BinOp(left=left, op=operation, right=right):
                result = OPERATORS[type(operation)](walk(left), walk(right))
                if isinstance(result, complex):
                    raise ValueError
                return result
        raise AssertionError(ast.dump(node))

    return [walk(statement) for statement in ast.parse(text).body][-1]


def tried(text: str) -> Value | ExpressionError:
    """A text's value, or the error that refuses it."""
    try:
        return evaluate(text)
    except ExpressionError as error:
        return error


def joined(inside: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Larger expressions from smaller ones, with and without parentheses."""
    return st.one_of(
        st.tuples(inside, st.sampled_from(["+", "-", "*", "/", "**", " + ", " - "]), inside).map("".join),
        inside.map(lambda x: f"-{x}"),
        inside.map(lambda x: f"({x})"),
        st.tuples(st.sampled_from(sorted(FUNCTIONS)), inside).map(lambda t: f"{t[0]}({t[1]})"),
    )


NUMBERS = st.sampled_from(["1", "2", "3", "0.5", ".25", "4.", "1e1", "2.5e-1", "0"])
FORMULAS = st.recursive(st.one_of(NUMBERS, st.sampled_from(["a", "b"])), joined, max_leaves=12)


@settings(max_examples=500)
@given(FORMULAS)
@example("-3**2")
@example("2**-1*3")
@example("2**3**2")
@example("-2**-2")
@example("a--b")
@example("1-2-3")
@example("8/4/2")
def test_values_equal_python_or_are_refused_for_their_numbers(formula: str) -> None:
    text = f"a = 2; b = -1.5; d = {formula}"
    assume(len(text) <= MAX_CHARACTERS)
    ours = tried(text)
    if isinstance(ours, ExpressionError):
        assert any(word in ours.reason for word in ("divide", "large", "logarithm", "power", "derivative", "deep"))
    else:
        assert ours.data == pytest.approx(reference(text), rel=1e-12)


CHARACTERS = "0123456789.eE+-*/()=;ab_ \n^,<é漢\u0000\U0001f600\u0661"
PIECES = st.sampled_from([*CHARACTERS, "**", "exp(", "log(", "tanh", "relu(", "1e308", "1e-308"])


@settings(max_examples=1500)
@given(st.one_of(st.text(max_size=230), st.lists(PIECES, max_size=120).map("".join)))
@example("(" * 200)
@example("-" * 200)
@example("2**" * 60 + "2")
@example("tanh(" * 40)
@example("a=" * 100)
@example("9" * 200)
@example("1e308*10")
@example("1e-200/1e200/1e200")
@example("a=1e-155;b=a*a;log(b)/a/a")
@example("1" * 5000)
def test_any_text_gives_finite_numbers_or_a_located_error(text: str) -> None:
    result = tried(text)
    if isinstance(result, ExpressionError):
        assert 1 <= result.position <= max(1, min(len(text), MAX_CHARACTERS)) + 1
        assert result.field == "expression"
        assert result.reason
        assert result.allowed
        # The same words whatever the text is: nothing of it is in them.
        assert (result.reason + result.allowed).isascii()
        assert repr(text) in str(result)
        return
    order = topological(result)
    assert 1 <= len(order) <= MAX_NODES
    for value in order:
        assert math.isfinite(value.data)
        assert math.isfinite(value.grad)
    for step in backward_steps(result):
        assert all(math.isfinite(each.gradient) and math.isfinite(each.derivative) for each in step.additions)


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("", 1, "nothing to compute"),
        (" ;; ", 1, "nothing to compute"),
        ("2 +", 4, "a value is missing"),
        ("2 + * 3", 5, "a value is missing"),
        ("2 3", 3, "an operator is missing"),
        ("2a", 2, "an operator is missing"),
        ("1 + (2 * 3", 5, "this ( is not closed"),
        ("1 + 2)", 6, "closes nothing"),
        ("(1 2)", 4, "an operator is missing"),
        ("a ^ 2", 3, "written **"),
        ("a = 1; a^2", 9, "written **"),
        ("sin(1)", 1, "no such function"),
        ("x + 1", 1, "no value yet"),
        ("tanh + 1", 6, "followed by its argument"),
        ("tanh()", 6, "a value is missing"),
        ("exp = 1", 1, "name of a function"),
        ("a = 1; a = 2", 8, "has a value already"),
        ("a + b = 3", 1, "no value yet"),
        ("a = 1; a + a = 3", 14, "one name only"),
        ("3 = 4", 1, "only a name"),
        ("a == 3", 4, "a value is missing"),
        ("1 / 0", 3, "divides by 0"),
        ("a = 0; 1 / a", 10, "divides by 0"),
        ("log(0)", 1, "no logarithm"),
        ("2 + log(-1)", 5, "no logarithm"),
        ("(-2)**0.5", 5, "no real number"),
        ("a = -2; b = 2; a**b", 17, "exponent that may change"),
        ("0**-1", 2, "no such power"),
        ("x = 0; x**0.5", 9, "no derivative there"),
        ("exp(710)", 1, "too large"),
        ("10**400", 3, "too large"),
        ("1e200 * 1e200", 7, "too large"),
        ("1e400", 1, "too large"),
        ("x = 1e-160; 1 / (x * x)", 15, "too large"),
        ("a = 1e-200; (1 / a) * 1e200 * 0", 16, "too large"),
        ("a" * 17, 1, "name is too long"),
        ("(" * (MAX_DEPTH + 1) + "1" + ")" * (MAX_DEPTH + 1), MAX_DEPTH + 1, "too deep"),
        ("-" * MAX_DEPTH + "1", MAX_DEPTH + 1, "too deep"),
        ("+".join("1" * 60), 100, "graph is too large"),
        ("1" * 201, 201, "too long"),
        ("à", 1, "no meaning here"),
        ("x = 1; log(x) ** 0.5", 15, "no derivative there"),
        # Each derivative is finite, their product is not.
        ("a = 0; b = a * 1e200; c = b * 1e200", 5, "gradient here is too large"),
        ("2 \u00d7 3 \u00f7 0", 7, "divides by 0"),
    ],
)
def test_error_has_position_and_reason(text: str, position: int, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(text)
    assert (caught.value.position, words in caught.value.reason) == (position, True), str(caught.value)


def test_largest_texts_graphs_and_depths_are_accepted() -> None:
    assert evaluate(f"{'1':>{MAX_CHARACTERS}}").data == 1
    largest = "a=1;" + "-" * 10 + "a" + "+a" * 89
    assert len(topological(evaluate(largest))) == MAX_NODES
    with pytest.raises(ExpressionError, match="graph is too large"):
        evaluate(largest.replace("-a", "--a"))
    deepest = MAX_DEPTH - 1
    assert evaluate("(" * deepest + "1" + ")" * deepest).data == 1


def test_repeated_name_is_one_node_and_literal_exponent_is_none() -> None:
    result = evaluate("a = -3; d = a * a + a ** -2 - 3")
    order = topological(result)
    assert [value.operation for value in order] == ["", "*", "**-2", "+", "", "-"]
    assert (order[0].label, order[0].data, result.label) == ("a", -3.0, "d")
    assert order[0].grad == pytest.approx(2 * -3 - 2 * (-3) ** -3)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("(-8)**0.5", "a negative number raised to a whole number written out, such as 2 or -3"),
        ("a = 2; (-8)**a", "a negative number raised to a whole number written out, such as 2 or -3"),
        ("0**0.5", "0 raised to 1 or more, or to 0 written out"),
        ("0**-1", "0 raised to 1 or more, or to 0 written out"),
        ("a = 0; 0**a", "0 raised to 1 or more, or to 0 written out"),
    ],
)
def test_refused_power_error_names_the_allowed_exponents(text: str, allowed: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(text)
    assert caught.value.allowed == allowed


@pytest.mark.parametrize(
    ("text", "value"),
    [("(-8)**2", 64), ("(-8)**-3", -1 / 512), ("0**0", 1), ("0**1", 0), ("0**1.5", 0), ("a = 1.5; 0**a", 0)],
)
def test_exponents_named_as_allowed_are_accepted(text: str, value: float) -> None:
    assert evaluate(text).data == pytest.approx(value)


def test_typographic_operators_mean_their_ascii_forms() -> None:
    assert evaluate("a = \u22123; a \u00d7 4 \u00f7 2 \u2013 1e\u22121 \u00b7 10").data == pytest.approx(-3 * 4 / 2 - 1)


def test_alias_of_a_value_is_added_to_its_label() -> None:
    result = evaluate("a = 1; b = a; c = a + b; d = c")
    assert [(value.label, value.data, value.grad) for value in topological(result)] == [("a, b", 1, 2), ("c, d", 2, 1)]


def test_backward_steps_sum_to_the_gradients_bit_for_bit() -> None:
    result = evaluate("a = 0.7; b = a * a; c = tanh(a + b) / b; d = c ** a - relu(b) * exp(-c)")
    grads: dict[Value, float] = {result: 1.0}
    seen: set[Value] = set()
    for step in backward_steps(result):
        assert step.value not in seen
        seen.add(step.value)
        assert grads[step.value] == step.value.grad
        assert [each.operand for each in step.additions] == list(step.value.operands)
        for each in step.additions:
            # A value hands on its gradient only once it is complete.
            assert each.operand not in seen
            assert each.gradient == each.derivative * step.value.grad
            grads[each.operand] = grads.get(each.operand, 0.0) + each.gradient
    assert {value: value.grad for value in topological(result)} == grads
    assert len(grads) > 10
