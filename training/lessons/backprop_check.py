"""The backward pass by hand compared with autograd: gradients, two trainings, plot and command."""

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar, cast

import click
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from data import ReadOptions
from models.networks import Network, build_model
from models.networks.layers import BatchNorm1d
from training.config import TrainingConfig, load_config
from training.corpus import Corpus
from training.dataset import Batch, Examples, Windows
from training.device import choose_device
from training.errors import Interrupted, TrainingError
from training.evaluation import cross_entropy
from training.lessons.backprop import (
    Gradients,
    backward,
    batch_norm_long_backward,
    batch_norm_steps,
    cross_entropy_backward,
    cross_entropy_long_backward,
    cross_entropy_steps,
    forward,
)
from training.options import one_list, one_list_options
from training.paths import prepare_picture, write_output
from training.plots import DEV, FAINT, INK, TRAIN
from training.progress import progress_on, stop_requests
from training.report import printable_character
from training.trainer import Step, Trainer, smoothed

# Rounding error of a sum of some hundred products: relative, and absolute for sums near 0.
TOLERANCES = {torch.float64: (1e-9, 1e-13), torch.float32: (1e-4, 1e-6)}
Named = Mapping[str, Tensor]


@dataclass(frozen=True)
class Row:
    """One gradient, computed both ways. `exact`: bit for bit; `close`: within rounding error."""

    part: str
    name: str
    shape: tuple[int, ...]
    exact: bool
    close: bool
    difference: float


