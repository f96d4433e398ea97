"""A perceptron of scalar values that separates two moons: data, training, plot and command."""

import gc
import io
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import click
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from models.autograd.engine import Value
from models.autograd.graph import draw_dot, draw_svg
from models.autograd.nn import MLP, Neuron
from training.paths import prepare_output, write_output
from training.progress import progress_on

NOISE = 0.12


@dataclass(frozen=True)
class Point:
    """A point in the plane and its class, -1 (the upper moon) or 1 (the lower one)."""

    x: float
    y: float
    label: int


def moons(count: int, random: Random, noise: float = NOISE) -> list[Point]:
    """Return `count` points on two half circles, with Gaussian `noise` in both directions.

    The classes alternate. The upper moon is half of the unit circle; the lower one is its rotation by 180 degrees about
    (0.5, 0.25).
    """
    points: list[Point] = []
    for i in range(count):
        angle = random.uniform(0, math.pi)
        x, y = math.cos(angle), math.sin(angle)
        label = -1 if i % 2 == 0 else 1
        if label == 1:
            x, y = 1 - x, 0.5 - y
        points.append(Point(x + random.gauss(0, noise), y + random.gauss(0, noise), label))
    return points


LEARNING_RATE, MOMENTUM, DECAY = 0.5, 0.8, 1e-4


@dataclass(frozen=True)
class Progress:
    """The classifier before a step: `loss` over all points, `accuracy` the share classified correctly."""

    step: int
    total: int
    loss: float
    accuracy: float


def margin_loss(scores: Sequence[Value], points: Sequence[Point], parameters: Sequence[Value]) -> Value:
    """Return the mean hinge loss max(0, 1 - label x score) plus a penalty on the parameters.

    This is the loss of a support vector machine (Cortes and Vapnik 1995). The penalty, `DECAY` times the sum of the
    squared parameters, keeps the margin wide.
    """
    hinges = Value(0)
    for score, point in zip(scores, points, strict=True):
        hinges = hinges + (1 - point.label * score).relu()
    squares = Value(0)
    for parameter in parameters:
        squares = squares + parameter**2
    return hinges / len(points) + DECAY * squares


def train(network: MLP, points: Sequence[Point], steps: int) -> Iterator[Progress]:
    """Train `network` by gradient descent with momentum, and yield its progress before each step.

    Its one output is above 0 for class 1. Each step uses all points. Momentum follows Polyak (1964); the learning rate
    falls linearly to a tenth.
    """
    parameters = network.parameters()
    velocities = [0.0] * len(parameters)
    for step in range(steps):
        with _without_garbage_collection():
            scores = [network([point.x, point.y])[0] for point in points]
            loss = margin_loss(scores, points, parameters)
            network.zero_grad()
            loss.backward()
        rate = LEARNING_RATE * (1 - 0.9 * step / steps)
        for i, parameter in enumerate(parameters):
            velocities[i] = MOMENTUM * velocities[i] - rate * parameter.grad
            parameter.data += velocities[i]
        yield Progress(step + 1, steps, loss.data, accuracy(scores, points))


def evaluate(network: MLP, points: Sequence[Point]) -> tuple[float, float]:
    """Return the loss and accuracy of a network on `points`."""
    scores = [network([point.x, point.y])[0] for point in points]
    return margin_loss(scores, points, network.parameters()).data, accuracy(scores, points)


def accuracy(scores: Sequence[Value], points: Sequence[Point]) -> float:
    """Return the share of points whose score has the sign of their class."""
    return sum((score.data > 0) == (point.label > 0) for score, point in zip(scores, points, strict=True)) / len(points)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Disable the garbage collector: values form no cycles, and searching for them is slow."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


UPPER, LOWER, PAPER, INK = "#d1603d", "#1f6f8b", "#fbfaf7", "#1d2430"
CELLS, ROOM = 240, 0.55


