"""The picture of a learning-rate range test: loss over rate, with what it suggests. Drawn without pyplot."""

import io
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.plots import DEV, FAINT, INK, TRAIN
from training.search.lr_range import Point, Suggestion

# Losses above the first one times this are cut off: they would squeeze the valley that matters.
ROOM_ABOVE = 1.25


def range_plot(points: Sequence[Point], suggestion: Suggestion, title: str) -> bytes:
    """Return a PNG of the loss over the learning rate, both suggestions marked. The same points give the same file."""
    figure = Figure(figsize=(7.2, 4.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    rates = [point.rate for point in points]
    axes.plot(rates, [point.batch_loss for point in points], ".", color=FAINT, markersize=4, label="one batch")
    axes.plot(rates, [point.loss for point in points], color=TRAIN, linewidth=1.6, label="running mean")
    _mark(axes, points, suggestion.tenth_of_lowest, "a tenth of the lowest loss's rate", "s", INK)
    _mark(axes, points, suggestion.steepest, "suggested, falls fastest", "o", DEV)
    _dress(axes, points, title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _mark(axes: Axes, points: Sequence[Point], rate: float, words: str, marker: str, color: str) -> None:
    nearest = min(points, key=lambda point: abs(point.rate - rate))
    label = f"{words}: {rate:.2g}"
    axes.plot([nearest.rate], [nearest.loss], marker, color=color, markersize=8, fillstyle="none", label=label)
    axes.axvline(nearest.rate, color=color, linewidth=0.8, linestyle=":")


def _dress(axes: Axes, points: Sequence[Point], title: str) -> None:
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