def check(network: Network, batch: Windows) -> list[Row]:
    """Return a row for each gradient of one batch.

    The network does not change, and stays in training mode.

    Raises `TypeError` for a layer that has no rule by hand.
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
    """Return the parameters as "layer.array", in the order of `Network.parameters`."""
    layers = network.layers.layers.items()
    return {f"{name}.{key}": a for name, layer in layers for key, a in layer.arrays().items() if a.requires_grad}


def rows(part: str, by_hand: Named, by_other: Named) -> list[Row]:
    """Return a row for each gradient, in the order of `by_other`. Raises `KeyError` for a foreign one."""
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
    """Compare the stepwise gradient with autograd, and the closed form with the stepwise one."""
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
    """Compare the same three gradients at the first batch norm."""
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


Kind = TypeVar("Kind", bound=Trainer)


class HandTrainer(Trainer):
    """A trainer that computes its gradients with `backprop` instead of autograd."""

    @torch.no_grad()
    def gradients_of(self, batch: Batch) -> tuple[Tensor, Sequence[Tensor]]:
        """Return the loss of `batch` and the gradient of each parameter.

        Raises `TypeError` for whole names: the backward pass by hand supports windows only.
        """
        if not isinstance(batch, Windows):
            raise TypeError("The backward pass by hand is for batches of windows.")
        outputs = forward(self.network.layers, batch.X)
        *_, logits = outputs.values()
        gradients = backward(self.network.layers, batch.X, outputs, batch.targets).parameters
        loss = cross_entropy(logits, batch.targets).mean()
        return loss, [gradients[name] + self._penalty_gradient(p) for name, p in named_parameters(self.network).items()]

    def _penalty_gradient(self, parameter: Tensor) -> Tensor | float:
        """Return the gradient of the penalty: l2 times the mean square of a matrix."""
        return 2 * self.config.l2 * parameter / parameter.numel() if parameter.dim() > 1 else 0.0


@dataclass(frozen=True)
class StepPair:
    """One step of both trainers, and the largest difference of a weight after it."""

    by_hand: Step
    by_autograd: Step
    difference: float


def start(config: TrainingConfig, corpus: Corpus, dtype: torch.dtype) -> tuple[HandTrainer, Trainer]:
    """Return both trainers with the same initial weights and equal, separate generators."""
    return _trainer(HandTrainer, config, corpus, dtype), _trainer(Trainer, config, corpus, dtype)


def _trainer(kind: type[Kind], config: TrainingConfig, corpus: Corpus, dtype: torch.dtype) -> Kind:
    generator = torch.Generator().manual_seed(config.seed)
    network = build_model(config.model, len(corpus.vocabulary), generator)
    set_precision(network, dtype)
    train, dev = (Examples.of(names, corpus.vocabulary) for names in (corpus.split.train, corpus.split.dev))
    return kind(network, config, train, dev, generator)


def set_precision(network: Network, dtype: torch.dtype) -> None:
    """Convert every array of the network to `dtype`, in place; parameters stay trainable leaves."""
    for layer in network.layers.layers.values():
        for key, array in layer.arrays().items():
            setattr(layer, key, array.detach().to(dtype).requires_grad_(array.requires_grad))


def train_both(by_hand: Trainer, by_autograd: Trainer, show: Callable[[Step], None]) -> Iterator[StepPair]:
    """Train both to the end, one step each in turn. Raises `TrainingError` as `Trainer.fit` does."""
    for one, other in zip(by_hand.fit(), by_autograd.fit(), strict=True):
        pairs = zip(by_hand.parameters, by_autograd.parameters, strict=True)
        difference = max(float((mine - theirs).detach().abs().max()) for mine, theirs in pairs)
        show(one)
        yield StepPair(one, other, difference)


PRECISIONS = {"double": torch.float64, "single": torch.float32}
# Largest difference of the final dev losses. Rounding errors grow from step to step; with single precision they may
# reach the printed digits.
AGREEMENT = {torch.float64: 1e-6, torch.float32: 1e-3}
# Architectures with a rule by hand for every layer, and the preset of their hyperparameters.
PRESETS = {"mlp": "mlp-lecture", "wavenet": "wavenet-lecture"}
STEPS = 2000
DEV_LOSSES = 10


@click.command("backprop-check")
@one_list_options
@click.option(
    "--architecture", type=click.Choice(list(PRESETS)), default="mlp", show_default=True, help="Architecture to train."
)
@click.option(
    "--precision",
    type=click.Choice(list(PRECISIONS)),
    default="double",
    show_default=True,
    help="Precision of every number.",
)
@click.option(
    "--steps", type=click.IntRange(1, 1_000_000), default=STEPS, show_default=True, help="Steps of the two trainings."
)
@click.option("--out", type=click.Path(path_type=Path), help="Draw the trainings, as a PNG file.")
def compare_gradients(
    dataset: str,
    data: Path | None,
    reading: ReadOptions,
    architecture: str,
    precision: str,
    steps: int,
    out: Path | None,
) -> None:
    """Compare the backward pass written by hand with autograd's.

    The command compares every tensor of one batch, then two trainings from the same start, one by hand and one by
    autograd.
    """
    changes = {"steps": steps, "eval_every": max(1, steps // DEV_LOSSES)}
    config = load_config(PRESETS[architecture], dataset if data is None else "own", changes)
    corpus = one_list(dataset, data, config.split_seed, reading)
    if out is not None:
        prepare_picture(out)
    console, dtype = Console(), PRECISIONS[precision]
    choose_device("cpu")
    by_hand, by_autograd = start(config, corpus, dtype)
    batch = _batch(config, corpus, dtype)
    rows = check(by_hand.network, batch)
    console.print(_table(rows, precision))
    _check_gradients(rows)
    steps_compared = _train_both(console, by_hand, by_autograd)
    console.print(_step_table(steps_compared))
    for line in _summary_lines(rows, steps_compared, by_hand, by_autograd):
        console.print(Text(line), soft_wrap=True)
    if out is not None:
        symbols = [printable_character(character) for character in corpus.vocabulary.itos]
        picture = backprop_plot(_logit_gradients(by_hand, batch), batch.targets.tolist(), symbols, steps_compared)
        write_output(out.parent, {out.name: picture}, "--out")
        console.print(Text(f"Written: {out}"), soft_wrap=True)
    _check_dev_losses(by_hand, by_autograd, AGREEMENT[dtype])


def _batch(config: TrainingConfig, corpus: Corpus, dtype: torch.dtype) -> Windows:
    """Return the first batch of both trainings."""
    batch = start(config, corpus, dtype)[0].batches.draw()
    if not isinstance(batch, Windows):
        raise TrainingError("The preset has whole names for batches; the backward pass by hand goes over windows.")
    return batch


def _logit_gradients(trainer: Trainer, batch: Windows) -> torch.Tensor:
    """Return the gradient of the trained network's loss for the logits of its first batch, (B, V)."""
    with torch.no_grad():
        return cross_entropy_backward(trainer.network.windows(batch.X), batch.targets)


