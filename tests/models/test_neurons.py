"""Neurons and perceptrons of scalar values against torch's linear layers, and the folder's place in the house."""

import ast
import sys
from pathlib import Path
from random import Random

import pytest
import torch

from models.autograd.engine import Value
from models.autograd.nn import MLP, Activation, Layer, Neuron

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "models/autograd"


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_perceptron_is_torchs(activation: Activation) -> None:
    """Outputs and the gradients of all parameters are those of torch's linear layers with the same numbers in them."""
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
        b = torch.tensor([n.b.data for n in layer.neurons], dtype=torch.float64, requires_grad=True)
        twins.append((w, b))
        values = torch.nn.functional.linear(values, w, b)
        if i == 0:
            values = getattr(torch, activation)(values)
    expected = (values[:, 0] ** 2 - 3 * values[:, 1]).sum()
    expected.backward()
    assert loss.data == pytest.approx(expected.item(), abs=1e-12)
    grads = [
        g for w, b in twins for row, bias in zip(w.grad.tolist(), b.grad.tolist(), strict=True) for g in (*row, bias)
    ]
    assert [p.grad for p in network.parameters()] == pytest.approx(grads, abs=1e-12)
    assert any(grads)


def test_gradients_are_zeroed() -> None:
    """zero_grad sets every parameter's gradient to 0, so that the next pass starts anew."""
    network = MLP(2, [3, 1], Random(1))
    network([1, 2])[0].backward()
    once = [p.grad for p in network.parameters()]
    network.zero_grad()
    assert [p.grad for p in network.parameters()] == [0.0] * len(once)
    network([1, 2])[0].backward()
    assert [p.grad for p in network.parameters()] == once
    assert any(once)


def test_parameters_are_counted_drawn_by_seed_and_bounded() -> None:
    """There are fan_in x fan_out weights and fan_out biases a layer; the generator alone decides them; none is beyond
    1/sqrt(fan_in).
    """
    network, same, other = (MLP(2, [8, 8, 1], Random(seed)) for seed in (1, 1, 2))
    assert len(network.parameters()) == (2 * 8 + 8) + (8 * 8 + 8) + (8 + 1)
    data = [p.data for p in network.parameters()]
    assert data == [p.data for p in same.parameters()] != [p.data for p in other.parameters()]
    assert len(set(map(id, network.parameters()))) == 105
    for layer, fan_in in zip(network.layers, (2, 8, 8), strict=True):
        weights = [w.data for n in layer.neurons for w in n.w]
        assert 0.5 * fan_in**-0.5 < max(map(abs, weights)) <= fan_in**-0.5
        assert all(n.b.data == 0 for n in layer.neurons)


def test_wrong_shapes_are_refused() -> None:
    """Another number of inputs, no neurons, no layers and an unknown activation are told in words."""
    with pytest.raises(ValueError, match="takes 2 inputs, not 3"):
        Neuron(2, Random(1))([1, 2, 3])
    with pytest.raises(ValueError, match="one input or more"):
        Neuron(0, Random(1))
    with pytest.raises(ValueError, match="one neuron or more"):
        Layer(2, 0, Random(1))
    with pytest.raises(ValueError, match="one layer or more"):
        MLP(2, [], Random(1))
    with pytest.raises(ValueError, match="tanh, relu or linear"):
        Neuron(2, Random(1), "sigmoid")  # type: ignore[arg-type]


def imports(path: Path) -> set[str]:
    """What a file imports, by dotted name."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def test_the_engine_stands_alone() -> None:
    """The folder imports the standard library, itself and the errors of the room; nothing else in `models` imports
    it.
    """
    inside = sorted(FOLDER.glob("*.py"))
    assert len(inside) > 8
    for path in inside:
        for name in imports(path):
            known = name.split(".")[0] in sys.stdlib_module_names or name.startswith("models.autograd")
            assert known or name == "models.errors", (path, name)
    for path in (ROOT / "models").rglob("*.py"):
        if FOLDER not in path.parents:
            assert not any(name.startswith("models.autograd") for name in imports(path)), path
