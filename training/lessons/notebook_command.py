"""`python -m training notebook`: the same names from a notebook's loop and from the service's kernel, and how long each
took. The arithmetic is `notebook`; nothing is written.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from models import prepare
from models.inference import MAX_SEED
from models.spelling import capitalize
from training.device import choose_device
from training.errors import Interrupted
from training.figures import figure_line
from training.interruption import stop_requests
from training.lessons.notebook import Comparison, compare
from training.options import kernels_option, store_option
from training.origins import find
from training.places import open_registry
from training.progress import progress_on
from training.published import network_of

SHOWN = 5


@click.command("notebook")
@click.argument("reference")
@click.option(
    "--steps",
    "--count",
    "count",
    type=click.IntRange(1, 100_000),
    default=500,
    show_default=True,
    help="Candidates to draw.",
)
@click.option("--seed", type=click.IntRange(0, MAX_SEED - 1), default=7, show_default=True, help="Of the candidates.")
@store_option
@kernels_option
def command(reference: str, count: int, seed: int, store: Path, kernels: Path | None) -> None:
    """Sample as a notebook does, and as the service does.

    REFERENCE is human, human/wavenet or human/wavenet@2.
    """
    version = find(reference, open_registry(store, prepare(kernels)))
    choose_device("cpu")
    console = Console()
    with stop_requests() as is_stopped, progress_on(console, time.monotonic) as progress:

        def told(done: int, total: int) -> None:
            if is_stopped():
                raise Interrupted(f"Stopped after {done:,} of {total:,} candidates.")
            progress.count("the notebook's candidates", done, total)

        comparison = compare(network_of(version), version.generator, count, seed, time.perf_counter, told)
    for line in lines(comparison):
        console.print(Text(line), soft_wrap=True)


def lines(comparison: Comparison) -> list[str]:
    """Return what the command prints."""
    return [
        f"the notebook says: {_names(comparison.notebook)}",
        f"the service says: {_names(comparison.service)}",
        f"the notebook draws {_rate(len(comparison.notebook), comparison.notebook_seconds)} names a second",
        f"the service draws {_rate(len(comparison.service), comparison.service_seconds)} names a second",
        figure_line("names", len(comparison.notebook), "d"),
        figure_line("names that differ", comparison.different, "d"),
        figure_line("logits apart by at most", comparison.apart, ".1e"),
    ]


def _names(names: Sequence[str]) -> str:
    return ", ".join(capitalize(name) for name in names[:SHOWN])


def _rate(count: int, seconds: float) -> str:
    return f"{count / max(seconds, 1e-9):,.0f}"
