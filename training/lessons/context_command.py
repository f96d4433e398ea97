"""`python -m training context`: what further sight is worth, as a table and a picture. The arithmetic is `context`;
nothing is published.
"""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.networks import bigram_by_counting
from training.config import load_config
from training.corpus import Corpus, shipped_corpus
from training.dataset import Examples
from training.device import choose_device
from training.evaluation import mean_loss
from training.figures import show_figures
from training.lessons.context import Reached, compare, sights
from training.lessons.context_plot import context_plot
from training.lessons.relay import relay_on
from training.output import prepare_picture, write_output

PRESET, DATASET, SMOOTHING = "wavenet", "human", 1.0


@click.command("context")
@click.option("--out", type=click.Path(path_type=Path), help="A picture, as context.png.")
@click.option("--steps", type=click.IntRange(1, 100_000), default=500, show_default=True, help="Of each run.")
def command(out: Path | None, steps: int) -> None:
    """Compare a tree with a flat network of the same size.

    Both see 1, 2, 4, 8 and 16 characters.
    """
    config = load_config(PRESET, DATASET, {"steps": steps, "eval_every": steps})
    corpus = shipped_corpus(DATASET, config.split_seed)
    if out is not None:
        prepare_picture(out)
    choose_device("cpu")
    console = Console()
    networks = list(sights(config.model, len(corpus.vocabulary)))
    with relay_on(console, len(networks)) as show:
        reached = compare(config, corpus, show, networks)
    counting = counted_loss(corpus)
    console.print(_table(reached))
    show_figures(console, figures(reached, counting))
    if out is not None:
        write_output(out.parent, {out.name: context_plot(reached, counting)}, "--out")
        console.print(Text(f"Written: {out}"), soft_wrap=True)


def counted_loss(corpus: Corpus) -> float:
    """Return the dev loss of the bigram by counting."""
    bigram = bigram_by_counting(corpus.split.train, corpus.vocabulary, SMOOTHING)
    return mean_loss(bigram, Examples.of(corpus.split.dev, corpus.vocabulary))


def _table(reached: list[Reached]) -> Table:
    table = Table("network")
    for head in ("characters seen", "n_hidden", "parameters", "dev loss"):
        table.add_column(head, justify="right")
    for one in reached:
        shape = one.sight.config
        table.add_row(
            one.sight.kind, str(shape.block_size), str(shape.n_hidden), f"{one.parameters:,}", f"{one.dev:.4f}"
        )
    return table


def figures(reached: list[Reached], counting: float) -> dict[str, float]:
    """Return what the lesson promises."""
    seen = {f"dev loss, {one.sight.kind}, {one.sight.block_size} characters": one.dev for one in reached}
    return {"dev loss, bigram by counting": counting} | seen
