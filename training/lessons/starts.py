"""The lesson on initialisation: five initialisations compared. Numbers, plot and command."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import torch
from matplotlib.axes import Axes
from rich.console import Console
from rich.table import Table
from rich.text import Text

from data import HUMAN_2018
from models.networks import BatchNorm1d, Network, build_model
from training.config import TrainingConfig, load_config
from training.corpus import Corpus, human_2018_corpus
from training.dataset import Examples
from training.device import choose_device
from training.diagnostics.plots import COLOURS
from training.diagnostics.statistics import (
    SATURATED,
    DisabledBatchNorm,
    Snapshot,
    first_batch,
    named_matrices,
    snapshot,
)
from training.paths import prepare_picture, write_output
from training.plots import INK, TICKS, add_legend, new_figure, png, style_axes
from training.progress import multi_run_progress
from training.report import show_metrics
from training.trainer import Step, Trainer, smoothed

# Names in the batch that is measured before the first step.
BATCH_NAMES = 256


@dataclass(frozen=True)
class Initialisation:
    """An initialisation: unit normal or Kaiming weights, unit normal logits or not, BatchNorm or not."""

    name: str
    is_unit_normal: bool
    unit_normal_output: bool
    has_batch_norm: bool


INITIALISATIONS = (
    Initialisation("all weights unit normal", is_unit_normal=True, unit_normal_output=True, has_batch_norm=False),
    Initialisation("small logits", is_unit_normal=True, unit_normal_output=False, has_batch_norm=False),
    Initialisation("Kaiming", is_unit_normal=False, unit_normal_output=False, has_batch_norm=False),
    Initialisation("unit normal and BatchNorm", is_unit_normal=True, unit_normal_output=False, has_batch_norm=True),
    Initialisation("Kaiming and BatchNorm", is_unit_normal=False, unit_normal_output=False, has_batch_norm=True),
)


@dataclass(frozen=True)
class Result:
    """The result of one initialisation: statistics before the first step, losses, and final dev loss."""

    start: Initialisation
    statistics: Snapshot
    losses: Sequence[float]
    dev: float

    @property
    def saturated(self) -> float:
        """The share of saturated outputs in the most saturated layer."""
        return max((a.share for a in self.statistics.activations if a.share is not None), default=0.0)


def initialise(network: Network, start: Initialisation) -> None:
    """Apply `start` to a fresh network, in place. Fresh networks have Kaiming weights and BatchNorm."""
    layers = network.layers.layers
    for name, layer in layers.items():
        if isinstance(layer, BatchNorm1d) and not start.has_batch_norm:
            layers[name] = DisabledBatchNorm(layer)
    with torch.no_grad():
        for name, matrix in named_matrices(network).items():
            if (start.is_unit_normal and name.startswith("linear")) or (
                start.unit_normal_output and name.startswith("output")
            ):
                matrix.div_(matrix.std())


def try_starts(
    config: TrainingConfig,
    corpus: Corpus,
    show: Callable[[Step], None],
    starts: Sequence[Initialisation] = INITIALISATIONS,
) -> list[Result]:
    """Train with each of `starts`, from the same random numbers and over the same batches."""
    train, dev = (Examples.of(names, corpus.vocabulary) for names in (corpus.split.train, corpus.split.dev))
    batch = first_batch(train, BATCH_NAMES, config.seed)
    results = []
    for start in starts:
        generator = torch.Generator().manual_seed(config.seed)
        network = build_model(config.model, len(corpus.vocabulary), generator)
        initialise(network, start)
        statistics = snapshot(network, batch)
        trainer = Trainer(network, config, train, dev, generator)
        for step in trainer.fit():
            show(step)
        results.append(Result(start, statistics, trainer.history.losses, trainer.best_loss))
    return results


def uniform_loss(vocab_size: int) -> float:
    """Return the loss of a uniform distribution over the characters, ln V."""
    return math.log(vocab_size)


def saturated_share(spread: float) -> float:
    """Return P(|tanh z| > 0.97) for a normal z with this standard deviation."""
    return math.erfc(math.atanh(SATURATED) / (spread * math.sqrt(2)))


# Curves of similar initialisations may overlap, so the lower one is wider.
WIDTHS = (4.5, 1.5, 1.5, 4.5, 1.5)


def starts_plot(results: Sequence[Result], even: float) -> bytes:
    """Return a PNG. `even`: the loss of a uniform distribution, in nats."""
    figure = new_figure(9.6, 4.2)
    left, right = figure.subplots(1, 2)
    _draw_saturation(left, results)
    _draw_losses(right, results, even)
    return png(figure)


def _draw_saturation(axes: Axes, results: Sequence[Result]) -> None:
    for colour, width, result in zip(COLOURS, WIDTHS, results, strict=False):
        shares = [a.share or 0 for a in result.statistics.activations]
        layers = range(1, len(shares) + 1)
        axes.plot(layers, shares, "-", color=colour, linewidth=width, label=result.start.name)
        axes.set_xticks(layers)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    style_axes(axes, "Saturated outputs before the first step", "hidden layer", "share beyond 0.97")
    add_legend(axes)


def _draw_losses(axes: Axes, results: Sequence[Result], even: float) -> None:
    drawn = [smoothed(result.losses, points=50) for result in results]
    for colour, (steps, losses) in zip(COLOURS, drawn, strict=False):
        axes.plot(steps, losses, color=colour, linewidth=1.4)
    axes.axhline(even, color=INK, linewidth=0.9, linestyle="--")
    axes.annotate(
        "an even guess", (1, even), (2, 4), xycoords=("axes fraction", "data"), textcoords="offset points", ha="right",
        color=INK, fontsize=8.5,
    )  # fmt: skip
    axes.set_yscale("log")
    low, high = min(min(losses) for _, losses in drawn), max(max(losses) for _, losses in drawn)
    shown = [tick for tick in TICKS if low <= tick <= high]
    axes.set_yticks(shown, [f"{tick:g}" for tick in shown])
    axes.set_yticks([], minor=True)
    style_axes(axes, "Losses of the batches", "step", "nats per character")


PRESET, DATASET = "mlp-deep", HUMAN_2018.name


@click.command("starts")
@click.option("--out", type=click.Path(path_type=Path), help="Write a plot, such as starts.png.")
@click.option("--layers", type=click.IntRange(1, 16), default=4, show_default=True, help="Hidden layers.")
@click.option("--steps", type=click.IntRange(1, 100_000), default=400, show_default=True, help="Steps of each run.")
def compare_starts(out: Path | None, layers: int, steps: int) -> None:
    """Compare five initialisations: large or small weights, with or without BatchNorm."""
    config = load_config(PRESET, DATASET, {"n_layers": layers, "steps": steps, "eval_every": steps})
    corpus = human_2018_corpus(config.split_seed)
    if out is not None:
        prepare_picture(out)
    choose_device("cpu")
    console = Console()
    with multi_run_progress(console, len(INITIALISATIONS)) as show:
        results = try_starts(config, corpus, show)
    even = uniform_loss(len(corpus.vocabulary))
    console.print(_table(results))
    show_metrics(console, printed_metrics(results, even))
    if out is not None:
        write_output(out.parent, {out.name: starts_plot(results, even)}, "--out")
        console.print(Text(f"Written: {out}"), soft_wrap=True)


def _table(results: list[Result]) -> Table:
    table = Table()
    table.add_column("start", no_wrap=True)
    for head in ("first loss", "spread, last layer", "saturated, at most", "dev loss"):
        table.add_column(head, justify="right")
    for result in results:
        spread = f"{result.statistics.activations[-1].std:.2f}"
        table.add_row(
            result.start.name, f"{result.statistics.loss:.4f}", spread, f"{result.saturated:.0%}", f"{result.dev:.4f}"
        )
    return table


def printed_metrics(results: list[Result], even: float) -> dict[str, float]:
    """Return the numbers that the lesson shows, by label."""
    found = {"an even guess": even, "saturated share of a unit normal": saturated_share(1.0)}
    for result in results:
        name = result.start.name
        found |= {f"first loss, {name}": result.statistics.loss, f"dev loss, {name}": result.dev}
    return found
