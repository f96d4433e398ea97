"""A perceptron of scalar values that parts two moons: data, training, decision boundary and command."""

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
    """A place in the plane and its class, -1 (the upper moon) or 1 (the lower one)."""

    x: float
    y: float
    label: int


def moons(count: int, random: Random, noise: float = NOISE) -> list[Point]:
    """Return `count` points, of the two moons in turn, each off its moon by Gaussian `noise` in both directions.

    The upper moon is half of the unit circle; the lower one is the same turned around, about (0.5, 0.25).
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


UPPER, LOWER, PAPER, INK = "#d1603d", "#1f6f8b", "#fbfaf7", "#1d2430"
CELLS, ROOM = 240, 0.55


def scores_at(network: MLP, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the score of each place x (N, 2): what the network itself says of them one by one, in arrays."""
    values = x
    for layer in network.layers:
        w = np.array([[weight.data for weight in neuron.w] for neuron in layer.neurons])
        total = values @ w.T + np.array([neuron.b.data for neuron in layer.neurons])
        activation = layer.neurons[0].activation
        values = np.tanh(total) if activation == "tanh" else np.maximum(total, 0) if activation == "relu" else total
    return values[:, 0]


def border_plot(network: MLP, points: Sequence[Point], title: str) -> bytes:
    """Return a PNG of the plane in two colours, with the border (score 0), the margins (scores -1 and 1) and the
    points; those on the wrong side are ringed.
    """
    figure = Figure(figsize=(7.2, 5.2), dpi=150, layout="constrained", facecolor=PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    places = np.array([(point.x, point.y) for point in points])
    low, high = places.min(axis=0) - ROOM, places.max(axis=0) + ROOM
    x, y = np.meshgrid(np.linspace(low[0], high[0], CELLS), np.linspace(low[1], high[1], CELLS))
    z = scores_at(network, np.column_stack([x.ravel(), y.ravel()])).reshape(x.shape)
    _paint(axes, x, y, z)
    _put(axes, places, np.array([point.label for point in points]), scores_at(network, places))
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


def _put(axes: Axes, places: NDArray[np.float64], labels: NDArray[np.int64], scores: NDArray[np.float64]) -> None:
    for label, colour, marker, size in ((-1, UPPER, "o", 46), (1, LOWER, "D", 36)):
        x, y = places[labels == label].T
        axes.scatter(x, y, s=size, c=colour, marker=marker, edgecolors="white", linewidths=1.1, zorder=3)
    x, y = places[(scores > 0) != (labels > 0)].T
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
# What is printed on the way, besides the first and the last step.
LINES = 5


def small_neuron(seed: int) -> Value:
    """Return the answer of a neuron with two inputs, its gradients found."""
    output = Neuron(2, Random(seed))([Value(2, "x1"), Value(-1, "x2")])
    output.label = "o"
    output.backward()
    return output


def trained(seed: int, steps: int, console: Console) -> tuple[MLP, list[Point]]:
    """Return a network that learnt, and its points; show the way there."""
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
        for now in learn(network, points, steps):
            progress.count("training", now.step, now.total)
            if now.step == 1 or now.step % every == 0:
                console.print(f"step {now.step:>4}  loss {now.loss:.4f}  accuracy {now.accuracy:.1%}", highlight=False)
    return network, points


@click.command("autograd-demo")
@click.option("--steps", type=click.IntRange(1, 100_000), default=120, show_default=True, help="Of gradient descent.")
@click.option(
    "--out",
    "--output",
    "output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".namewave/autograd-demo"),
    show_default=True,
    help="Folder for the pictures.",
)
@click.option("--seed", type=click.IntRange(0), default=2, show_default=True, help="Of points and first weights.")
def command(steps: int, output: Path, seed: int) -> None:
    """Let a perceptron of scalar values part two moons, and draw its border.

    Every number is a Value of models/autograd that finds its own gradient. The same seed gives the same run.
    """
    console = Console()
    prepare_output(output)
    network, points = trained(seed, steps, console)
    neuron = small_neuron(seed)
    loss, accuracy = examine(network, points)
    title = f"Two moons, parted by {len(network.parameters())} scalars: {accuracy:.0%} of {POINTS} points"
    files = {
        "border.png": border_plot(network, points, title),
        "neuron.dot": draw_dot(neuron).encode(),
        "neuron.svg": draw_svg(neuron).encode(),
    }
    paths = write_output(output, files)
    console.print(Text(f"accuracy {accuracy:.1%}  loss {loss:.4f}"))
    console.print(Text(f"Written: {', '.join(map(str, paths))}"))