def _table(rows: Sequence[Row], precision: str) -> Table:
    """Return the table of all gradients, a section for each part."""
    table = Table(title=f"Gradients by hand beside autograd's, {precision} precision", title_justify="left")
    table.add_column("\ngradient of", no_wrap=True)
    for head in ("\nshape", "\nexact", "\napproximate", "largest\ndifference"):
        table.add_column(head, justify="right")
    part = ""
    for row in rows:
        if row.part != part:
            part = row.part
            table.add_section()
            table.add_row(Text(part, style="bold"))
        marks = (_yes(row.exact), _yes(row.close))
        table.add_row(f"  {row.name}", "x".join(map(str, row.shape)), *marks, _format_difference(row.difference))
    return table


def _format_difference(difference: float) -> str:
    return f"{difference:.1e}" if difference else "0"


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def _check_gradients(rows: Sequence[Row]) -> None:
    if wrong := [f"{row.name} ({row.part}) by {row.difference:.1e}" for row in rows if not row.close]:
        raise TrainingError(
            f"{len(wrong)} of {len(rows)} gradients by hand are not autograd's: {', '.join(wrong)}. Correct the rules "
            "in training/lessons/backprop.py; start with the first wrong one in the backward pass."
        )


def _train_both(console: Console, by_hand: HandTrainer, by_autograd: Trainer) -> list[StepPair]:
    steps_compared: list[StepPair] = []
    with stop_requests() as is_stopped, progress_on(console, time.monotonic) as progress:

        def show(step: Step) -> None:
            if is_stopped():
                raise Interrupted(f"Stopped after step {step.step:,} of {step.total:,}; nothing was written.")
            progress.show(step)

        steps_compared.extend(train_both(by_hand, by_autograd, show))
    return steps_compared


def _step_table(steps_compared: Sequence[StepPair]) -> Table:
    """Return the table of both trainings, with a row for each measured dev loss."""
    table = Table(title="Two trainings, same start, same batches: dev loss", title_justify="left")
    for head in ("step", "by hand", "by autograd", "losses apart", "weights apart at most"):
        table.add_column(head, justify="right")
    for pair in steps_compared:
        one, other = pair.by_hand.dev_loss, pair.by_autograd.dev_loss
        if one is not None and other is not None:
            losses = (f"{one:.6f}", f"{other:.6f}", _format_difference(abs(one - other)))
            table.add_row(f"{pair.by_hand.step:,}", *losses, _format_difference(pair.difference))
    return table


def _summary_lines(
    rows: Sequence[Row], steps_compared: Sequence[StepPair], by_hand: Trainer, by_autograd: Trainer
) -> list[str]:
    exact = sum(row.exact for row in rows)
    close = sum(row.close for row in rows)
    last = _format_difference(steps_compared[-1].difference)
    return [
        f"gradients compared: {len(rows)}",
        f"gradients that agree: {close}",
        f"gradients that are the same to the bit: {exact}",
        f"largest difference of a gradient: {_format_difference(max(row.difference for row in rows))}",
        f"largest difference of a weight after {len(steps_compared):,} steps: {last}",
        f"dev loss by hand: {by_hand.best_loss:.4f}",
        f"dev loss by autograd: {by_autograd.best_loss:.4f}",
        f"difference of the dev losses: {_format_difference(abs(by_hand.best_loss - by_autograd.best_loss))}",
    ]


def _check_dev_losses(by_hand: Trainer, by_autograd: Trainer, most: float) -> None:
    difference = abs(by_hand.best_loss - by_autograd.best_loss)
    if not difference <= most:
        raise TrainingError(
            f"The two trainings ended {difference:.1e} apart in dev loss; rounding alone allows {most:.0e}. Their "
            "gradients or batches differ."
        )


