"""The scalar engine against torch's autograd in float64 and against difference quotients."""

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models.autograd.engine import Value, topological

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-9
UNARY = ("neg", "exp", "log", "tanh", "relu", "square", "cube", "root", "inverse")
BINARY = ("+", "-", "*", "/", "**")
MIXED = ("2+", "+2", "3-", "-3", "5*", "*5", "2/", "/2", "2**")

# A program: each step names an operation and which of the numbers so far it takes.
Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(UNARY + BINARY * 2 + MIXED), st.integers(0, 30), st.integers(0, 30)),
    min_size=1,
    max_size=25,
)
LEAVES = st.lists(st.floats(-3, 3).map(lambda x: round(x, 3)), min_size=1, max_size=4)


def applied(step: str, a, b, maths):  # type: ignore[no-untyped-def]
    """The step's result by operators that Value, torch and Python's complex numbers all have."""
    operations: dict[str, Callable[[], object]] = {
        "neg": lambda: -a,
        "exp": lambda: maths("exp", a),
        "log": lambda: maths("log", a),
        "tanh": lambda: maths("tanh", a),
        "relu": lambda: maths("relu", a),
        "square": lambda: a**2,
        "cube": lambda: a**3,
        "root": lambda: a**0.5,
        "inverse": lambda: a**-1,
        "+": lambda: a + b,
        "-": lambda: a - b,
        "*": lambda: a * b,
        "/": lambda: a / b,
        "**": lambda: a**b,
        "2+": lambda: 2 + a,
        "+2": lambda: a + 2,
        "3-": lambda: 3 - a,
        "-3": lambda: a - 3,
        "5*": lambda: 5 * a,
        "*5": lambda: a * 5,
        "2/": lambda: 2 / a,
        "/2": lambda: a / 2,
        "2**": lambda: 2**a,
    }
    return operations[step]()


def by_value(leaves: list[float], steps: list[Step]) -> tuple[list[Value], Value, list[Step]]:
    """Run a program with Values; a step that has no result, or a large one, is left out. Returns the rest, too."""
    inputs = [Value(x) for x in leaves]
    numbers, taken = list(inputs), []
    for name, i, j in steps:
        i, j = i % len(numbers), j % len(numbers)
        try:
            made = applied(name, numbers[i], numbers[j], lambda call, x: getattr(x, call)())
        except (ArithmeticError, ValueError):
            continue
        if all(abs(x) < 1e4 for x in (made.data, *made.derivatives)):
            numbers.append(made)
            taken.append((name, i, j))
    return inputs, numbers[-1], taken


def by_torch(leaves: list[float], taken: list[Step]) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Run the same program with torch in float64."""
    inputs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in leaves]
    numbers = list(inputs)
    for name, i, j in taken:
        numbers.append(applied(name, numbers[i], numbers[j], lambda call, x: getattr(torch, call)(x)))
    return inputs, numbers[-1]


def close(ours: float, theirs: float, scale: float = 1.0) -> bool:
    """Within 1e-9 of the larger of 1, the number itself, and `scale`."""
    return abs(ours - theirs) <= TOLERANCE * max(1.0, abs(theirs), scale)


def largest_path(root: Value) -> float:
    """What rounding is measured by: the largest sum of the sizes of all that was added to one gradient."""
    sizes = dict.fromkeys(topological(root), 0.0)
    sizes[root] = 1.0
    for value in reversed(topological(root)):
        for operand, derivative in zip(value.operands, value.derivatives, strict=True):
            sizes[operand] += abs(derivative) * sizes[value]
    return max(sizes.values())


@settings(max_examples=1000, deadline=None)
@given(LEAVES, STEPS)
def test_gradients_are_torchs(leaves: list[float], steps: list[Step]) -> None:
    """A thousand random programs give torch's value and gradients within 1e-9: relative to the terms that a gradient is
    the sum of where these are large, since both engines round them.
    """
    inputs, result, taken = by_value(leaves, steps)
    assume(taken)
    scale = largest_path(result)
    assume(scale < 1e12)
    result.backward()
    twins, expected = by_torch(leaves, taken)
    expected.backward()
    assert close(result.data, expected.item())
    for ours, theirs in zip(inputs, twins, strict=True):
        assert close(ours.grad, 0.0 if theirs.grad is None else theirs.grad.item(), scale)


SMOOTH = [step for step in UNARY + BINARY + MIXED if step != "relu"]
# Logarithms, roots and powers of what is not near 0 or below it, where complex numbers take the same branch.
POSITIVE = st.lists(st.floats(0.4, 1.6), min_size=2, max_size=3)
GENTLE = st.lists(st.tuples(st.sampled_from(SMOOTH), st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=12)


def by_complex(leaves: list[complex], taken: list[Step]) -> complex:
    """Run a program with Python's complex numbers."""
    numbers = list(leaves)
    for name, i, j in taken:
        try:
            numbers.append(applied(name, numbers[i], numbers[j], lambda call, x: complex(getattr(np, call)(x))))
        except ZeroDivisionError:
            # 0 to a complex power. The result needs it nowhere, or it is none either: then the comparison fails.
            numbers.append(complex("nan"))
    return numbers[-1]


