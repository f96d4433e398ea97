"""The lesson on bigrams: one table by counting and by gradient descent. Numbers, plots and command."""

import io
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from data import ReadOptions
from models import Vocabulary
from models.networks import count_bigrams
from models.vocabulary import END, END_SYMBOL
from training.corpus import Corpus
from training.dataset import Examples
from training.device import choose_device
from training.errors import Interrupted
from training.lessons.bigram_fits import descend, log_probabilities, loss_of, one_hot_loss
from training.options import one_list, one_list_options
from training.paths import prepare_picture, write_output
from training.plots import DEV, FAINT, INK, TRAIN
from training.progress import progress_on, stop_requests
from training.report import printable_character

# Strengths to compare, from none to almost uniform distributions.
SMOOTHINGS = (0.0, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0)
PENALTIES = (0.0, 0.0001, 0.001, 0.01, 0.1, 1.0, 10.0, 100.0)
# Smoothings at which counting and gradient descent are compared.
FIT_SMOOTHINGS = (0.0, 0.1, 1.0, 10.0)
# Called with the number of finished steps and the total.
ProgressCallback = Callable[[int, int], None]
# Weight updates between two calls of the progress callback.
REPORT_EVERY = 100_000


@dataclass(frozen=True)
class Losses:
    """The train and dev loss of a table of probabilities, in nats per character."""

    train: float
    dev: float


@dataclass(frozen=True)
class FitComparison:
    """One smoothing, by counting and by gradient descent on the same smoothed counts.

    `difference`: the largest difference of a probability; `steps`: steps of gradient descent.
    """

    smoothing: float
    counted: Losses
    descended: Losses
    difference: float
    steps: int


@dataclass(frozen=True)
class BigramComparison:
    """The whole comparison.

    `smoothed` and `penalised`: the losses for each of `SMOOTHINGS` and `PENALTIES`; `W` (V, V): the weights without
    smoothing or penalty.
    """

    fits: tuple[FitComparison, ...]
    smoothed: tuple[Losses, ...]
    penalised: tuple[Losses, ...]
    W: Tensor


