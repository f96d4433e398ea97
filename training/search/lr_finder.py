"""The learning-rate range test: one batch at each of many rates, a plot and a suggestion."""

import io
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import click
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from rich.text import Text

from data import ReadOptions
from training.config import load_config
from training.device import choose_device
from training.errors import Interrupted, TrainingError
from training.options import dataset_name, list_options, processor_options, read_corpus
from training.paths import csv_bytes, prepare_output, write_output
from training.plots import DEV, FAINT, INK, TRAIN
from training.progress import progress_on, stop_requests
from training.trainer import Step, Trainer, new_trainer

# Decay of the running mean of the loss, which averages about ten batches.
MEMORY = 0.9
# The test ends when the loss is this many times the best one.
DIVERGED_FACTOR = 4.0
# Points on each side of a slope: the noise of one batch is larger than the progress of one step.
REACH = 6
MIN_POINTS = 2 * REACH + 1


class Point(NamedTuple):
    """One step: its learning rate, the running mean of the loss after it, and its own batch's loss."""

    rate: float
    loss: float
    batch_loss: float


class Suggestion(NamedTuple):
    """Two suggested rates: where the loss falls fastest, and a tenth of the rate of the lowest loss."""

    steepest: float
    tenth_of_lowest: float


def exponential_rates(low: float, high: float, steps: int) -> list[float]:
    """Return `steps` rates from `low` to `high` with a constant factor: low (high/low)^(i/(n-1)).

    Raises `ValueError` unless 0 < low < high and there are two steps or more.
    """
    if not (0 < low < high < math.inf and steps >= 2):
        raise ValueError(f"no rates lead from {low} to {high} in {steps} steps")
    ratio = math.log(high / low)
    return [low * math.exp(ratio * i / (steps - 1)) for i in range(steps)]


def range_test(learn: Callable[[float], float], rates: Sequence[float]) -> list[Point]:
    """Make a step at each rate and return the points.

    The test stops at a loss that is not finite or 4 times the best one. `learn` makes one step at a rate and returns
    its batch's loss. The running mean is corrected for its start at zero (Kingma & Ba 2015, section 3). The point that
    ends the test is left out if its loss is not finite.
    """
    points: list[Point] = []
    mean, best = 0.0, math.inf
    for i, rate in enumerate(rates, start=1):
        batch_loss = learn(rate)
        if not math.isfinite(batch_loss):
            break
        mean = MEMORY * mean + (1 - MEMORY) * batch_loss
        loss = mean / (1 - MEMORY**i)
        points.append(Point(rate, loss, batch_loss))
        if loss > DIVERGED_FACTOR * best:
            break
        best = min(best, loss)
    return points


def suggest(points: Sequence[Point]) -> Suggestion:
    """Return the suggestion of the curve up to its lowest point. Raises `ValueError` if it is too short.

    The slope is that of the running mean over the logarithm of the rate, by central differences.
    """
    lowest = min(range(len(points)), key=lambda i: points[i].loss, default=0)
    middles = range(REACH, min(lowest, len(points) - 1 - REACH) + 1)
    if not middles:
        raise ValueError("the loss never fell for long enough")
    steepest = min(middles, key=lambda i: _slope(points[i - REACH], points[i + REACH]))
    return Suggestion(points[steepest].rate, points[lowest].rate / 10)


def _slope(before: Point, after: Point) -> float:
    return (after.loss - before.loss) / math.log(after.rate / before.rate)


# Losses above this multiple of the first one are cut off.
ROOM_ABOVE = 1.25


