"""The picture of the backward pass by hand: where it begins, and a training by it beside one by autograd. Drawn without
pyplot; nothing is computed here but layout.
"""

import io
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from training.backprop_race import StepPair
from training.history import smoothed
from training.plots import DEV, FAINT, INK, TRAIN

# Rows of the batch that are shown: more would be too thin to see.
ROWS = 32
# Letters that fit below the columns; where there are more, only every second or third column is named.
COLUMNS = 40
# Below every difference of two doubles near 1: stands for none at all on a logarithmic axis.
NOTHING = 1e-18


def backprop_plot(
    dlogits: Tensor, targets: Sequence[int], symbols: Sequence[str], steps_compared: Sequence[StepPair]
) -> bytes:
    """Return the figure of `backprop_figure` as a PNG. The same numbers give the same file. Raises `ValueError`."""
    buffer = io.BytesIO()
    figure = backprop_figure(dlogits, targets, symbols, steps_compared)
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def backprop_figure(
    dlogits: Tensor, targets: Sequence[int], symbols: Sequence[str], steps_compared: Sequence[StepPair]
) -> Figure:
    """Return dlogits (B, V) times B as pulls and pushes, both losses, and how far the weights came apart.

    Raises `ValueError` without a pair.
    """
    if not steps_compared:
        raise ValueError("A race without a step has no picture.")
    figure = Figure(figsize=(12, 6.2), dpi=110, layout="constrained", facecolor="#ffffff")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, width_ratios=(1.15, 1), hspace=0.08, wspace=0.06)
    pulls = figure.add_subplot(grid[:, 0])
    _pulls(pulls, dlogits * len(dlogits), targets, symbols)
    after = f"After {len(steps_compared):,} {'step' if len(steps_compared) == 1 else 'steps'}"
    pulls.set_title(f"{after}: each row pulls one character up, pushes the rest", loc="left", color=INK, fontsize=12)
    _losses(figure.add_subplot(grid[0, 1]), steps_compared)
    _apart(figure.add_subplot(grid[1, 1]), steps_compared)
    return figure


def _pulls(axes: Axes, dlogits: Tensor, targets: Sequence[int], symbols: Sequence[str]) -> None:
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


def _losses(axes: Axes, steps_compared: Sequence[StepPair]) -> None:
    for label, width, colour, losses in (
        ("by hand", 6, "#a3c8e8", [pair.by_hand.loss for pair in steps_compared]),
        ("by autograd", 1.4, TRAIN, [pair.by_autograd.loss for pair in steps_compared]),
    ):
        axes.plot(*smoothed(losses), color=colour, linewidth=width, label=label, solid_capstyle="round")
    axes.set_ylabel("nats per character", color=INK)
    axes.set_title("Two trainings, one loss", loc="left", color=INK, fontsize=12)
    axes.legend(frameon=False, labelcolor=INK)
    _dress(axes)


def _apart(axes: Axes, steps_compared: Sequence[StepPair]) -> None:
    steps = [pair.by_hand.step for pair in steps_compared]
    axes.semilogy(steps, [max(pair.apart, NOTHING) for pair in steps_compared], color=DEV, linewidth=1.2)
    axes.set_xlabel("step", color=INK)
    axes.set_ylabel("largest difference", color=INK)
    axes.set_title("How far rounding drives their weights apart", loc="left", color=INK, fontsize=12)
    _dress(axes)


def _dress(axes: Axes) -> None:
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.tick_params(colors=INK, labelsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
