"""The paper that the lessons' pictures are drawn on: axes side by side, dressed alike, as a PNG. No sums."""

import io
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.plots import FAINT, INK


def new_sheet(width: float, height: float) -> Figure:
    """Return an empty figure, inches wide and high, whose axes find their room themselves."""
    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def dress(axes: Axes, title: str, x: str, y: str) -> None:
    """Give `axes` their words and the house's quiet looks."""
    axes.set_title(title, loc="left", color=INK, fontsize=10.5)
    axes.set_xlabel(x, color=INK, fontsize=9)
    axes.set_ylabel(y, color=INK, fontsize=9)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=8.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def tell(axes: Axes, loc: Literal["best", "upper right"] = "best") -> None:
    """Add the legend."""
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc=loc)


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