def range_plot(points: Sequence[Point], suggestion: Suggestion, title: str) -> bytes:
    """Return a PNG of the loss over the learning rate, with both suggestions marked."""
    figure = Figure(figsize=(7.2, 4.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    rates = [point.rate for point in points]
    axes.plot(rates, [point.batch_loss for point in points], ".", color=FAINT, markersize=4, label="one batch")
    axes.plot(rates, [point.loss for point in points], color=TRAIN, linewidth=1.6, label="running mean")
    _mark(axes, points, suggestion.tenth_of_lowest, "a tenth of the lowest loss's rate", "s", INK)
    _mark(axes, points, suggestion.steepest, "suggested, falls fastest", "o", DEV)
    _style_axes(axes, points, title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _mark(axes: Axes, points: Sequence[Point], rate: float, words: str, marker: str, color: str) -> None:
    nearest = min(points, key=lambda point: abs(point.rate - rate))
    label = f"{words}: {rate:.2g}"
    axes.plot([nearest.rate], [nearest.loss], marker, color=color, markersize=8, fillstyle="none", label=label)
    axes.axvline(nearest.rate, color=color, linewidth=0.8, linestyle=":")


def _style_axes(axes: Axes, points: Sequence[Point], title: str) -> None:
    losses = [point.loss for point in points]
    low, top = min(losses), min(max(losses), ROOM_ABOVE * losses[0])
    margin = 0.06 * (top - low)
    axes.set_ylim(low - margin, top + margin)
    axes.set_xscale("log")
    axes.set_title(title, loc="left", color=INK)
    axes.set_xlabel("learning rate", color=INK)
    axes.set_ylabel("nats per character", color=INK)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.tick_params(colors=INK, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)


Rate = click.FloatRange(0, 1000, min_open=True)
# Rows of the printed table.
ROWS = 12


@click.command("find-lr")
@click.option("--preset", default="wavenet", show_default=True, help="Hyperparameters to start from.")
@list_options
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of results.")
@click.option("--low", type=Rate, default=1e-5, show_default=True, help="First learning rate.")
@click.option("--high", type=Rate, default=1.0, show_default=True, help="Last learning rate.")
@click.option("--steps", type=click.IntRange(MIN_POINTS, 100_000), default=200, show_default=True, help="Batches.")
@processor_options
def find_lr(
    preset: str,
    dataset: str | None,
    data: Path | None,
    name: str | None,
    reading: ReadOptions,
    output: Path,
    low: float,
    high: float,
    steps: int,
    device: str,
    threads: int,
) -> None:
    """Find a good learning rate: one batch at each of many rates. The rates rise until the loss diverges."""
    if low >= high:
        raise click.UsageError(f"--low is {low:g} and --high {high:g}; --low must be the smaller one.")
    called = dataset_name(dataset, data, name)
    config = load_config(preset, called, {})
    if config.method == "counting":
        raise TrainingError(f"The preset {preset} counts and has no learning rate; name one that learns by gradient.")
    corpus = read_corpus(called, data, config.split_seed, reading)
    prepare_output(output)
    console = Console()
    points = _measure(console, new_trainer(config, corpus, choose_device(device, threads)), low, high, steps)
    suggestion = _read(points)
    title = f"Learning rates for {called}, preset {preset}"
    files = {
        "learning_rates.csv": csv_bytes(Point._fields, points),
        "learning_rates.png": range_plot(points, suggestion, title),
    }
    paths = write_output(output, files)
    _show(console, points, suggestion, title, config.learning_rate, high)
    for path in paths:
        console.print(Text(f"Written: {path}"), soft_wrap=True)


def _measure(console: Console, trainer: Trainer, low: float, high: float, steps: int) -> list[Point]:
    with stop_requests() as is_stopped, progress_on(console, time.monotonic) as progress:
        learn = _watched(trainer, steps, progress.show, is_stopped)
        return range_test(learn, exponential_rates(low, high, steps))


def _watched(
    trainer: Trainer, total: int, show: Callable[[Step], None], is_stopped: Callable[[], bool]
) -> Callable[[float], float]:
    """Return a function that makes one step at a rate and shows it; infinite if the loss diverges."""

    def learn(rate: float) -> float:
        if is_stopped():
            raise Interrupted(f"Stopped after step {trainer.step:,} of {total:,}; nothing was written.")
        try:
            loss = trainer.learn(rate)
        except TrainingError:
            return math.inf
        show(Step(trainer.step, total, loss, rate, None))
        return loss

    return learn


def _read(points: list[Point]) -> Suggestion:
    try:
        return suggest(points)
    except ValueError:
        raise TrainingError(
            f"No rate can be suggested: the loss never fell for long enough in {len(points)} steps. "
            "Lower --low, or try more --steps."
        ) from None


def _show(
    console: Console, points: list[Point], suggestion: Suggestion, title: str, preset_rate: float, high: float
) -> None:
    table = Table()
    for head in ("learning rate", "loss (running mean)"):
        table.add_column(head, justify="right")
    chosen = sorted({round(i * (len(points) - 1) / (ROWS - 1)) for i in range(ROWS)})
    for i in chosen:
        table.add_row(f"{points[i].rate:.2e}", f"{points[i].loss:.4f}")
    console.print(Text(title), soft_wrap=True)
    console.print(table)
    is_whole = points[-1].rate >= high * (1 - 1e-9)
    lines = [
        "The loss had not left its range at --high."
        if is_whole
        else "The test ended at the last rate shown: the loss blew up.",
        f"Suggested: --learning-rate {suggestion.steepest:.2g}, where the loss falls fastest.",
        f"For comparison: {suggestion.tenth_of_lowest:.2g} is a tenth of the rate with the lowest loss; "
        f"the preset has {preset_rate:g}.",
    ]
    for line in lines:
        console.print(Text(line), soft_wrap=True)
