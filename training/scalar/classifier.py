"""A perceptron of scalar values that learns to part two classes. Data and pictures are not here."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from models.autograd.engine import Value
from models.autograd.nn import MLP
from training.scalar.moons import Point

LEARNING_RATE, MOMENTUM, DECAY = 0.5, 0.8, 1e-4


@dataclass(frozen=True)
class Progress:
    """How the classifier was before a step: `loss` over all points, `accuracy` the share on the right side."""

    step: int
    total: int
    loss: float
    accuracy: float


def margin_loss(scores: Sequence[Value], points: Sequence[Point], parameters: Sequence[Value]) -> Value:
    """Return the mean hinge loss max(0, 1 - label x score) of a support vector machine (Cortes and Vapnik 1995), plus
    `DECAY` times the sum of the squares of the parameters, which keeps the margin wide.
    """
    hinges = Value(0)
    for score, point in zip(scores, points, strict=True):
        hinges = hinges + (1 - point.label * score).relu()
    squares = Value(0)
    for parameter in parameters:
        squares = squares + parameter**2
    return hinges / len(points) + DECAY * squares


def learn(network: MLP, points: Sequence[Point], steps: int) -> Iterator[Progress]:
    """Fit `network`, whose one output is above 0 for class 1, to all points in each of `steps` steps of gradient
    descent with momentum (Polyak 1964); the rate falls in a straight line to a tenth. Yields how it was before each
    step.
    """
    parameters = network.parameters()
    speeds = [0.0] * len(parameters)
    for step in range(steps):
        with _no_search_for_rings():
            scores = [network([point.x, point.y])[0] for point in points]
            loss = margin_loss(scores, points, parameters)
            network.zero_grad()
            loss.backward()
        rate = LEARNING_RATE * (1 - 0.9 * step / steps)
        for i, parameter in enumerate(parameters):
            speeds[i] = MOMENTUM * speeds[i] - rate * parameter.grad
            parameter.data += speeds[i]
        yield Progress(step + 1, steps, loss.data, accuracy(scores, points))


def examine(network: MLP, points: Sequence[Point]) -> tuple[float, float]:
    """Return the loss and the accuracy of a network on points."""
    scores = [network([point.x, point.y])[0] for point in points]
    return margin_loss(scores, points, network.parameters()).data, accuracy(scores, points)


def accuracy(scores: Sequence[Value], points: Sequence[Point]) -> float:
    """Return the share of points whose score has the sign of their class."""
    return sum((score.data > 0) == (point.label > 0) for score, point in zip(scores, points, strict=True)) / len(points)


@contextmanager
def _no_search_for_rings() -> Iterator[None]:
    """Values never refer to each other in a ring, and to look for one among so many takes longer than all the rest."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
