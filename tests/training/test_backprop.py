"""The backward pass by hand: every rule against central differences and autograd, in double precision."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from models import ModelConfig
from models.networks import Network, build_model
from models.networks.layers import (
    BatchNorm1d,
    Embedding,
    FlattenConsecutive,
    Layer,
    LayerNorm,
    Linear,
    ReLU,
    Sequential,
    Tanh,
)
from training.backprop import backward, cross_entropy_backward, forward, layer_backward
from training.backprop_check import named_parameters
from training.backprop_race import set_precision

V = 7
MLP = ModelConfig(architecture="mlp", block_size=3, n_embd=4, n_hidden=6)
NETWORKS = {
    "mlp": MLP,
    "deep relu": MLP.model_copy(update={"n_layers": 3, "activation": "relu"}),
    "wavenet": ModelConfig(architecture="wavenet", block_size=8, n_embd=3, n_hidden=5),
}
LAYERS: dict[str, tuple[Callable[[torch.Generator], Layer], tuple[int, ...]]] = {
    "linear": (lambda g: Linear(4, 3, g), (6, 4)),
    "linear without bias": (lambda g: Linear(4, 3, g, bias=False), (6, 4)),
    "linear over positions": (lambda g: Linear(4, 3, g), (2, 3, 4)),
    "batch norm": (lambda g: BatchNorm1d(4), (6, 4)),
    "batch norm over positions": (lambda g: BatchNorm1d(4), (2, 3, 4)),
    "tanh": (lambda g: Tanh(), (5, 4)),
    "relu": (lambda g: ReLU(), (5, 4)),
    "join of all": (lambda g: FlattenConsecutive(4), (3, 4, 2)),
    "join of pairs": (lambda g: FlattenConsecutive(2), (3, 4, 2)),
}


def random(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def differences(function: Callable[[], Tensor], x: Tensor, h: float = 1e-6) -> Tensor:
    """Central differences of a number with respect to each element of `x`, which the function reads."""
    slopes = torch.zeros_like(x)
    flat, found = x.detach().view(-1), slopes.view(-1)
    with torch.no_grad():
        for i in range(len(flat)):
            before = flat[i].item()
            flat[i] = before + h
            above = function()
            flat[i] = before - h
            below = function()
            flat[i] = before
            found[i] = (above - below) / (2 * h)
    return slopes


def lively(layer: Layer, generator: torch.Generator) -> None:
    """Give every parameter of the layer random numbers in double precision: gamma 1 and beta 0 would hide mistakes."""
    for key, array in layer.arrays().items():
        values = random(generator, *array.shape) if array.requires_grad else array.double()
        setattr(layer, key, values.requires_grad_(array.requires_grad))


@pytest.mark.parametrize("name", list(LAYERS))
def test_each_rule_has_the_slopes_that_are_measured(name: str) -> None:
    """dx and the gradient of each parameter are what central differences of a weighted sum of the outputs give."""
    make, shape = LAYERS[name]
    generator = torch.Generator().manual_seed(1)
    layer = make(generator)
    lively(layer, generator)
    x = random(generator, *shape)
    y = layer(x).detach()
    dy = random(generator, *y.shape)
    dx, own = layer_backward(layer, x, y, dy)
    assert dx is not None
    assert torch.allclose(dx, differences(lambda: (layer(x) * dy).sum(), x), rtol=1e-6, atol=1e-8)
    learned = {key: array for key, array in layer.arrays().items() if array.requires_grad}
    assert set(own) == set(learned)
    for key, array in learned.items():
        measured = differences(lambda: (layer(x) * dy).sum(), array)
        assert torch.allclose(own[key], measured, rtol=1e-6, atol=1e-8), key


def test_a_row_read_twice_gets_both_gradients() -> None:
    """The embedding's rule adds up where a character occurs again, and leaves nothing where none does."""
    table = Embedding(4, 2, torch.Generator())
    ids = torch.tensor([[1, 3], [1, 1]])
    dy = torch.arange(8.0).view(2, 2, 2)
    dx, own = layer_backward(table, ids, table(ids), dy)
    assert dx is None
    assert own["weight"].tolist() == [[0, 0], [0 + 4 + 6, 1 + 5 + 7], [0, 0], [2, 3]]


def test_the_first_gradient_is_the_measured_one() -> None:
    """dlogits in one expression is what central differences of torch's own cross-entropy give; each row adds to 0."""
    generator = torch.Generator().manual_seed(2)
    logits, targets = 3 * random(generator, 5, V), torch.tensor([0, 6, 3, 3, 1])
    dlogits = cross_entropy_backward(logits, targets)
    measured = differences(lambda: torch.nn.functional.cross_entropy(logits, targets), logits)
    assert torch.allclose(dlogits, measured, rtol=1e-6, atol=1e-9)
    assert torch.allclose(dlogits.sum(1), torch.zeros(5, dtype=torch.float64), atol=1e-15)


def network_of(config: ModelConfig) -> Network:
    """An untrained network in double precision whose gammas, betas and biases are not at their start."""
    generator = torch.Generator().manual_seed(3)
    network = build_model(config, V, generator)
    set_precision(network, torch.float64)
    for parameter in network.parameters():
        parameter.detach().add_(0.3 * random(generator, *parameter.shape))
    return network


@pytest.mark.parametrize("name", list(NETWORKS))
def test_the_whole_pass_is_autograds(name: str) -> None:
    """Every output's and parameter's gradient is autograd's to 1e-12 for mlps, tanh and relu, and for the wavenet."""
    network, generator = network_of(NETWORKS[name]), torch.Generator().manual_seed(4)
    X = torch.randint(0, V, (9, network.config.block_size), generator=generator)
    targets = torch.randint(0, V, (9,), generator=generator)
    outputs = forward(network.layers, X)
    *_, logits = outputs.values()
    parameters = named_parameters(network)
    loss = torch.nn.functional.cross_entropy(logits, targets)
    inputs = {**outputs, **parameters}
    expected = dict(zip(inputs, torch.autograd.grad(loss, list(inputs.values())), strict=True))
    found = backward(network.layers, X, outputs, targets)
    assert list(found.outputs) == list(outputs)
    assert set(found.parameters) == set(parameters)
    for key, gradient in {**found.outputs, **found.parameters}.items():
        assert torch.allclose(gradient, expected[key], rtol=1e-11, atol=1e-13), key
        assert not gradient.requires_grad


def test_a_layer_without_a_rule_is_named() -> None:
    """A network with a layer that nobody wrote a rule for is refused, and so is one whose embedding is not first."""
    generator = torch.Generator().manual_seed(5)
    X, targets = torch.tensor([[1, 2], [3, 4]]), torch.tensor([0, 1])
    for last, words in (("norm", "no rule by hand for a LayerNorm"),):
        named: list[tuple[str, Layer]] = [("embedding", Embedding(V, 3, generator)), ("join", FlattenConsecutive(2))]
        layers = Sequential([*named, (last, LayerNorm(6))])
        with pytest.raises(TypeError, match=words):
            backward(layers, X, forward(layers, X), targets)
    tables: list[tuple[str, Layer]] = [("one", Embedding(V, V, generator)), ("two", FlattenConsecutive(2))]
    layers = Sequential([("zero", Tanh()), *tables])
    outputs = {"zero": X, "one": tables[0][1](X), "two": tables[1][1](tables[0][1](X))}
    with pytest.raises(TypeError, match="zero hands its gradient"):
        backward(layers, X, outputs, targets)
