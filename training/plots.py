"""Plots: the loss over steps, and helpers for other figures."""

import io
import math
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.trainer import History, smoothed

TRAIN, DEV, FAINT, INK = "#4477aa", "#cc3311", "#d5d5d5", "#333333"
# Ticks of the logarithmic loss axis, in nats.
TICKS = [0.5, 1, 1.25, 1.5, 1.75, 2, 2.25, 2.5, 2.75, 3, 3.5, 4, 5, 7, 10, 15, 20, 30, 50, 70, 100]


def loss_plot(history: History, title: str, best_step: int) -> bytes:
    """Return a PNG of the smoothed training loss and the dev losses, with the best one marked.

    The logarithmic axis shows both the fall at the start and the small differences at the end. Raises `ValueError` for
    a history without steps.
    """
    if not history.losses:
        raise ValueError("A run without steps has no plot.")
    figure = Figure(figsize=(7.2, 4.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    steps, losses = smoothed(history.losses)
    axes.plot(steps, losses, color=TRAIN, linewidth=1.4, label="train (mean over neighbouring steps)")
    low, high = min(losses), max(losses)
    if history.dev:
        low, high = _plot_dev(axes, history, best_step, low, high)
    _style_axes(axes, title, low, high)
    buffer = io.BytesIO()
    # Without the date and the version of the program, the same run gives the same file.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _plot_dev(axes: Axes, history: History, best_step: int, low: float, high: float) -> tuple[float, float]:
    steps, losses = zip(*history.dev, strict=True)
    axes.plot(steps, losses, "o-", color=DEV, markersize=3.5, linewidth=1, label="dev")
    best = dict(history.dev).get(best_step)
    if best is not None:
        axes.plot([best_step], [best], "o", color=DEV, markersize=8, fillstyle="none")
        axes.annotate(
            f"{best:.3f}", (best_step, best), (0, 9), textcoords="offset points", ha="center", color=DEV, fontsize=9
        )
    return min(low, *losses), max(high, *losses)


def _style_axes(axes: Axes, title: str, low: float, high: float) -> None:
    axes.set_title(title, loc="left", color=INK)
    axes.set_xlabel("step", color=INK)
    axes.set_ylabel("nats per character", color=INK)
    axes.set_yscale("log")
    low, high = math.log(low) - 0.03, math.log(high) + 0.03
    axes.set_ylim(math.exp(low), math.exp(high))
    shown = [tick for tick in TICKS if low <= math.log(tick) <= high]
    axes.set_yticks(shown, [f"{tick:g}" for tick in shown])
    axes.set_yticks([], minor=True)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.tick_params(colors=INK, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches, with a constrained layout."""
    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def style_axes(axes: Axes, title: str, x: str, y: str) -> None:
    """Set the title, labels and style of `axes`."""
    axes.set_title(title, loc="left", color=INK, fontsize=10.5)
    axes.set_xlabel(x, color=INK, fontsize=9)
    axes.set_ylabel(y, color=INK, fontsize=9)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=8.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def add_legend(axes: Axes, loc: Literal["best", "upper right"] = "best") -> None:
    """Add the legend to `axes`."""
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc=loc)


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