def scores_at(network: MLP, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the score of each point x (N, 2), computed with arrays instead of scalar values."""
    values = x
    for layer in network.layers:
        w = np.array([[weight.data for weight in neuron.w] for neuron in layer.neurons])
        total = values @ w.T + np.array([neuron.b.data for neuron in layer.neurons])
        activation = layer.neurons[0].activation
        values = np.tanh(total) if activation == "tanh" else np.maximum(total, 0) if activation == "relu" else total
    return values[:, 0]


def decision_boundary_plot(network: MLP, points: Sequence[Point], title: str) -> bytes:
    """Return a PNG of the decision boundary (score 0), the margins (scores -1 and 1) and the points.

    Misclassified points have a ring.
    """
    figure = Figure(figsize=(7.2, 5.2), dpi=150, layout="constrained", facecolor=PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    positions = np.array([(point.x, point.y) for point in points])
    low, high = positions.min(axis=0) - ROOM, positions.max(axis=0) + ROOM
    x, y = np.meshgrid(np.linspace(low[0], high[0], CELLS), np.linspace(low[1], high[1], CELLS))
    z = scores_at(network, np.column_stack([x.ravel(), y.ravel()])).reshape(x.shape)
    _paint(axes, x, y, z)
    _scatter(axes, positions, np.array([point.label for point in points]), scores_at(network, positions))
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_aspect("equal")
    axes.set_title(title, loc="left", color=INK, fontsize=12, pad=10)
    axes.set_axis_off()
    buffer = io.BytesIO()
    # Without the version of the program, the same run gives the same file.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _paint(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]) -> None:
    colours = LinearSegmentedColormap.from_list("moons", [UPPER, "#f3c9b5", PAPER, "#b9d9e1", LOWER])
    ends = (x.min(), x.max(), y.min(), y.max())
    axes.imshow(
        np.tanh(z / 1.5),
        extent=ends,
        origin="lower",
        cmap=colours,
        vmin=-1,
        vmax=1,
        alpha=0.75,
        interpolation="bilinear",
        aspect="auto",
    )
    axes.contour(x, y, z, levels=[-1, 1], colors=[INK], linewidths=0.9, linestyles=[(0, (5, 4))], alpha=0.6)
    axes.contour(x, y, z, levels=[0], colors=[INK], linewidths=2.2)


def _scatter(
    axes: Axes, positions: NDArray[np.float64], labels: NDArray[np.int64], scores: NDArray[np.float64]
) -> None:
    for label, colour, marker, size in ((-1, UPPER, "o", 46), (1, LOWER, "D", 36)):
        x, y = positions[labels == label].T
        axes.scatter(x, y, s=size, c=colour, marker=marker, edgecolors="white", linewidths=1.1, zorder=3)
    x, y = positions[(scores > 0) != (labels > 0)].T
    axes.scatter(x, y, s=170, facecolors="none", edgecolors=INK, linewidths=1.6, zorder=4)
    axes.annotate(
        "line: border    dashes: margins    ring: wrong side",
        (0.995, 0.012),
        xycoords="axes fraction",
        ha="right",
        fontsize=8.5,
        color=INK,
    )


POINTS, SIZES = 100, (8, 8, 1)
# Progress lines, besides those of the first and last step.
LINES = 5


def small_neuron(seed: int) -> Value:
    """Return the output of a neuron with two inputs, after its backward pass."""
    output = Neuron(2, Random(seed))([Value(2, "x1"), Value(-1, "x2")])
    output.label = "o"
    output.backward()
    return output


def train_network(seed: int, steps: int, console: Console) -> tuple[MLP, list[Point]]:
    """Train a network on two moons, print its progress, and return it with the points."""
    random = Random(seed)
    points = moons(POINTS, random)
    network = MLP(2, SIZES, random)
    console.print(
        f"{POINTS} points, {len(network.parameters())} parameters, {steps} steps of gradient descent, one scalar at a "
        "time",
        highlight=False,
    )
    every = max(1, steps // LINES)
    with progress_on(console, time.monotonic) as progress:
        for now in train(network, points, steps):
            progress.count("training", now.step, now.total)
            if now.step == 1 or now.step % every == 0:
                console.print(f"step {now.step:>4}  loss {now.loss:.4f}  accuracy {now.accuracy:.1%}", highlight=False)
    return network, points


@click.command("autograd-demo")
@click.option(
    "--steps", type=click.IntRange(1, 100_000), default=120, show_default=True, help="Steps of gradient descent."
)
@click.option(
    "--out",
    "--output",
    "output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".namewave/autograd-demo"),
    show_default=True,
    help="Folder for the pictures.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=2, show_default=True, help="Seed of the points and initial weights."
)
def autograd_demo(steps: int, output: Path, seed: int) -> None:
    """Train a perceptron of scalar values to separate two moons, and draw its decision boundary.

    Every number is a Value of models/autograd, which computes its own gradient. The same seed gives the same run.
    """
    console = Console()
    prepare_output(output)
    network, points = train_network(seed, steps, console)
    neuron = small_neuron(seed)
    loss, accuracy = evaluate(network, points)
    title = f"Two moons, separated by {len(network.parameters())} scalars: {accuracy:.0%} of {POINTS} points"
    files = {
        "border.png": decision_boundary_plot(network, points, title),
        "neuron.dot": draw_dot(neuron).encode(),
        "neuron.svg": draw_svg(neuron).encode(),
    }
    paths = write_output(output, files)
    console.print(Text(f"accuracy {accuracy:.1%}  loss {loss:.4f}"))
    console.print(Text(f"Written: {', '.join(map(str, paths))}"))
