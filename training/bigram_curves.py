"""The picture of smoothing beside L2: what both losses do as the strength grows. Drawn without pyplot; the numbers are
`bigram_twice`'s.
"""

import io
import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.bigram_twice import PENALTIES, SMOOTHINGS, Losses, Twice
from training.plots import DEV, FAINT, INK, TRAIN


def strength_plot(twice: Twice) -> bytes:
    """Return a PNG of train and dev loss over the strength of either way, on one scale. The same numbers give the same
    file.
    """
    figure = Figure(figsize=(10, 4), dpi=110, layout="constrained", facecolor="#ffffff")
    FigureCanvasAgg(figure)
    first = figure.add_subplot(1, 2, 1)
    second = figure.add_subplot(1, 2, 2, sharey=first)
    V = len(twice.W)
    _curve(first, "Smoothing: added to every count", SMOOTHINGS, twice.smoothed, V)
    _curve(second, "L2: times the mean square of the weights", PENALTIES, twice.penalised, V)
    first.set_ylabel("nats per character", color=INK)
    first.legend(frameon=False, labelcolor=INK, loc="center left")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _curve(axes: Axes, title: str, strengths: Sequence[float], losses: Sequence[Losses], V: int) -> None:
    """Draw both losses; none at all is left out, as a logarithmic axis has no place for it."""
    shown = [(strength, one) for strength, one in zip(strengths, losses, strict=True) if strength > 0]
    x = [strength for strength, _ in shown]
    axes.plot(x, [one.train for _, one in shown], "o-", color=TRAIN, markersize=4, linewidth=1.5, label="train")
    axes.plot(x, [one.dev for _, one in shown], "o-", color=DEV, markersize=4, linewidth=1.5, label="dev")
    best, lowest = min(shown, key=lambda pair: pair[1].dev)
    axes.plot([best], [lowest.dev], "o", color=DEV, markersize=11, fillstyle="none")
    note = f"lowest dev: {lowest.dev:.4f}\nat {best:g}"
    axes.annotate(note, (best, lowest.dev), (-5, 12), textcoords="offset points", ha="left", color=DEV, fontsize=9)
    axes.axhline(math.log(V), color=INK, linewidth=0.9, linestyle=":")
    axes.text(x[0], math.log(V), f"even guesses: ln {V}", color=INK, fontsize=9, va="bottom")
    axes.set_xscale("log")
    axes.margins(0.08, 0.12)
    axes.set_title(title, loc="left", color=INK, fontsize=11)
    axes.set_xlabel("strength", color=INK)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.tick_params(colors=INK, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
