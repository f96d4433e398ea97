"""`python -m training bigram-picture`: the bigram by counting and by descending the loss, as tables and as a picture.
Nothing is published; the arithmetic is `bigram` and `bigram_twice`, the drawing `bigram_plot`.
"""

import math
import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from models.networks import count_bigrams
from training.bigram import one_hot_loss
from training.bigram_curves import strength_plot
from training.bigram_plot import Board, bigram_plot, board_of, words
from training.bigram_twice import PENALTIES, SMOOTHINGS, FitComparison, Losses, Twice, compare
from training.corpus import Corpus
from training.dataset import Examples
from training.device import choose_device
from training.errors import Interrupted
from training.interruption import stop_requests
from training.list_options import one_list, one_list_options
from training.output import prepare_picture, write_output
from training.progress import progress_on

SPLIT_SEED = 42
STEPS = 10_000
# What is said of a loss that is measured with this smoothing: the one that ships.
USUAL = 1.0
# Nats that a descent may lie above the counted loss before its penalties can be compared: what they change is smaller.
NEAR = 0.001


@click.command("bigram-picture")
@one_list_options
@click.option("--out", type=click.Path(path_type=Path), default="bigram.png", show_default=True, help="The picture.")
@click.option("--curves", type=click.Path(path_type=Path), help="Draw smoothing beside L2 as well, as a PNG file.")
@click.option(
    "--steps", type=click.IntRange(1, 1_000_000), default=STEPS, show_default=True, help="Of each descent, at most."
)
def command(dataset: str, data: Path | None, out: Path, curves: Path | None, steps: int) -> None:
    """Draw how often each character follows each other, and find the same table by gradient descent.

    Every loss is in nats a character, end token included.
    """
    corpus = one_list(dataset, data, SPLIT_SEED)
    prepare_picture(out)
    if curves is not None:
        prepare_picture(curves, "--curves")
    console = Console()
    choose_device("cpu")
    N, dev = (count_bigrams(names, corpus.vocabulary) for names in (corpus.split.train, corpus.split.dev))
    twice = _compare(console, N.double(), dev.double(), steps)
    board = board_of(N.numpy(), corpus.vocabulary)
    picture = bigram_plot(board, f"{_title(corpus, data)}: which character follows which")
    write_output(out.parent, {out.name: picture}, "--out")
    if curves is not None:
        write_output(curves.parent, {curves.name: strength_plot(twice)}, "--curves")
    console.print(_meetings(twice))
    console.print(_strengths(twice))
    for line in [*_words(twice, corpus), *_drawn(board), *(f"Written: {path}" for path in (out, curves) if path)]:
        console.print(Text(line), soft_wrap=True)


def _title(corpus: Corpus, data: Path | None) -> str:
    return corpus.title if data is None else data.name


def _compare(console: Console, N: Tensor, dev: Tensor, steps: int) -> Twice:
    with stop_requests() as is_stopped, progress_on(console, time.monotonic) as progress:

        def tell(done: int, total: int) -> None:
            if is_stopped():
                raise Interrupted(f"Stopped after step {done:,} of {total:,}; nothing was written.")
            progress.count("descending", done, total)

        return compare(N, dev, steps, tell)


def _meetings(twice: Twice) -> Table:
    """Return the table of where the two ways meet; apart: the largest difference of a probability."""
    table = Table(title="The same model twice: counted, and found by gradient descent", title_justify="left")
    heads = ("train:\ncounted", "\ndescended", "dev:\ncounted", "\ndescended", "apart\nat most")
    for head in ("\nsmoothing", *heads, "\nsteps"):
        table.add_column(head, justify="right")
    for one in twice.fits:
        losses = (one.counted.train, one.descended.train, one.counted.dev, one.descended.dev)
        table.add_row(f"{one.smoothing:g}", *map(_loss, losses), f"{one.apart:.1e}", f"{one.steps:,}")
    return table


def _strengths(twice: Twice) -> Table:
    """Return the table of smoothing beside L2, the lowest dev loss of each marked."""
    table = Table(title="Two ways to be less sure: smoothing the counts, or a penalty on the weights")
    table.title_justify = "left"
    for head in ("smoothing", "train", "dev", "", "L2", "train", "dev", ""):
        table.add_column(head, justify="right")
    left, right = (_rows(*pair) for pair in ((SMOOTHINGS, twice.smoothed), (PENALTIES, twice.penalised)))
    for one, other in zip(left, right, strict=True):
        table.add_row(*one, *other)
    return table


def _rows(strengths: tuple[float, ...], losses: tuple[Losses, ...]) -> list[tuple[str, ...]]:
    best = min(range(len(losses)), key=lambda i: losses[i].dev)
    return [
        (f"{strength:g}", _loss(one.train), _loss(one.dev), "lowest" if i == best else "")
        for i, (strength, one) in enumerate(zip(strengths, losses, strict=True))
    ]


def _words(twice: Twice, corpus: Corpus) -> list[str]:
    bare = twice.fits[0]
    usual = next(one for one in twice.fits if one.smoothing == USUAL)
    rows = Examples.of(corpus.split.dev, corpus.vocabulary).rows
    row_by_row = one_hot_loss(twice.W, rows.ids, rows.targets)
    return [
        *_warning(bare),
        f"Even guesses, where the descent begins: ln({len(twice.W)}) = {math.log(len(twice.W)):.4f}",
        f"train loss by counting: {_loss(bare.counted.train)}",
        f"train loss by gradient descent: {_loss(bare.descended.train)}",
        f"dev loss by gradient descent, one-hot rows times weights: {_loss(row_by_row)}",
        f"dev loss by counting, smoothing {USUAL:g}: {_loss(usual.counted.dev)}",
        f"dev loss by gradient descent, smoothing {USUAL:g}: {_loss(usual.descended.dev)}",
    ]


def _warning(bare: FitComparison) -> list[str]:
    lines = []
    if not math.isfinite(bare.counted.dev):
        lines.append(
            "Without smoothing the counted dev loss is infinite: a dev name has a pair of characters that no train "
            "name has. The descent is on its way there, and will never arrive."
        )
    gap = bare.descended.train - bare.counted.train
    if gap > NEAR:
        lines.append(
            f"After {bare.steps:,} steps the descent is still {gap:.4f} above the counted train loss: too few to say "
            f"which L2 is best. Give more with --steps; {STEPS:,} is the default."
        )
    return lines


def _drawn(board: Board) -> list[str]:
    """Return what the picture leaves out, if it does."""
    return words(board).splitlines()[1:]


def _loss(loss: float) -> str:
    return f"{loss:.4f}" if math.isfinite(loss) else "infinite"
