"""Neurons, layers and a multilayer perceptron of `Value`s, after micrograd (Karpathy 2020).

Loss and training are in `training.lessons.autograd_demo`.
"""

import math
from collections.abc import Sequence
from random import Random
from typing import Literal

from models.autograd.engine import Number, Value

Activation = Literal["tanh", "relu", "linear"]
Input = Value | Number


class Module:
    """A module with parameters."""

    def parameters(self) -> list[Value]:
        """Return all trainable parameters, always in the same order."""
        raise NotImplementedError

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to 0, as before each `backward` of a training loop."""
        for parameter in self.parameters():
            parameter.grad = 0.0


class Neuron(Module):
    """activation(w1 x1 + ... + wn xn + b), with `fan_in` weights `w` and a bias `b`.

    Weights are drawn uniformly from -1/sqrt(fan_in) to 1/sqrt(fan_in), so that the sum does not grow with the number of
    inputs (LeCun et al. 1998, "Efficient BackProp"); the bias is 0. Labels are w1, w2, ... and b.
    """

    def __init__(self, fan_in: int, random: Random, activation: Activation = "tanh") -> None:
        if fan_in < 1:
            raise ValueError("a neuron has one input or more")
        if activation not in ("tanh", "relu", "linear"):
            raise ValueError("an activation is tanh, relu or linear")
        bound = 1 / math.sqrt(fan_in)
        self.w = [Value(random.uniform(-bound, bound), f"w{i}") for i in range(1, fan_in + 1)]
        self.b = Value(0, "b")
        self.activation = activation

    def __call__(self, x: Sequence[Input]) -> Value:
        """Return the neuron's output for `fan_in` numbers. Raises `ValueError` for another number of inputs."""
        if len(x) != len(self.w):
            raise ValueError(f"this neuron takes {len(self.w)} inputs, not {len(x)}")
        total = self.b
        for weight, value in zip(self.w, x, strict=True):
            total = total + weight * value
        if self.activation == "linear":
            return total
        return total.tanh() if self.activation == "tanh" else total.relu()

    def parameters(self) -> list[Value]:
        """Return the weights, then the bias."""
        return [*self.w, self.b]


class Layer(Module):
    """`fan_out` neurons that see the same `fan_in` inputs."""

    def __init__(self, fan_in: int, fan_out: int, random: Random, activation: Activation = "tanh") -> None:
        if fan_out < 1:
            raise ValueError("a layer has one neuron or more")
        self.neurons = [Neuron(fan_in, random, activation) for _ in range(fan_out)]

    def __call__(self, x: Sequence[Input]) -> list[Value]:
        """Return the `fan_out` outputs for `fan_in` numbers."""
        return [neuron(x) for neuron in self.neurons]

    def parameters(self) -> list[Value]:
        """Return the parameters of all neurons in order."""
        return [parameter for neuron in self.neurons for parameter in neuron.parameters()]


class MLP(Module):
    """A sequence of layers: `MLP(2, [8, 8, 1], Random(1))` has two hidden layers of 8 and one output.

    Hidden layers have `activation`; the last one is linear and returns scores.
    """

    def __init__(self, fan_in: int, sizes: Sequence[int], random: Random, activation: Activation = "tanh") -> None:
        if not sizes:
            raise ValueError("a perceptron has one layer or more")
        widths = [fan_in, *sizes]
        last = len(sizes) - 1
        self.layers = [
            Layer(widths[i], widths[i + 1], random, "linear" if i == last else activation) for i in range(len(sizes))
        ]

    def __call__(self, x: Sequence[Input]) -> list[Value]:
        """Return the scores of the last layer for `fan_in` numbers."""
        values = self.layers[0](x)
        for layer in self.layers[1:]:
            values = layer(values)
        return values

    def parameters(self) -> list[Value]:
        """Return the parameters of all layers in order."""
        return [parameter for layer in self.layers for parameter in layer.parameters()]
