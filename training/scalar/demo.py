"""`python -m training autograd-demo`: a perceptron of scalar values learns to part two moons. It shows how it gets on,
prints what it came to, and draws its border and a small neuron.
"""

import time
from pathlib import Path
from random import Random

import click
from rich.console import Console
from rich.text import Text

from models.autograd.engine import Value
from models.autograd.graph import draw_dot, draw_svg
from models.autograd.nn import MLP, Neuron
from training.output import prepare_output, write_output
from training.progress import progress_on
from training.scalar.border import border_plot
from training.scalar.classifier import examine, learn
from training.scalar.moons import Point, moons

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
