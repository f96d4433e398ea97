"""The scalar engine against torch's autograd and complex steps, and its perceptrons against linear layers."""

import ast
import math
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from models.autograd.engine import Value, topological
from models.autograd.nn import MLP, Activation, Layer, Neuron

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "models/autograd"
TOLERANCE = 1e-9
FUNCTIONS = ("exp", "log", "tanh", "relu")
UNARY = ("-a", *(f"{name}(a)" for name in FUNCTIONS), "a**2", "a**3", "a**0.5", "a**-1")
BINARY = ("a + b", "a - b", "a * b", "a / b", "a**b")
MIXED = ("2 + a", "a + 2", "3 - a", "a - 3", "5 * a", "a * 5", "2 / a", "a / 2", "2**a")

# A program: each step is an expression and says which of the numbers so far it takes.
Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(UNARY + BINARY * 2 + MIXED), st.integers(0, 30), st.integers(0, 30)),
    min_size=1,
    max_size=25,
)
LEAVES = st.lists(st.floats(-3, 3).map(lambda x: round(x, 3)), min_size=1, max_size=4)


def applied(step: str, a: Any, b: Any, function: Callable[[str, Any], Any]) -> Any:
    """The step's result by operators that Value, torch and Python's complex numbers all have."""
    return eval(step, {"a": a, "b": b} | {name: partial(function, name) for name in FUNCTIONS})


def by_value(leaves: list[float], steps: list[Step]) -> tuple[list[Value], Value, list[Step]]:
    """A program's leaves and result with Values, and its steps less those without a result or with a large one."""
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


def rerun(leaves: list[Any], taken: list[Step], library: Any) -> Any:
    """The result of the same program with torch's or complex numbers."""
    numbers = list(leaves)
    for name, i, j in taken:
        try:
            numbers.append(applied(name, numbers[i], numbers[j], lambda call, x: getattr(library, call)(x)))
        except ZeroDivisionError:
            # 0 to a complex power. The result needs it nowhere, or it is none either: then the comparison fails.
            numbers.append(complex("nan"))
    return numbers[-1]


def twins_of(leaves: list[float]) -> list[torch.Tensor]:
    """The leaves as torch's numbers."""
    return [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in leaves]


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


@settings(max_examples=1000)
@given(LEAVES, STEPS)
def test_gradients_of_random_programs_equal_torch(leaves: list[float], steps: list[Step]) -> None:
    """Within 1e-9 of the terms that a gradient is the sum of, since both engines round them."""
    inputs, result, taken = by_value(leaves, steps)
    assume(taken)
    scale = largest_path(result)
    assume(scale < 1e12)
    result.backward()
    twins = twins_of(leaves)
    expected = rerun(twins, taken, torch)
    expected.backward()
    assert close(result.data, expected.item())
    for ours, theirs in zip(inputs, twins, strict=True):
        assert close(ours.grad, 0.0 if theirs.grad is None else theirs.grad.item(), scale)


