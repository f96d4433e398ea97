"""`python -m training starts`: a deep network from five beginnings, as a table and a picture. The arithmetic is
`starts`; nothing is published.
"""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from training.config import load_config
from training.corpus import shipped_corpus
from training.device import choose_device
from training.figures import show_figures
from training.lessons.relay import relay_on
from training.lessons.starts import STARTS, Result, even_guess, saturated_share, try_starts
from training.lessons.starts_plot import starts_plot
from training.output import prepare_picture, write_output

PRESET, DATASET = "mlp-deep", "human"


@click.command("starts")
@click.option("--out", type=click.Path(path_type=Path), help="A picture, as starts.png.")
@click.option("--layers", type=click.IntRange(1, 16), default=4, show_default=True, help="Hidden layers.")
@click.option("--steps", type=click.IntRange(1, 100_000), default=400, show_default=True, help="Of each run.")
def command(out: Path | None, layers: int, steps: int) -> None:
    """Compare five ways to begin: weights large or small, with BatchNorm or without."""
    config = load_config(PRESET, DATASET, {"n_layers": layers, "steps": steps, "eval_every": steps})
    corpus = shipped_corpus(DATASET, config.split_seed)
    if out is not None:
        prepare_picture(out)
    choose_device("cpu")
    console = Console()
    with relay_on(console, len(STARTS)) as show:
        results = try_starts(config, corpus, show)
    even = even_guess(len(corpus.vocabulary))
    console.print(_table(results))
    show_figures(console, figures(results, even))
    if out is not None:
        write_output(out.parent, {out.name: starts_plot(results, even)}, "--out")
        console.print(Text(f"Written: {out}"), soft_wrap=True)


def _table(results: list[Result]) -> Table:
    table = Table()
    table.add_column("start", no_wrap=True)
    for head in ("first loss", "spread, last layer", "saturated, at most", "dev loss"):
        table.add_column(head, justify="right")
    for result in results:
        spread = f"{result.shot.activations[-1].std:.2f}"
        table.add_row(
            result.start.name, f"{result.shot.loss:.4f}", spread, f"{result.saturated:.0%}", f"{result.dev:.4f}"
        )
    return table


def figures(results: list[Result], even: float) -> dict[str, float]:
    """Return what the lesson promises."""
    found = {"an even guess": even, "saturated share of a unit normal": saturated_share(1.0)}
    for result in results:
        name = result.start.name
        found |= {f"first loss, {name}": result.shot.loss, f"dev loss, {name}": result.dev}
    return found