@settings(max_examples=300, deadline=None)
@given(POSITIVE, GENTLE)
def test_gradients_are_difference_quotients(leaves: list[float], steps: list[Step]) -> None:
    """Gradients are Im f(x + ih) / h within 1e-9: the complex step (Squire and Trapp 1998), a difference quotient that
    subtracts nothing and so has no rounding of its own; its error is of the order h^2 = 1e-60.
    """
    inputs, result, taken = by_value(leaves, steps)
    scale = largest_path(result)
    # Nothing below 0 went into a power or a logarithm: complex numbers have a value there that real ones have not.
    assume(taken and scale < 1e12 and all(value.data > 0 for value in topological(result)))
    result.backward()
    h = 1e-30
    for k, value in enumerate(inputs):
        moved = [complex(x, h if i == k else 0.0) for i, x in enumerate(leaves)]
        assert close(value.grad, by_complex(moved, taken).imag / h, scale)


@pytest.mark.parametrize(
    "make",
    [
        lambda a, b: a * b + (a / b).tanh(),
        lambda a, b: (a**2 + b**2).log() * a.exp(),
        lambda a, b: (a - 3 * b).relu() + (b - a).relu() ** 2,
        lambda a, b: (a * a) ** b / (1 + (-a).exp()),
    ],
)
def test_gradients_are_central_differences(make: Callable[[Value, Value], Value]) -> None:
    """Where a function has a kink or a power of values, gradients are central differences within their own error: h^2
    times the third derivative and what rounding leaves, 1e-16 / h; for h = 1e-5 some 1e-9 of the value, so 1e-8 here.
    """
    for x, y in ((0.7, 1.9), (-1.3, 0.4), (2.5, -0.8)):
        a, b = Value(x), Value(y)
        make(a, b).backward()
        h = 1e-5
        by_a = (make(Value(x + h), Value(y)).data - make(Value(x - h), Value(y)).data) / (2 * h)
        by_b = (make(Value(x), Value(y + h)).data - make(Value(x), Value(y - h)).data) / (2 * h)
        assert a.grad == pytest.approx(by_a, rel=1e-8, abs=1e-8)
        assert b.grad == pytest.approx(by_b, rel=1e-8, abs=1e-8)


def test_the_lectures_neuron() -> None:
    """The neuron of the lecture has the lecture's output and gradients: tanh is chosen so that they are halves."""
    x1, x2, w1, w2 = Value(2, "x1"), Value(0, "x2"), Value(-3, "w1"), Value(1, "w2")
    o = (x1 * w1 + x2 * w2 + 6.881373587019543).tanh()
    o.backward()
    assert o.data == pytest.approx(math.sqrt(0.5))
    assert [v.grad for v in (x1, w1, x2, w2)] == pytest.approx([-1.5, 1.0, 0.5, 0.0])


