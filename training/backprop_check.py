"""The backward pass by hand beside autograd's: for every tensor of a batch, whether they are the same, and how far
apart at most. Nothing is printed here, nothing learns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor

from models.networks import Network
from models.networks.layers import BatchNorm1d
from training.backprop import Gradients, backward, forward
from training.backprop_steps import (
    batch_norm_long_backward,
    batch_norm_steps,
    cross_entropy_long_backward,
    cross_entropy_steps,
)
from training.dataset import Windows
from training.loss import cross_entropy

# What rounding may do to a sum of some hundred products: relative, and absolute where the sum is next to nothing.
TOLERANCES = {torch.float64: (1e-9, 1e-13), torch.float32: (1e-4, 1e-6)}
Named = Mapping[str, Tensor]


@dataclass(frozen=True)
class Row:
    """One gradient, found twice. `exact`: to the bit; `close`: within rounding; `apart`: the largest difference."""

    part: str
    name: str
    shape: tuple[int, ...]
    exact: bool
    close: bool
    apart: float


def check(network: Network, batch: Windows) -> list[Row]:
    """Return a row for each gradient of one batch. The network stays as it was, in training mode.

    Raises `TypeError` for a network with a layer that has no rule by hand.
    """
    kept = {name: array.clone() for name, array in network.state_dict().items()}
    network.train()
    outputs = forward(network.layers, batch.X)
    *_, logits = outputs.values()
    parameters = named_parameters(network)
    loss = cross_entropy(logits, batch.targets).mean()
    found = torch.autograd.grad(loss, [*outputs.values(), *parameters.values()])
    network.load_state_dict(kept)  # running statistics moved
    values = {name: output.detach() for name, output in outputs.items()}
    by_hand = backward(network.layers, batch.X, values, batch.targets)
    return [
        *rows("outputs of layers", by_hand.outputs, dict(zip(outputs, found[: len(outputs)], strict=True))),
        *rows("parameters", by_hand.parameters, dict(zip(parameters, found[len(outputs) :], strict=True))),
        *_cross_entropy(logits.detach(), batch.targets, by_hand),
        *_batch_norms(network, values, by_hand),
    ]


def named_parameters(network: Network) -> dict[str, Tensor]:
    """Return what is learned as "layer.array", in the order of `Network.parameters`."""
    layers = network.layers.layers.items()
    return {f"{name}.{key}": a for name, layer in layers for key, a in layer.arrays().items() if a.requires_grad}


def rows(part: str, by_hand: Named, by_other: Named) -> list[Row]:
    """Return a row for each gradient, in the order of the second. Raises `KeyError` for one that is not in both."""
    if foreign := set(by_hand) - set(by_other):
        raise KeyError(f"Gradients of nothing: {', '.join(sorted(foreign))}")
    return [_row(part, name, by_hand[name], other) for name, other in by_other.items()]


def _row(part: str, name: str, mine: Tensor, other: Tensor) -> Row:
    rtol, atol = TOLERANCES[other.dtype]
    if mine.shape != other.shape:
        return Row(part, name, tuple(mine.shape), False, False, float("inf"))
    is_close = torch.allclose(mine, other, rtol, atol)
    return Row(part, name, tuple(other.shape), torch.equal(mine, other), is_close, float((mine - other).abs().max()))


def _cross_entropy(logits: Tensor, targets: Tensor, by_hand: Gradients) -> list[Row]:
    """Compare the long way with autograd, and the one expression with the long way."""
    logits = logits.clone().requires_grad_()
    steps = cross_entropy_steps(logits, targets)
    loss = steps.pop("loss")
    inputs = {**steps, "logits": logits}
    autograd = dict(zip(inputs, torch.autograd.grad(loss, list(inputs.values())), strict=True))
    long = cross_entropy_long_backward(steps, logits.detach(), targets)
    *_, dlogits = by_hand.outputs.values()
    return [
        *rows("cross-entropy, step by step", long, autograd),
        *rows("cross-entropy, both ways", {"logits": dlogits}, {"logits": long["logits"]}),
    ]


def _batch_norms(network: Network, outputs: Named, by_hand: Gradients) -> list[Row]:
    """Compare the long way with autograd, and the one expression with the long way, at the first batch norm."""
    names, layers = list(outputs), network.layers.layers
    norms = [(before, name) for before, name in pairwise(names) if isinstance(layers[name], BatchNorm1d)]
    return [row for before, name in norms[:1] for row in _batch_norm(network, before, name, outputs, by_hand)]


def _batch_norm(network: Network, before: str, name: str, outputs: Named, by_hand: Gradients) -> list[Row]:
    layer = cast(BatchNorm1d, network.layers.layers[name])
    x = outputs[before].flatten(0, -2).requires_grad_()
    dy = by_hand.outputs[name].flatten(0, -2)
    steps = batch_norm_steps(layer, x)
    y = steps.pop("y")
    inputs = {**steps, "gamma": layer.gamma, "beta": layer.beta, "x": x}
    autograd = dict(zip(inputs, torch.autograd.grad(y, list(inputs.values()), dy), strict=True))
    long = batch_norm_long_backward(steps, layer, dy)
    one = {
        "gamma": by_hand.parameters[f"{name}.gamma"],
        "beta": by_hand.parameters[f"{name}.beta"],
        "x": by_hand.outputs[before].flatten(0, -2),
    }
    return [
        *rows("batch norm, step by step", long, autograd),
        *rows("batch norm, both ways", one, {key: long[key] for key in one}),
    ]
