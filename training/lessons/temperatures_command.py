"""`python -m training temperatures`: what the temperature does, as a table and a picture. The arithmetic is
`temperatures`; nothing is written into a store.
"""

import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from models import prepare
from models.spelling import capitalize
from training.figures import show_figures
from training.lessons.temperatures import SHOWN, TEMPERATURES, Expectation, TemperatureSample, expect, sample_at
from training.lessons.temperatures_plot import temperatures_plot
from training.options import kernels_option, store_option
from training.origins import find
from training.output import prepare_picture, write_output
from training.places import open_registry
from training.progress import progress_on


@click.command("temperatures")
@click.argument("reference")
@click.option("--prefix", default="mar", show_default=True, help="What comes before the characters that are shown.")
@click.option("--out", type=click.Path(path_type=Path), help="A picture, as temperatures.png.")
@click.option(
    "--steps",
    "--count",
    "count",
    type=click.IntRange(1, 100_000),
    default=2000,
    show_default=True,
    help="Names to draw at each temperature.",
)
@store_option
@kernels_option
def command(reference: str, prefix: str, out: Path | None, count: int, store: Path, kernels: Path | None) -> None:
    """Show what the temperature does to names.

    REFERENCE is human, human/wavenet or human/wavenet@2.
    """
    if out is not None:
        prepare_picture(out)
    generator = find(reference, open_registry(store, prepare(kernels))).generator
    expectations = [expect(generator, prefix, temperature) for temperature in SHOWN]
    console = Console()
    samples: list[TemperatureSample] = []
    with progress_on(console, time.monotonic) as progress:
        for temperature in TEMPERATURES:
            progress.count("temperatures", len(samples), len(TEMPERATURES))
            samples.append(sample_at(generator, temperature, count))
    console.print(_table(samples))
    show_figures(console, figures(prefix, expectations, samples))
    if out is not None:
        write_output(out.parent, {out.name: temperatures_plot(prefix, expectations, samples)}, "--out")
        console.print(Text(f"Written: {out}"), soft_wrap=True)


def _table(samples: list[TemperatureSample]) -> Table:
    table = Table()
    for head in ("temperature", "new", "repeated", "too long", "log-prob."):
        table.add_column(head, justify="right")
    table.add_column("the first two", no_wrap=True)
    for one in samples:
        shares = (f"{share:.1%}" for share in (one.new, one.repeated, one.too_long))
        names = ", ".join(capitalize(name) for name in one.first)
        table.add_row(f"{one.temperature:g}", *shares, f"{one.log_prob:.3f}", names)
    return table


def figures(prefix: str, expectations: list[Expectation], samples: list[TemperatureSample]) -> dict[str, float]:
    """Return what the lesson promises."""
    found = {f'entropy after "{prefix}" at temperature {one.temperature:g}': one.entropy for one in expectations}
    for one in samples:
        if one.temperature in SHOWN:
            found[f"share of new names at temperature {one.temperature:g}"] = one.new
            found[f"log-probability of a character at temperature {one.temperature:g}"] = one.log_prob
    return found