SMOOTH = [step for step in UNARY + BINARY + MIXED if step != "relu(a)"]
# Logarithms, roots and powers of what is not near 0 or below it, where complex numbers take the same branch.
POSITIVE = st.lists(st.floats(0.4, 1.6), min_size=2, max_size=3)
GENTLE = st.lists(st.tuples(st.sampled_from(SMOOTH), st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=12)


@settings(max_examples=300)
@given(POSITIVE, GENTLE)
def test_gradients_equal_the_complex_step(leaves: list[float], steps: list[Step]) -> None:
    """Im f(x + ih) / h (Squire and Trapp 1998): it subtracts nothing, so its only error is of the order h^2 = 1e-60."""
    inputs, result, taken = by_value(leaves, steps)
    scale = largest_path(result)
    # Nothing below 0 went into a power or a logarithm: complex numbers have a value there that real ones have not.
    assume(taken and scale < 1e12 and all(value.data > 0 for value in topological(result)))
    result.backward()
    h = 1e-30
    for k, value in enumerate(inputs):
        moved = [complex(x, h if i == k else 0.0) for i, x in enumerate(leaves)]
        assert close(value.grad, complex(rerun(moved, taken, np)).imag / h, scale)


def test_lecture_neuron_has_the_lecture_gradients() -> None:
    x1, x2, w1, w2 = Value(2, "x1"), Value(0, "x2"), Value(-3, "w1"), Value(1, "w2")
    o = (x1 * w1 + x2 * w2 + 6.881373587019543).tanh()
    o.backward()
    assert o.data == pytest.approx(math.sqrt(0.5))
    assert [v.grad for v in (x1, w1, x2, w2)] == pytest.approx([-1.5, 1.0, 0.5, 0.0])


def test_repeated_backward_accumulates_gradients_in_leaves_only() -> None:
    a, [twin] = Value(3), twins_of([3.0])
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
threading.stack_size(64 * 1024)
thread = threading.Thread(target=run)
thread.start()
thread.join()
print("done")
"""


def test_graph_of_100_000_operations_needs_no_recursion() -> None:
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
def test_undefined_operation_raises_the_error_of_python(make: Callable[[], object], error: type[Exception]) -> None:
    with pytest.raises(error):
        make()


@pytest.mark.parametrize(("base", "exponent"), [(0, 0), (0, 1), (0, 2), (-2, 0), (-2, 3), (-2, -1), (2.5, 0.5)])
def test_powers_of_zero_and_negative_bases_equal_torch(base: float, exponent: float) -> None:
    ours, [twin] = Value(base), twins_of([base])
    power, expected = ours**exponent, twin**exponent
    power.backward()
    expected.backward()
    assert power.data == expected.item()
    assert ours.grad == pytest.approx(twin.grad.item(), abs=1e-15)


def test_gradients_of_zero_to_a_value_equal_torch() -> None:
    ours, twins = (Value(0), Value(2)), twins_of([0.0, 2.0])
    (ours[0] ** ours[1]).backward()
    (twins[0] ** twins[1]).backward()
    assert [v.grad for v in ours] == [t.grad.item() for t in twins] == [0.0, 0.0]


def test_numpy_float_operand_gives_a_value() -> None:
    assert isinstance(np.float64(2) * Value(3), Value)
    assert (Value(3) - np.float64(2)).data == 1.0


def test_topological_order_equals_a_recursive_search() -> None:
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


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_perceptron_outputs_and_gradients_equal_torch(activation: Activation) -> None:
    network = MLP(3, [4, 2], Random(5), activation)
    X = [[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]]
    loss = Value(0)
    for x in X:
        first, second = network(x)
        loss = loss + first * first - 3 * second
    loss.backward()
    values = torch.tensor(X, dtype=torch.float64)
    twins = []
    for i, layer in enumerate(network.layers):
        w = torch.tensor([[v.data for v in n.w] for n in layer.neurons], dtype=torch.float64, requires_grad=True)
        b = torch.tensor([[n.b.data] for n in layer.neurons], dtype=torch.float64, requires_grad=True)
        twins.append((w, b))
        values = torch.nn.functional.linear(values, w, b[:, 0])
        if i == 0:
            values = getattr(torch, activation)(values)
    expected = (values[:, 0] ** 2 - 3 * values[:, 1]).sum()
    expected.backward()
    assert loss.data == pytest.approx(expected.item(), abs=1e-12)
    grads = [g for w, b in twins for g in torch.cat([w.grad, b.grad], dim=1).ravel().tolist()]
    assert [p.grad for p in network.parameters()] == pytest.approx(grads, abs=1e-12)
    assert any(grads)


def test_zero_grad_resets_every_gradient() -> None:
    network = MLP(2, [3, 1], Random(1))
    network([1, 2])[0].backward()
    once = [p.grad for p in network.parameters()]
    network.zero_grad()
    assert [p.grad for p in network.parameters()] == [0.0] * len(once)
    network([1, 2])[0].backward()
    assert [p.grad for p in network.parameters()] == once
    assert any(once)


def test_parameters_are_seeded_and_bounded_by_fan_in() -> None:
    network, same, other = (MLP(2, [8, 8, 1], Random(seed)) for seed in (1, 1, 2))
    assert len(network.parameters()) == (2 * 8 + 8) + (8 * 8 + 8) + (8 + 1)
    data = [p.data for p in network.parameters()]
    assert data == [p.data for p in same.parameters()] != [p.data for p in other.parameters()]
    assert len(set(map(id, network.parameters()))) == 105
    for layer, fan_in in zip(network.layers, (2, 8, 8), strict=True):
        weights = [w.data for n in layer.neurons for w in n.w]
        assert 0.5 * fan_in**-0.5 < max(map(abs, weights)) <= fan_in**-0.5
        assert all(n.b.data == 0 for n in layer.neurons)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Neuron(2, Random(1))([1, 2, 3]), "takes 2 inputs, not 3"),
        (lambda: Neuron(0, Random(1)), "one input or more"),
        (lambda: Layer(2, 0, Random(1)), "one neuron or more"),
        (lambda: MLP(2, [], Random(1)), "one layer or more"),
        (lambda: Neuron(2, Random(1), "sigmoid"), "tanh, relu or linear"),
    ],
)
def test_wrong_shape_or_activation_is_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def imports(path: Path) -> set[str]:
    """The modules that a file imports, by dotted name."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def test_autograd_imports_only_stdlib_and_is_not_imported() -> None:
    """Beside itself and the errors of `models`; nothing else in `models` imports it."""
    inside = sorted(FOLDER.glob("*.py"))
    assert len(inside) > 8
    for path in inside:
        for name in imports(path):
            known = name.split(".")[0] in sys.stdlib_module_names or name.startswith("models.autograd")
            assert known or name == "models.errors", (path, name)
    for path in (ROOT / "models").rglob("*.py"):
        if FOLDER not in path.parents:
            assert not any(name.startswith("models.autograd") for name in imports(path)), path
