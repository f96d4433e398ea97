"""Plots of the diagnostics as PNG files, the good run beside the bad one."""

import io
import math
from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from training.diagnostics.statistics import Distribution, Snapshot, TrainingCurve, principal_plane
from training.plots import DEV, FAINT, INK, TICKS, TRAIN
from training.trainer import smoothed

VOWELS = frozenset("aeiouyáàâäãåéèêëíìîïóòôöõøúùûüæœ")
# Colours that stay apart for most kinds of colour blindness (Paul Tol's bright and muted schemes, and two greys).
COLOURS = (
    *("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377"),
    *("#555555", "#bbbbbb", "#332288", "#44aa99", "#882255", "#ddcc77"),
)
# Inches: the axes with title and labels, and one line of the legend below them.
PANEL_INCHES, LINE_INCHES = 3.5, 0.15
# Largest x shown: a ReLU has a long tail, and the interesting part is near 0.
MAX_X = 3.0
# Times the highest and the lowest loss shown, on a logarithmic axis, and times the end of a bad run.
MARGIN, END_MARGIN = 1.08, 1.3
Draw = Callable[[Axes], None]

# The content of each plot and how to read it, for learners.
EXPLANATIONS = {
    "activations.png": "The outputs of each activation layer for one batch, at both starts before their first step; a "
    'panel labelled "trained" has the learned weights. Outputs near -1 and 1 are saturated: tanh is flat there, and '
    "hardly any gradient passes; the same holds for a sigmoid near 0 and 1. A broad hill in the middle is good. For an "
    "lstm the plot shows the gates, whose saturation matters, and the outputs, whose saturation does not.",
    "gradients.png": "The gradient of the loss at the outputs of each layer. Equal widths in all layers are good; "
    "widths that shrink or grow from layer to layer mean that some layers learn and others do not.",
    "weights.png": "The gradient of each matrix, and its spread divided by that of the weights (grad:data). A matrix "
    "with a ratio far above the others changes too fast at first.",
    "updates.png": "The size of one step relative to each matrix, on a logarithmic scale. The lectures recommend the "
    "dashed line, a thousandth; far below it learning is slow, far above it is unstable.",
    "losses.png": "The loss of both runs, on a scale that fits the good one: the bad one may begin far above it. A "
    "good start begins at the logarithm of the number of characters, the loss of a uniform guess; a bad start is "
    "confidently wrong, and its first steps only correct that.",
    "embedding.png": "The embeddings of the characters, on the two directions of largest variance. Characters with a "
    "similar role in names get close to each other: vowels often form a cluster.",
}


def activations(snapshots: Mapping[str, Snapshot]) -> bytes:
    """Return histograms of each nonlinear layer's outputs, one panel for each snapshot."""
    panels = {f"{title}\nloss {s.loss:.2f}": _histograms(s.activations, _saturated) for title, s in snapshots.items()}
    return _panels("What comes out of each layer", panels, "output", "density")


def gradients(snapshots: Mapping[str, Snapshot]) -> bytes:
    """Return histograms of the loss's gradient at each nonlinear layer's outputs."""
    panels = {t: _histograms(s.gradients, lambda g: f"{g.name}: std {g.std:.1e}") for t, s in snapshots.items()}
    return _panels("How much each layer's output matters to the loss", panels, "gradient", "density")


def weights(snapshots: Mapping[str, Snapshot]) -> bytes:
    """Return histograms of each matrix's gradient, with its spread over that of the weights."""
    panels = {
        t: _histograms(s.weights, lambda g: f"{g.name}: grad:data {g.share:.1e}", is_steep=True)
        for t, s in snapshots.items()
    }
    return _panels("Gradients of the weights", panels, "gradient", "density")


def updates(curves: Mapping[str, TrainingCurve]) -> bytes:
    """Return log10 of each matrix's update:data ratio over steps, with the target line at -3."""

    def lines(curve: TrainingCurve) -> Draw:
        def draw(axes: Axes) -> None:
            for colour, (name, ratios) in zip(_cycle(len(curve.ratios)), curve.ratios.items(), strict=True):
                steps, means = smoothed([math.log10(max(ratio, 1e-9)) for ratio in ratios])
                axes.plot(steps, means, color=colour, linewidth=1.1, label=name)
            axes.axhline(-3, color=INK, linewidth=1, linestyle="--")
            axes.set_ylim(-5, 0)

        return draw

    return _panels(
        "How far each step moves the weights", {t: lines(c) for t, c in curves.items()}, "step", "log10 update : data"
    )


def losses(curves: Mapping[str, TrainingCurve]) -> bytes:
    """Return the losses of both runs on one logarithmic scale, the good run first.

    The scale fits the good run. If the bad run starts above it, a label says where.
    """
    low, top = loss_limits(list(curves.values()))

    def lines(curve: TrainingCurve) -> Draw:
        def draw(axes: Axes) -> None:
            steps, means = smoothed(curve.losses)
            axes.plot(steps, means, color=TRAIN, linewidth=1.3, label="train")
            if curve.dev:
                axes.plot(*zip(*curve.dev, strict=True), "o-", color=DEV, markersize=3, linewidth=1, label="dev")
                step, loss = curve.dev[-1]
                axes.annotate(
                    f"{loss:.2f}", (step, loss), (-4, 8), textcoords="offset points", ha="right", color=DEV, fontsize=9
                )
            if means[0] > top:
                _annotate_start(axes, steps, means, top)
            axes.set_yscale("log")
            axes.set_ylim(low, top)
            shown = [tick for tick in TICKS if low <= tick <= top]
            axes.set_yticks(shown, [f"{tick:g}" for tick in shown])
            axes.set_yticks([], minor=True)

        return draw

    return _panels("The loss", {t: lines(c) for t, c in curves.items()}, "step", "nats per character")


