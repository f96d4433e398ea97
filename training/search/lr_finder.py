"""`python -m training find-lr`: tries learning rates from tiny to far too large on the first steps of a run, and says
which one to use. The arithmetic is `lr_range`, the picture `lr_plot`; nothing is published.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from training.config import load_config
from training.device import choose_device
from training.errors import Interrupted, TrainingError
from training.interruption import stop_requests
from training.list_options import dataset_name, list_options, read_corpus
from training.new_trainer import new_trainer
from training.options import processor_options
from training.output import csv_bytes, prepare_output, write_output
from training.progress import progress_on
from training.search.lr_plot import range_plot
from training.search.lr_range import MIN_POINTS, Point, Suggestion, exponential_rates, range_test, suggest
from training.trainer import Step, Trainer

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
    output: Path,
    low: float,
    high: float,
    steps: int,
    device: str,
    threads: int,
) -> None:
    """Find a good learning rate: one batch at each of many rates. They rise until the loss blows up."""
    if low >= high:
        raise click.UsageError(f"--low is {low:g} and --high {high:g}; --low has to be the smaller one.")
    called = dataset_name(dataset, data, name)
    config = load_config(preset, called, {})
    if config.method == "counting":
        raise TrainingError(f"The preset {preset} counts and has no learning rate; name one that learns by gradient.")
    corpus = read_corpus(called, data, config.split_seed)
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
    """Return one step of `trainer` as a function of the rate: shown, stopped on request, infinite where it diverges."""

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
