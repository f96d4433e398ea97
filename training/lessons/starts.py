"""The lesson on initialisation: five ways to begin. Numbers, picture and command."""

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

from models.networks import BatchNorm1d, Network, build_model
from training.config import TrainingConfig, load_config
from training.corpus import Corpus, shipped_corpus
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
from training.plots import INK, TICKS, dress, new_sheet, png, tell
from training.progress import relay_on
from training.report import show_figures
from training.trainer import Step, Trainer, smoothed

# Names that are looked at before the first step.
LOOKED_AT = 256


@dataclass(frozen=True)
class Start:
    """A way to begin. `wide`: hidden weights as unit normals instead of Kaiming's; `sure`: those of the logits, too;
    `normalised`: with BatchNorm.
    """

    name: str
    wide: bool
    sure: bool
    normalised: bool


STARTS = (
    Start("all weights unit normal", wide=True, sure=True, normalised=False),
    Start("small logits", wide=True, sure=False, normalised=False),
    Start("Kaiming", wide=False, sure=False, normalised=False),
    Start("unit normal and BatchNorm", wide=True, sure=False, normalised=True),
    Start("Kaiming and BatchNorm", wide=False, sure=False, normalised=True),
)


@dataclass(frozen=True)
class Result:
    """What became of a start: the batch seen before the first step, the losses of all steps, the dev loss at the
    end.
    """

    start: Start
    shot: Snapshot
    losses: Sequence[float]
    dev: float

    @property
    def saturated(self) -> float:
        """The share of saturated outputs in the layer that has most of them."""
        return max((a.share for a in self.shot.activations if a.share is not None), default=0.0)


def begin_as(network: Network, start: Start) -> None:
    """Make a fresh network of this house, which begins as Kaiming and BatchNorm say, begin as `start`; in place."""
    layers = network.layers.layers
    for name, layer in layers.items():
        if isinstance(layer, BatchNorm1d) and not start.normalised:
            layers[name] = DisabledBatchNorm(layer)
    with torch.no_grad():
        for name, matrix in named_matrices(network).items():
            if (start.wide and name.startswith("linear")) or (start.sure and name.startswith("output")):
                matrix.div_(matrix.std())


def try_starts(
    config: TrainingConfig, corpus: Corpus, show: Callable[[Step], None], starts: Sequence[Start] = STARTS
) -> list[Result]:
    """Return what became of each of `starts`, all from the same random numbers and over the same batches."""
    train, dev = (Examples.of(names, corpus.vocabulary) for names in (corpus.split.train, corpus.split.dev))
    batch = first_batch(train, LOOKED_AT, config.seed)
    results = []
    for start in starts:
        generator = torch.Generator().manual_seed(config.seed)
        network = build_model(config.model, len(corpus.vocabulary), generator)
        begin_as(network, start)
        shot = snapshot(network, batch)
        trainer = Trainer(network, config, train, dev, generator)
        for step in trainer.fit():
            show(step)
        results.append(Result(start, shot, trainer.history.losses, trainer.best_loss))
    return results


def even_guess(vocab_size: int) -> float:
    """Return the loss of a guess that finds every character as likely: ln V."""
    return math.log(vocab_size)


def saturated_share(spread: float) -> float:
    """Return how much of a normal distribution with this standard deviation a tanh saturates: P(|tanh z| > 0.97)."""
    return math.erfc(math.atanh(SATURATED) / (spread * math.sqrt(2)))


# Starts that differ in one thing only may lie upon each other: the one below is drawn broader.
WIDTHS = (4.5, 1.5, 1.5, 4.5, 1.5)


def starts_plot(results: Sequence[Result], even: float) -> bytes:
    """Return a PNG. `even`: the loss of an even guess, in nats."""
    figure = new_sheet(9.6, 4.2)
    left, right = figure.subplots(1, 2)
    _draw_saturation(left, results)
    _draw_losses(right, results, even)
    return png(figure)


def _draw_saturation(axes: Axes, results: Sequence[Result]) -> None:
    for colour, width, result in zip(COLOURS, WIDTHS, results, strict=False):
        shares = [a.share or 0 for a in result.shot.activations]
        layers = range(1, len(shares) + 1)
        axes.plot(layers, shares, "-", color=colour, linewidth=width, label=result.start.name)
        axes.set_xticks(layers)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    dress(axes, "Saturated outputs before the first step", "hidden layer", "share beyond 0.97")
    tell(axes)


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
    dress(axes, "Losses of the batches", "step", "nats per character")


PRESET, DATASET = "mlp-deep", "human"


@click.command("starts")
@click.option("--out", type=click.Path(path_type=Path), help="A picture, as starts.png.")
@click.option("--layers", type=click.IntRange(1, 16), default=4, show_default=True, help="Hidden layers.")
@click.option("--steps", type=click.IntRange(1, 100_000), default=400, show_default=True, help="Of each run.")
def command(out: Path | None, layers: int, steps: int) -> None:
    """Compare five ways to begin: weights large or small, with BatchNorm or without."""
    config = load_config(PRESET, DATASET, {"n_layers": layers, "steps": steps, "eval_every": steps})
    corpus = shipped_corpus(DATASET, config.split_seed)
    if out is not None:
        prepare_picture(out)
    choose_device("cpu")
    console = Console()
    with relay_on(console, len(STARTS)) as show:
        results = try_starts(config, corpus, show)
    even = even_guess(len(corpus.vocabulary))
    console.print(_table(results))
    show_figures(console, figures(results, even))
    if out is not None:
        write_output(out.parent, {out.name: starts_plot(results, even)}, "--out")
        console.print(Text(f"Written: {out}"), soft_wrap=True)


def _table(results: list[Result]) -> Table:
    table = Table()
    table.add_column("start", no_wrap=True)
    for head in ("first loss", "spread, last layer", "saturated, at most", "dev loss"):
        table.add_column(head, justify="right")
    for result in results:
        spread = f"{result.shot.activations[-1].std:.2f}"
        table.add_row(
            result.start.name, f"{result.shot.loss:.4f}", spread, f"{result.saturated:.0%}", f"{result.dev:.4f}"
        )
    return table


def figures(results: list[Result], even: float) -> dict[str, float]:
    """Return what the lesson promises."""
    found = {"an even guess": even, "saturated share of a unit normal": saturated_share(1.0)}
    for result in results:
        name = result.start.name
        found |= {f"first loss, {name}": result.shot.loss, f"dev loss, {name}": result.dev}
    return found
