"""The picture of a bigram: a square for each pair of characters with how often it was counted. Drawn without pyplot;
nothing is counted here.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from models import Vocabulary
from models.vocabulary import END, END_SYMBOL
from training.glyphs import symbol_of
from training.plots import FAINT, INK

# Squares to a side, and inches to a square: what a page can show.
MOST, SQUARE = 27, 0.5
MARGINS = {"left": 0.75, "right": 0.3, "bottom": 0.3, "top": 1.05}
# Inches: a line of words, and the width that the longest one needs.
LINE, WORDS = 0.27, 9.2
PAPER, GHOST = "#ffffff", "#b8b8b8"
SHADES = ["#edf4fb", "#a3c8e8", "#3f86c4", "#0b3c6f"]
# How many shades there are, and steps from each to its ink: 256 colours are the most that a palette holds.
LEVELS, STEPS = 32, 5
INKS = ("#03060a", "#ffffff")
# The end token's sign in a list that has full stops of its own.
OTHER_END = "∎"
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Board:
    """What is shown of a count matrix: `symbols` of both sides and their `counts` (n, n); of how many `pairs` and
    characters (`vocab_size`) in all.
    """

    symbols: tuple[str, ...]
    counts: Counts
    pairs: int
    vocab_size: int

    @property
    def share(self) -> float:
        """Which share of all pairs the squares hold."""
        return int(self.counts.sum()) / self.pairs


def board_of(N: Counts, vocabulary: Vocabulary, most: int = MOST) -> Board:
    """Return the end token and the most frequent characters, `most` in all, in the alphabet's order. N: (V, V)."""
    others = np.argsort(-N[1:].sum(1), kind="stable")[: most - 1] + 1
    chosen = np.array([END, *sorted(others.tolist())])
    end = END_SYMBOL if END_SYMBOL not in vocabulary.characters else OTHER_END
    symbols = (end, *(symbol_of(vocabulary.itos[i]) for i in chosen.tolist()[1:]))
    return Board(symbols, N[np.ix_(chosen, chosen)], int(N.sum()), len(vocabulary))


def bigram_plot(board: Board, title: str) -> bytes:
    """Return a PNG of the board. The same board gives the same file."""
    whole, small = io.BytesIO(), io.BytesIO()
    bigram_figure(board, title).savefig(whole, format="png", facecolor=PAPER)
    with Image.open(whole) as image:
        # The shades and what their edges blend into are all there is: a palette makes the file four times smaller.
        image.convert("RGB").quantize(palette=palette(), dither=Image.Dither.NONE).save(small, "png", optimize=True)
    return small.getvalue()


def palette() -> Image.Image:
    """Return an image whose palette holds every shade, and the steps from each to the ink that is written on it."""
    colours = LinearSegmentedColormap.from_list("pairs", SHADES, N=LEVELS)
    pairs = [(shade, to_rgba(readable_on(shade))) for shade in (colours(i) for i in range(LEVELS))]
    pairs += [(to_rgba(PAPER), to_rgba(ink)) for ink in (INK, GHOST)]
    blends = [
        round(255 * ((1 - step / STEPS) * one + step / STEPS * other))
        for face, ink in pairs
        for step in range(STEPS + 1)
        for one, other in zip(face[:3], ink[:3], strict=True)
    ]
    image = Image.new("P", (1, 1))
    image.putpalette(blends)
    return image


def bigram_figure(board: Board, title: str) -> Figure:
    """Return the board as a figure: darker is more frequent, empty never seen."""
    n = len(board.symbols)
    below = words(board)
    width, height = (n * SQUARE + MARGINS[a] + MARGINS[b] for a, b in (("left", "right"), ("bottom", "top")))
    width, height = max(width, WORDS), height + LINE * len(below.splitlines())
    figure = Figure(figsize=(width, height), dpi=96, facecolor=PAPER)
    FigureCanvasAgg(figure)
    left, bottom = MARGINS["left"] / width, MARGINS["bottom"] / height
    axes = figure.add_axes((left, bottom, n * SQUARE / width, n * SQUARE / height))
    _squares(axes, board)
    _sides(axes, board.symbols)
    x = MARGINS["left"] / width
    figure.text(x, 1 - 0.2 / height, title, va="top", color=INK, fontsize=19, fontweight="bold")
    figure.text(x, 1 - 0.62 / height, below, va="top", color=INK, fontsize=12.5)
    return figure


def words(board: Board) -> str:
    """Return lines that say how to read the picture, what of the alphabet it leaves out, and what it cannot draw."""
    end = f'"{board.symbols[0]}" is where a name begins and ends.'
    how = f"Row: the character before. Column: the one that follows. {end}"
    lines = [how]
    if len(board.symbols) < board.vocab_size:
        n, all_of_them = len(board.symbols) - 1, board.vocab_size - 1
        lines.append(f"The {n} most frequent of {all_of_them} characters; {board.share:.1%} of all pairs are here.")
    if any(len(symbol) > 1 for symbol in board.symbols):
        lines.append("Characters that the font of the picture does not have are shown by their Unicode numbers.")
    return "\n".join(lines)


def _squares(axes: Axes, board: Board) -> None:
    n = len(board.symbols)
    # Counts go from one to thousands: shades of their square root let the rare ones be seen beside the frequent.
    shades = np.sqrt(board.counts / max(1, board.counts.max()))
    colours = LinearSegmentedColormap.from_list("pairs", SHADES, N=LEVELS)
    for i, j in np.ndindex(n, n):
        count = int(board.counts[i, j])
        face = colours(float(shades[i, j])) if count else to_rgba(PAPER)
        axes.add_patch(Rectangle((j, i), 1, 1, facecolor=face, edgecolor=PAPER if count else FAINT, linewidth=0.8))
        _write(axes, j + 0.5, i, board.symbols[i] + board.symbols[j], count, readable_on(face))
    axes.set_xlim(0, n)
    axes.set_ylim(n, 0)


def _write(axes: Axes, x: float, top: float, pair: str, count: int, ink: str) -> None:
    """Write a pair and its count into a square; a code in the place of a character leaves no room for the pair."""
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
    """Return the contrast ratio of two colours, red, green and blue from 0 to 1: 1 is none, 21 black on white."""
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