# Rows of the batch to show; more would be too thin to see.
ROWS = 32
# Letters that fit below the columns; with more, only every second or third column has a label.
COLUMNS = 40
# Represents 0 on a logarithmic axis: smaller than any difference of two doubles near 1.
NOTHING = 1e-18


def backprop_plot(
    dlogits: Tensor, targets: Sequence[int], symbols: Sequence[str], steps_compared: Sequence[StepPair]
) -> bytes:
    """Return `backprop_figure` as a PNG. The same numbers give the same file. Raises `ValueError`."""
    buffer = io.BytesIO()
    figure = backprop_figure(dlogits, targets, symbols, steps_compared)
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def backprop_figure(
    dlogits: Tensor, targets: Sequence[int], symbols: Sequence[str], steps_compared: Sequence[StepPair]
) -> Figure:
    """Return a figure of dlogits (B, V) times B, both losses, and the differences of the weights.

    Raises `ValueError` without steps.
    """
    if not steps_compared:
        raise ValueError("A training without steps has no plot.")
    figure = Figure(figsize=(12, 6.2), dpi=110, layout="constrained", facecolor="#ffffff")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, width_ratios=(1.15, 1), hspace=0.08, wspace=0.06)
    pulls = figure.add_subplot(grid[:, 0])
    _draw_logit_gradients(pulls, dlogits * len(dlogits), targets, symbols)
    after = f"After {len(steps_compared):,} {'step' if len(steps_compared) == 1 else 'steps'}"
    pulls.set_title(f"{after}: each row pulls one character up, pushes the rest", loc="left", color=INK, fontsize=12)
    _plot_losses(figure.add_subplot(grid[0, 1]), steps_compared)
    _plot_differences(figure.add_subplot(grid[1, 1]), steps_compared)
    return figure


def _draw_logit_gradients(axes: Axes, dlogits: Tensor, targets: Sequence[int], symbols: Sequence[str]) -> None:
    shown = dlogits[:ROWS]
    image = axes.imshow(shown.numpy(), cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    columns = COLUMNS // max(map(len, symbols))
    every = range(0, len(symbols), -(-len(symbols) // columns))
    axes.set_xticks(every, [symbols[i] for i in every])
    axes.set_yticks(range(len(shown)), [symbols[i] for i in targets[: len(shown)]])
    axes.set_xlabel("character of the logit", color=INK)
    axes.set_ylabel("one row for each example: the character that came", color=INK)
    axes.tick_params(length=0, colors=INK, labelsize=8.5)
    axes.figure.colorbar(image, ax=axes, shrink=0.5, label="gradient of the logit, times the batch size")
    for side in axes.spines.values():
        side.set_color(FAINT)


def _plot_losses(axes: Axes, steps_compared: Sequence[StepPair]) -> None:
    for label, width, colour, losses in (
        ("by hand", 6, "#a3c8e8", [pair.by_hand.loss for pair in steps_compared]),
        ("by autograd", 1.4, TRAIN, [pair.by_autograd.loss for pair in steps_compared]),
    ):
        axes.plot(*smoothed(losses), color=colour, linewidth=width, label=label, solid_capstyle="round")
    axes.set_ylabel("nats per character", color=INK)
    axes.set_title("Two trainings, one loss", loc="left", color=INK, fontsize=12)
    axes.legend(frameon=False, labelcolor=INK)
    _style_axes(axes)


def _plot_differences(axes: Axes, steps_compared: Sequence[StepPair]) -> None:
    steps = [pair.by_hand.step for pair in steps_compared]
    axes.semilogy(steps, [max(pair.difference, NOTHING) for pair in steps_compared], color=DEV, linewidth=1.2)
    axes.set_xlabel("step", color=INK)
    axes.set_ylabel("largest difference", color=INK)
    axes.set_title("How far rounding drives their weights apart", loc="left", color=INK, fontsize=12)
    _style_axes(axes)


def _style_axes(axes: Axes) -> None:
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.tick_params(colors=INK, labelsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
