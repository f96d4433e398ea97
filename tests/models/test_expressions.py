"""The language of the scalar engine: Python's precedence, errors in words at a place, and no text that breaks it."""

import ast
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from models.autograd.engine import Value, topological
from models.autograd.expression import MAX_CHARACTERS, MAX_DEPTH, MAX_NODES, evaluate
from models.autograd.walk import backward_steps
from models.errors import ExpressionError

FUNCTIONS: dict[str, Callable[[float], float]] = {
    "exp": math.exp,
    "log": math.log,
    "tanh": math.tanh,
    "relu": lambda x: max(x, 0.0),
}


def reference(text: str) -> float:
    """The last statement's value as Python's own grammar reads the text, walked as a tree: nothing is run."""
    names: dict[str, float] = {}

    def walk(node: Any) -> float:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name):
                return names[name]
            case ast.UnaryOp(op=ast.USub(), operand=inside):
                return -walk(inside)
            case ast.Call(func=ast.Name(id=name), args=[inside]):
                return FUNCTIONS[name](walk(inside))
            case ast.BinOp(left=left, op=operator, right=right):
                a, b = walk(left), walk(right)
                match operator:
                    case ast.Add():
                        return a + b
                    case ast.Sub():
                        return a - b
                    case ast.Mult():
                        return a * b
                    case ast.Div():
                        return a / b
                    case ast.Pow():
                        power = a**b
                        if isinstance(power, complex):
                            raise ValueError
                        return power
        raise AssertionError(ast.dump(node))

    result = math.nan
    for statement in ast.parse(text).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                names[name] = result = walk(value)
            case ast.Expr(value=value):
                result = walk(value)
            case _:
                raise AssertionError(text)
    return result


def tried(text: str) -> Value | ExpressionError:
    """What becomes of a text: its value, or why there is none."""
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


@settings(max_examples=500, deadline=None)
@given(FORMULAS)
@example("-3**2")
@example("2**-1*3")
@example("2**3**2")
@example("-2**-2")
@example("a--b")
@example("1-2-3")
@example("8/4/2")
def test_it_computes_what_python_reads(formula: str) -> None:
    """Whatever is computed has the value that Python's own grammar gives the text; what is refused is refused for its
    numbers alone, since its grammar is right.
    """
    text = f"a = 2; b = -1.5; d = {formula}"
    assume(len(text) <= MAX_CHARACTERS)
    ours = tried(text)
    if isinstance(ours, ExpressionError):
        assert any(word in ours.reason for word in ("divide", "large", "logarithm", "power", "derivative", "deep"))
        return
    assert ours.data == pytest.approx(reference(text), rel=1e-12)


PIECES = st.sampled_from(
    [
        *"0123456789.eE+-*/()=;ab_ \n^,<é漢\u0000\U0001f600\u0661",
        "**",
        "exp(",
        "log(",
        "tanh",
        "relu(",
        "1e308",
        "1e-308",
    ]
)


@settings(max_examples=1500, deadline=None)
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
def test_no_text_breaks_it(text: str) -> None:
    """Every text is computed with finite numbers alone, or refused with a place in it and words that do not repeat
    it.
    """
    result = tried(text)
    if isinstance(result, ExpressionError):
        error = result
        assert 1 <= error.position <= max(1, min(len(text), MAX_CHARACTERS)) + 1
        assert error.field == "expression"
        assert error.reason
        assert error.allowed
        # The same words whatever the text was: nothing of it is in them.
        assert (error.reason + error.allowed).isascii()
        assert repr(text) in str(error)
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
    ],
)
def test_what_is_wrong_is_told_where_it_is(text: str, position: int, words: str) -> None:
    """An error says in words what is wrong, and at which character."""
    with pytest.raises(ExpressionError) as caught:
        evaluate(text)
    assert (caught.value.position, words in caught.value.reason) == (position, True), str(caught.value)


def test_a_gradient_may_be_too_large_though_the_value_is_not() -> None:
    """Each derivative is finite, their product is not: told at the value that would have it."""
    with pytest.raises(ExpressionError, match="gradient here is too large") as caught:
        evaluate("a = 0; b = a * 1e200; c = b * 1e200")
    assert caught.value.position == 5


def test_functions_with_like_names_are_told() -> None:
    """A function that is nearly one of ours is named."""
    with pytest.raises(ExpressionError) as caught:
        evaluate("tahn(1)")
    assert caught.value.nearest == ("tanh",)


def test_limits_are_met_exactly() -> None:
    """200 characters, 100 values and 40 parentheses are taken."""
    assert evaluate(f"{'1':>{MAX_CHARACTERS}}").data == 1
    largest = "a=1;" + "-" * 10 + "a" + "+a" * 89
    assert len(topological(evaluate(largest))) == MAX_NODES
    with pytest.raises(ExpressionError, match="graph is too large"):
        evaluate(largest.replace("-a", "--a"))
    deepest = MAX_DEPTH - 1
    assert evaluate("(" * deepest + "1" + ")" * deepest).data == 1


def test_names_and_numbers_are_nodes_once() -> None:
    """A name is the same value wherever it stands, a signed number is a leaf, and an exponent that is written out is a
    part of its operation.
    """
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
def test_a_refused_power_tells_which_are_taken(text: str, allowed: str) -> None:
    """What is allowed is told for the base that was given; the next test holds it to its word."""
    with pytest.raises(ExpressionError) as caught:
        evaluate(text)
    assert caught.value.allowed == allowed


@pytest.mark.parametrize(
    ("text", "value"),
    [("(-8)**2", 64), ("(-8)**-3", -1 / 512), ("0**0", 1), ("0**1", 0), ("0**1.5", 0), ("a = 1.5; 0**a", 0)],
)
def test_powers_that_are_told_as_allowed_are_taken(text: str, value: float) -> None:
    """Whole numbers that are written out for a base below 0; 1, more, and a 0 that is written out for 0."""
    assert evaluate(text).data == pytest.approx(value)


def test_typeset_signs_are_read_as_what_they_mean() -> None:
    """A typographer's minus, times and division signs are - * /, also in an exponent, and a place stays its place."""
    assert evaluate("a = \u22123; a \u00d7 4 \u00f7 2 \u2013 1e\u22121 \u00b7 10").data == pytest.approx(-3 * 4 / 2 - 1)
    with pytest.raises(ExpressionError, match="divides by 0") as caught:
        evaluate("2 \u00d7 3 \u00f7 0")
    assert caught.value.position == 7


def test_a_value_has_all_its_names() -> None:
    """What is given a second name is the same value still, and its label has both."""
    result = evaluate("a = 1; b = a; c = a + b; d = c")
    assert [(value.label, value.data, value.grad) for value in topological(result)] == [("a, b", 1, 2), ("c, d", 2, 1)]


def test_steps_are_the_engines_own() -> None:
    """To add up what the steps say, in their order, gives every gradient to the last bit."""
    result = evaluate("a = 0.7; b = a * a; c = tanh(a + b) / b; d = c ** a - relu(b) * exp(-c)")
    grads: dict[Value, float] = {result: 1.0}
    seen: set[Value] = set()
    for step in backward_steps(result):
        assert step.value not in seen
        seen.add(step.value)
        assert grads[step.value] == step.value.grad
        assert [each.operand for each in step.additions] == list(step.value.operands)
        for each in step.additions:
            # Who hands on has all that it will ever get.
            assert each.operand not in seen
            assert each.gradient == each.derivative * step.value.grad
            grads[each.operand] = grads.get(each.operand, 0.0) + each.gradient
    assert {value: value.grad for value in topological(result)} == grads
    assert len(grads) > 10