def compare(train: Tensor, dev: Tensor, steps: int, on_progress: ProgressCallback) -> BigramComparison:
    """Compare both methods on the counts (V, V) of the train names, in float64.

    Each descent has at most `steps` steps. `on_progress` may raise to stop. Raises `ValueError` for an empty list.
    """
    pause = max(1, REPORT_EVERY // train.numel())
    total = steps * (len(FIT_SMOOTHINGS) + len(PENALTIES) - 1)
    fits_done = 0

    def fit(N: Tensor, l2: float) -> tuple[Tensor, int]:
        nonlocal fits_done
        for step, W in descend(N, l2, steps):  # noqa: B007 (the last ones are what counts)
            if step % pause == 0:
                on_progress(fits_done * steps + step, total)
        fits_done += 1
        on_progress(fits_done * steps, total)
        return W, step

    def losses(log_probs: Tensor) -> Losses:
        return Losses(loss_of(log_probs, train), loss_of(log_probs, dev))

    def compare_fits(smoothing: float) -> tuple[FitComparison, Tensor]:
        counted = log_probabilities(train, smoothing)
        W, steps_taken = fit(train + smoothing, 0.0)
        found = W.log_softmax(1)
        difference = float((counted.exp() - found.exp()).abs().max())
        return FitComparison(smoothing, losses(counted), losses(found), difference, steps_taken), W

    fits = [compare_fits(smoothing) for smoothing in FIT_SMOOTHINGS]
    penalised = [losses(fit(train, l2)[0].log_softmax(1)) for l2 in PENALTIES[1:]]
    return BigramComparison(
        fits=tuple(fit for fit, _ in fits),
        smoothed=tuple(losses(log_probabilities(train, smoothing)) for smoothing in SMOOTHINGS),
        # Without penalty and without smoothing the fit is the same, so reuse it.
        penalised=(fits[0][0].descended, *penalised),
        W=fits[0][1],
    )


SPLIT_SEED = 42
STEPS = 10_000
# The smoothing of the shipped bigram.
DEFAULT_SMOOTHING = 1.0
# Largest gap to the counted loss, in nats, at which the penalties can be compared.
MAX_GAP = 0.001


@click.command("bigram-picture")
@one_list_options
@click.option("--out", type=click.Path(path_type=Path), default="bigram.png", show_default=True, help="The picture.")
@click.option("--curves", type=click.Path(path_type=Path), help="Draw smoothing beside L2 as well, as a PNG file.")
@click.option(
    "--steps",
    type=click.IntRange(1, 1_000_000),
    default=STEPS,
    show_default=True,
    help="Maximum steps of each descent.",
)
def draw_bigrams(
    dataset: str, data: Path | None, reading: ReadOptions, out: Path, curves: Path | None, steps: int
) -> None:
    """Draw how often each character follows another, and fit the same table by gradient descent.

    Every loss is in nats per character, including the end token.
    """
    corpus = one_list(dataset, data, SPLIT_SEED, reading)
    prepare_picture(out)
    if curves is not None:
        prepare_picture(curves, "--curves")
    console = Console()
    choose_device("cpu")
    N, dev = (count_bigrams(names, corpus.vocabulary) for names in (corpus.split.train, corpus.split.dev))
    comparison = _compare(console, N.double(), dev.double(), steps)
    grid = count_grid(N.numpy(), corpus.vocabulary)
    picture = bigram_plot(grid, f"{_title(corpus, data)}: which character follows which")
    write_output(out.parent, {out.name: picture}, "--out")
    if curves is not None:
        write_output(curves.parent, {curves.name: strength_plot(comparison)}, "--curves")
    console.print(_fits_table(comparison))
    console.print(_strengths_table(comparison))
    for line in [
        *_summary_lines(comparison, corpus),
        *_left_out(grid),
        *(f"Written: {path}" for path in (out, curves) if path),
    ]:
        console.print(Text(line), soft_wrap=True)


def _title(corpus: Corpus, data: Path | None) -> str:
    return corpus.title if data is None else data.name


def _compare(console: Console, N: Tensor, dev: Tensor, steps: int) -> BigramComparison:
    with stop_requests() as is_stopped, progress_on(console, time.monotonic) as progress:

        def on_progress(done: int, total: int) -> None:
            if is_stopped():
                raise Interrupted(f"Stopped after step {done:,} of {total:,}; nothing was written.")
            progress.count("descending", done, total)

        return compare(N, dev, steps, on_progress)


def _fits_table(comparison: BigramComparison) -> Table:
    """Return the table of both methods; "apart" is the largest difference of a probability."""
    table = Table(title="The same model twice: counted, and found by gradient descent", title_justify="left")
    heads = ("train:\ncounted", "\ndescended", "dev:\ncounted", "\ndescended", "apart\nat most")
    for head in ("\nsmoothing", *heads, "\nsteps"):
        table.add_column(head, justify="right")
    for one in comparison.fits:
        losses = (one.counted.train, one.descended.train, one.counted.dev, one.descended.dev)
        table.add_row(f"{one.smoothing:g}", *map(_loss, losses), f"{one.difference:.1e}", f"{one.steps:,}")
    return table


def _strengths_table(comparison: BigramComparison) -> Table:
    """Return the table of smoothing beside L2, with the lowest dev loss of each marked."""
    table = Table(title="Two ways to be less sure: smoothing the counts, or a penalty on the weights")
    table.title_justify = "left"
    for head in ("smoothing", "train", "dev", "", "L2", "train", "dev", ""):
        table.add_column(head, justify="right")
    left, right = (_rows(*pair) for pair in ((SMOOTHINGS, comparison.smoothed), (PENALTIES, comparison.penalised)))
    for one, other in zip(left, right, strict=True):
        table.add_row(*one, *other)
    return table


def _rows(strengths: tuple[float, ...], losses: tuple[Losses, ...]) -> list[tuple[str, ...]]:
    best = min(range(len(losses)), key=lambda i: losses[i].dev)
    return [
        (f"{strength:g}", _loss(one.train), _loss(one.dev), "lowest" if i == best else "")
        for i, (strength, one) in enumerate(zip(strengths, losses, strict=True))
    ]


def _summary_lines(comparison: BigramComparison, corpus: Corpus) -> list[str]:
    bare = comparison.fits[0]
    default = next(one for one in comparison.fits if one.smoothing == DEFAULT_SMOOTHING)
    rows = Examples.of(corpus.split.dev, corpus.vocabulary).rows
    row_by_row = one_hot_loss(comparison.W, rows.ids, rows.targets)
    return [
        *_warning(bare),
        f"Even guesses, where the descent begins: ln({len(comparison.W)}) = {math.log(len(comparison.W)):.4f}",
        f"train loss by counting: {_loss(bare.counted.train)}",
        f"train loss by gradient descent: {_loss(bare.descended.train)}",
        f"dev loss by gradient descent, one-hot rows times weights: {_loss(row_by_row)}",
        f"dev loss by counting, smoothing {DEFAULT_SMOOTHING:g}: {_loss(default.counted.dev)}",
        f"dev loss by gradient descent, smoothing {DEFAULT_SMOOTHING:g}: {_loss(default.descended.dev)}",
    ]


def _warning(bare: FitComparison) -> list[str]:
    lines = []
    if not math.isfinite(bare.counted.dev):
        lines.append(
            "Without smoothing the counted dev loss is infinite: a dev name has a pair of characters that no train "
            "name has. The descent is on its way there, and will never arrive."
        )
    gap = bare.descended.train - bare.counted.train
    if gap > MAX_GAP:
        lines.append(
            f"After {bare.steps:,} steps the descent is still {gap:.4f} above the counted train loss: too few to say "
            f"which L2 is best. Give more with --steps; {STEPS:,} is the default."
        )
    return lines


def _loss(loss: float) -> str:
    return f"{loss:.4f}" if math.isfinite(loss) else "infinite"


# Squares per side, and inches per square, that fit a page.
MAX_SYMBOLS, SQUARE_INCHES = 27, 0.5
MARGINS = {"left": 0.75, "right": 0.3, "bottom": 0.3, "top": 1.05}
# Inches: the height of a line of text, and the width of the longest one.
LINE_INCHES, MIN_WIDTH = 0.27, 9.2
PAPER, GHOST = "#ffffff", "#b8b8b8"
SHADES = ["#edf4fb", "#a3c8e8", "#3f86c4", "#0b3c6f"]
# Number of shades, and of steps from each to its ink. A palette holds at most 256 colours.
LEVELS, PALETTE_STEPS = 32, 5
INKS = ("#03060a", "#ffffff")
# Symbol of the end token in a list that contains full stops.
OTHER_END = "∎"
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class CountGrid:
    """The shown part of a count matrix: `symbols` of both sides and their `counts` (n, n).

    `pairs` and `vocab_size` are the totals of the whole matrix.
    """

    symbols: tuple[str, ...]
    counts: Counts
    pairs: int
    vocab_size: int

    @property
    def share(self) -> float:
        """The share of all pairs that the grid shows."""
        return int(self.counts.sum()) / self.pairs


def count_grid(N: Counts, vocabulary: Vocabulary, most: int = MAX_SYMBOLS) -> CountGrid:
    """Return the grid of the end token and the most frequent characters, `most` in all. N: (V, V)."""
    others = np.argsort(-N[1:].sum(1), kind="stable")[: most - 1] + 1
    chosen = np.array([END, *sorted(others.tolist())])
    end = END_SYMBOL if END_SYMBOL not in vocabulary.characters else OTHER_END
    symbols = (end, *(printable_character(vocabulary.itos[i]) for i in chosen.tolist()[1:]))
    return CountGrid(symbols, N[np.ix_(chosen, chosen)], int(N.sum()), len(vocabulary))


def bigram_plot(grid: CountGrid, title: str) -> bytes:
    """Return a PNG of the grid. The same grid gives the same file."""
    whole, small = io.BytesIO(), io.BytesIO()
    bigram_figure(grid, title).savefig(whole, format="png", facecolor=PAPER)
    with Image.open(whole) as image:
        # The plot has only these shades and their blends, so a palette makes the file four times smaller.
        image.convert("RGB").quantize(palette=palette(), dither=Image.Dither.NONE).save(small, "png", optimize=True)
    return small.getvalue()


def palette() -> Image.Image:
    """Return an image whose palette has every shade and its blends with its ink."""
    colours = LinearSegmentedColormap.from_list("pairs", SHADES, N=LEVELS)
    pairs = [(shade, to_rgba(readable_on(shade))) for shade in (colours(i) for i in range(LEVELS))]
    pairs += [(to_rgba(PAPER), to_rgba(ink)) for ink in (INK, GHOST)]
    blends = [
        round(255 * ((1 - step / PALETTE_STEPS) * one + step / PALETTE_STEPS * other))
        for face, ink in pairs
        for step in range(PALETTE_STEPS + 1)
        for one, other in zip(face[:3], ink[:3], strict=True)
    ]
    image = Image.new("P", (1, 1))
    image.putpalette(blends)
    return image


def bigram_figure(grid: CountGrid, title: str) -> Figure:
    """Return the grid as a figure: darker pairs are more frequent, empty ones never occur."""
    n = len(grid.symbols)
    below = caption(grid)
    width, height = (n * SQUARE_INCHES + MARGINS[a] + MARGINS[b] for a, b in (("left", "right"), ("bottom", "top")))
    width, height = max(width, MIN_WIDTH), height + LINE_INCHES * len(below.splitlines())
    figure = Figure(figsize=(width, height), dpi=96, facecolor=PAPER)
    FigureCanvasAgg(figure)
    left, bottom = MARGINS["left"] / width, MARGINS["bottom"] / height
    axes = figure.add_axes((left, bottom, n * SQUARE_INCHES / width, n * SQUARE_INCHES / height))
    _squares(axes, grid)
    _sides(axes, grid.symbols)
    x = MARGINS["left"] / width
    figure.text(x, 1 - 0.2 / height, title, va="top", color=INK, fontsize=19, fontweight="bold")
    figure.text(x, 1 - 0.62 / height, below, va="top", color=INK, fontsize=12.5)
    return figure


def caption(grid: CountGrid) -> str:
    """Return the caption: how to read the picture, and which characters it leaves out or cannot draw."""
    end = f'"{grid.symbols[0]}" is where a name begins and ends.'
    how = f"Row: the character before. Column: the one that follows. {end}"
    lines = [how]
    if len(grid.symbols) < grid.vocab_size:
        n, all_of_them = len(grid.symbols) - 1, grid.vocab_size - 1
        lines.append(f"The {n} most frequent of {all_of_them} characters; {grid.share:.1%} of all pairs are here.")
    if any(len(symbol) > 1 for symbol in grid.symbols):
        lines.append("Characters that the font of the picture does not have are shown by their Unicode numbers.")
    return "\n".join(lines)


def _squares(axes: Axes, grid: CountGrid) -> None:
    n = len(grid.symbols)
    # Counts range from one to thousands; the square root keeps rare pairs visible.
    shades = np.sqrt(grid.counts / max(1, grid.counts.max()))
    colours = LinearSegmentedColormap.from_list("pairs", SHADES, N=LEVELS)
    for i, j in np.ndindex(n, n):
        count = int(grid.counts[i, j])
        face = colours(float(shades[i, j])) if count else to_rgba(PAPER)
        axes.add_patch(Rectangle((j, i), 1, 1, facecolor=face, edgecolor=PAPER if count else FAINT, linewidth=0.8))
        _write(axes, j + 0.5, i, grid.symbols[i] + grid.symbols[j], count, readable_on(face))
    axes.set_xlim(0, n)
    axes.set_ylim(n, 0)


def _write(axes: Axes, x: float, top: float, pair: str, count: int, ink: str) -> None:
    """Write a pair and its count into a square; omit the pair if a character is shown as a code."""
    is_short = len(pair) == 2
    if is_short:
        axes.text(x, top + 0.33, pair, color=ink if count else GHOST, ha="center", va="center", fontsize=11.5)
    if count:
        y = top + (0.73 if is_short else 0.5)
        axes.text(x, y, _number(count), color=ink, ha="center", va="center", fontsize=10)


def readable_on(face: tuple[float, float, float, float]) -> str:
    """Return the ink with the greater contrast on a colour (WCAG 2.2, relative luminance)."""
    return max(INKS, key=lambda ink: contrast(to_rgba(ink), face))


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Return the contrast ratio of two RGB colours, from 1 (none) to 21 (black on white)."""
    low, high = sorted(_luminance(colour) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: tuple[float, ...]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _number(count: int) -> str:
    return f"{count}" if count < 10_000 else f"{count / 1000:.0f}k"


def _sides(axes: Axes, symbols: Sequence[str]) -> None:
    middles = [i + 0.5 for i in range(len(symbols))]
    axes.set_xticks(middles, symbols)
    axes.set_yticks(middles, symbols)
    axes.xaxis.tick_top()
    size = 14 if all(len(symbol) == 1 for symbol in symbols) else 9
    axes.tick_params(length=0, labelsize=size, colors=INK, pad=5)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_fontweight("bold")
    for label in axes.get_yticklabels():
        label.set_verticalalignment("center_baseline")
    for side in axes.spines.values():
        side.set_visible(False)


def strength_plot(comparison: BigramComparison) -> bytes:
    """Return a PNG of train and dev loss over the strength of smoothing and of L2, on one scale.

    The same numbers give the same file.
    """
    figure = Figure(figsize=(10, 4), dpi=110, layout="constrained", facecolor="#ffffff")
    FigureCanvasAgg(figure)
    first = figure.add_subplot(1, 2, 1)
    second = figure.add_subplot(1, 2, 2, sharey=first)
    V = len(comparison.W)
    _curve(first, "Smoothing: added to every count", SMOOTHINGS, comparison.smoothed, V)
    _curve(second, "L2: times the mean square of the weights", PENALTIES, comparison.penalised, V)
    first.set_ylabel("nats per character", color=INK)
    first.legend(frameon=False, labelcolor=INK, loc="center left")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _curve(axes: Axes, title: str, strengths: Sequence[float], losses: Sequence[Losses], V: int) -> None:
    """Draw both losses, except at strength 0, which a logarithmic axis cannot show."""
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


def _left_out(grid: CountGrid) -> list[str]:
    """Return the lines of the caption about left-out characters."""
    return caption(grid).splitlines()[1:]