def test_backward_again_adds_to_leaves_as_torch_does() -> None:
    """Leaves gather gradients over several passes, what lies between has that of the last one."""
    a, twin = Value(3), torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    b, between = a * a, twin * twin
    c, end = b * a, between * twin
    for _ in range(2):
        c.backward()
        end.backward(retain_graph=True)
    b.backward()
    between.backward()
    assert a.grad == twin.grad.item() == 2 * 27 + 6
    assert b.grad == 1.0


DEEP = """
import threading
from models.autograd.engine import Value
def run():
    first = last = Value(1)
    for i in range(100_000):
        last = last + first if i % 2 else last * 1.0
    last.backward()
    assert first.grad == 50_001, first.grad
    # The first of its kind to be freed holds all the others.
    del last
    print("freed")
# As small a stack as there may be: what works here hangs on no stack.
threading.stack_size(64 * 1024)
thread = threading.Thread(target=run)
thread.start()
thread.join()
print("done")
"""


def test_a_chain_of_a_hundred_thousand_operations_works() -> None:
    """It is built, differentiated and freed in a thread with a stack of 64 KiB: nothing in it is recursive."""
    done = subprocess.run([sys.executable, "-c", DEEP], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "freed\ndone\n"), done.stderr


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Value(1) / 0, ZeroDivisionError),
        (lambda: 1 / Value(0), ZeroDivisionError),
        (lambda: Value(0) ** -1, ZeroDivisionError),
        (lambda: Value(0) ** 0.5, ZeroDivisionError),
        (lambda: Value(0) ** Value(0.5), ZeroDivisionError),
        (lambda: Value(-2) ** 0.5, ValueError),
        (lambda: Value(-2) ** Value(2), ValueError),
        (lambda: Value(0) ** Value(0), ValueError),
        (lambda: Value(0).log(), ValueError),
        (lambda: Value(-1).log(), ValueError),
        (lambda: Value(1000).exp(), OverflowError),
        (lambda: Value(1e200) ** 2, OverflowError),
        (lambda: Value(1) + "1", TypeError),
        (lambda: [1] * Value(1), TypeError),
    ],
)
def test_what_has_no_value_or_no_derivative_is_refused(make: Callable[[], object], error: type[Exception]) -> None:
    """Outside of what it is defined for an operation raises Python's own error, and never gives a complex number."""
    with pytest.raises(error):
        make()


@pytest.mark.parametrize(("base", "exponent"), [(0, 0), (0, 1), (0, 2), (-2, 0), (-2, 3), (-2, -1), (2.5, 0.5)])
def test_powers_at_their_edges_are_torchs(base: float, exponent: float) -> None:
    """Powers by a number have torch's value and derivative for 0, for negative bases and for the exponent 0."""
    ours, twin = Value(base), torch.tensor(base, dtype=torch.float64, requires_grad=True)
    power, expected = ours**exponent, twin**exponent
    power.backward()
    expected.backward()
    assert power.data == expected.item()
    assert ours.grad == pytest.approx(twin.grad.item(), abs=1e-15)


def test_zero_to_a_value_is_torchs() -> None:
    """0 to a power above 0 does not change with the exponent."""
    ours, twins = (Value(0), Value(2)), [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (0.0, 2.0)]
    (ours[0] ** ours[1]).backward()
    (twins[0] ** twins[1]).backward()
    assert [v.grad for v in ours] == [t.grad.item() for t in twins] == [0.0, 0.0]


def test_numpys_numbers_take_part() -> None:
    """A float64 of NumPy's on either side gives a Value, not an array of objects."""
    assert isinstance(np.float64(2) * Value(3), Value)
    assert (Value(3) - np.float64(2)).data == 1.0


def test_order_is_that_of_a_recursive_search() -> None:
    """Operands come before results, left before right, each once: the order that a recursive search leaves nodes in."""

    def recursive(value: Value, seen: list[Value]) -> list[Value]:
        for operand in value.operands:
            if operand not in seen:
                recursive(operand, seen)
        seen.append(value)
        return seen

    a, b = Value(1), Value(2)
    c = a * b
    d = (c + a) * (b - c * c)
    e = d + c + d
    assert topological(e) == recursive(e, [])
