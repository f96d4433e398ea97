"""The picture of what context is worth: the dev loss over the characters seen, tree beside flat. Drawn only."""

from collections.abc import Sequence

from training.lessons.context import BLOCK_SIZES, FLAT, TREE, Reached
from training.lessons.sheet import dress, new_sheet, png, tell
from training.plots import DEV, INK, TRAIN


def context_plot(reached: Sequence[Reached], counting: float) -> bytes:
    """Return a PNG. `counting`: the dev loss of the bigram by counting, in nats."""
    figure = new_sheet(6.4, 4.0)
    axes = figure.add_subplot()
    for kind, colour, words in ((FLAT, TRAIN, "all joined at once"), (TREE, DEV, "joined two by two")):
        points = [(one.sight.block_size, one.dev) for one in reached if one.sight.kind == kind or shared(one)]
        axes.plot(*zip(*points, strict=True), "o-", color=colour, linewidth=1.5, markersize=5, label=words)
    axes.axhline(counting, color=INK, linewidth=0.9, linestyle="--")
    axes.annotate(
        "bigram by counting", (1, counting), (-2, 4), xycoords=("axes fraction", "data"), textcoords="offset points",
        ha="right", color=INK, fontsize=8.5,
    )  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_xticks(BLOCK_SIZES, [str(size) for size in BLOCK_SIZES])
    dress(axes, "What context is worth", "characters of context", "dev loss, nats per character")
    tell(axes)
    return png(figure)


def shared(one: Reached) -> bool:
    """Whether the network is both a tree and flat."""
    return one.sight.block_size <= 2