def loss_limits(curves: Sequence[TrainingCurve]) -> tuple[float, float]:
    """Return the lowest and highest loss to show: all of the first run, and the end of every other run."""
    first, *others = ([smoothed(curve.losses)[1], [loss for _, loss in curve.dev]] for curve in curves)
    ends = [losses[-1] for run in others for losses in run if losses]
    lowest = min(min(losses) for run in (first, *others) for losses in run if losses)
    return lowest / MARGIN, max(
        *(max(losses) * MARGIN for losses in first if losses), *(end * END_MARGIN for end in ends)
    )


def _annotate_start(axes: Axes, steps: Sequence[float], losses: Sequence[float], top: float) -> None:
    """Write the first loss beside the point where the losses enter the plot, on the emptier side."""
    enters = next((step for step, loss in zip(steps, losses, strict=True) if loss <= top), steps[-1])
    share = enters / steps[-1]
    x, side = (share - 0.03, "right") if share > 0.3 else (share + 0.12, "left")
    axes.text(
        x, 0.95, f"begins at {losses[0]:.1f}", transform=axes.transAxes, ha=side, va="top", color=TRAIN, fontsize=9
    )


def embedding(weight: Tensor, symbols: Sequence[str]) -> bytes:
    """Return a map of the embedding (V, C) along its two principal components, with coloured vowels."""
    points, share = principal_plane(weight)
    figure = Figure(figsize=(5.6, 5.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for (x, y), symbol in zip(points.tolist(), symbols, strict=True):
        colour = DEV if symbol in VOWELS else TRAIN
        axes.plot([x], [y], "o", color=colour, alpha=0.15, markersize=15, markeredgewidth=0)
        axes.annotate(symbol, (x, y), ha="center", va="center", color=colour, fontsize=11)
    axes.set_title(f"Where the characters lie ({share:.0%} of their spread)", loc="left", color=INK, fontsize=11)
    axes.margins(0.08)
    _style_axes(axes)
    return _png(figure)


def _saturated(one: Distribution) -> str:
    label = f"{one.name}: std {one.std:.2f}"
    return label if one.share is None else f"{label}, saturated {one.share:.0%}"


def _histograms(
    distributions: Sequence[Distribution], label: Callable[[Distribution], str], *, is_steep: bool = False
) -> Draw:
    """Return a function that draws one line for each distribution, on a logarithmic scale if it is steep."""

    def draw(axes: Axes) -> None:
        for colour, one in zip(_cycle(len(distributions)), distributions, strict=True):
            middles = [(a + b) / 2 for a, b in zip(one.edges, one.edges[1:], strict=False)]
            axes.plot(middles, one.counts, color=colour, linewidth=1.3, label=label(one))
        if is_steep:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        low, high = axes.get_xlim()
        axes.set_xlim(max(low, -MAX_X), min(high, MAX_X))

    return draw


def _cycle(n: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(n)]


def _panels(title: str, panels: Mapping[str, Draw], x: str, y: str) -> bytes:
    figure = Figure(figsize=(4.6 * len(panels), PANEL_INCHES), dpi=100)
    FigureCanvasAgg(figure)
    every = [figure.add_subplot(1, len(panels), i + 1) for i in range(len(panels))]
    for axes, (name, draw) in zip(every, panels.items(), strict=True):
        draw(axes)
        axes.set_title(name, loc="left", color=INK, fontsize=9.5)
        axes.set_xlabel(x, color=INK, fontsize=9)
        axes.set_ylabel(y, color=INK, fontsize=9)
        _style_axes(axes)
    below = LINE_INCHES * max(len(axes.get_legend_handles_labels()[1]) for axes in every) + 0.1
    height = PANEL_INCHES + below
    figure.set_size_inches(4.6 * len(panels), height)
    figure.subplots_adjust(
        left=0.7 / (4.6 * len(panels)), right=0.99, top=1 - 0.8 / height, bottom=(below + 0.55) / height, wspace=0.24
    )
    figure.suptitle(title, x=0.01, y=1 - 0.1 / height, va="top", ha="left", color=INK, fontsize=12)
    for axes in every:
        inches = axes.get_position().height * height
        axes.legend(
            frameon=False,
            fontsize=7,
            labelcolor=INK,
            loc="upper left",
            bbox_to_anchor=(0, -0.5 / inches),
            borderaxespad=0,
            labelspacing=0.25,
        )
    return _png(figure)


def _style_axes(axes: Axes) -> None:
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.tick_params(colors=INK, labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    # Without the date and the version of the program, the same run gives the same file.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
