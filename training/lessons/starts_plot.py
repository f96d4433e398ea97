"""The picture of the starts: how stuck the layers are before the first step, and how the losses fall. Drawn only."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from training.history import smoothed
from training.inside.pictures import COLOURS
from training.lessons.sheet import dress, new_sheet, png, tell
from training.lessons.starts import Result
from training.plots import INK, TICKS

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
