"""The lesson on sampling: the effect of the temperature. Numbers, plot and command."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import click
from matplotlib.axes import Axes
from rich.console import Console
from rich.table import Table
from rich.text import Text

from models import NameGenerator, SamplingOptions, prepare
from models.inference import AS_DRAWN
from models.spelling import capitalize
from models.store.bucket import Location
from training.diagnostics.plots import COLOURS
from training.options import kernels_option, store_option
from training.paths import open_registry, prepare_picture, write_output
from training.plots import DEV, INK, TRAIN, add_legend, new_figure, png, style_axes
from training.pretrained import resolve_reference
from training.progress import progress_on
from training.report import show_metrics

TEMPERATURES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
# Temperatures whose next characters are shown.
SHOWN = (0.5, 1.0, 2.0)
SEED = 0


@dataclass(frozen=True)
class Expectation:
    """The distribution of the next character at a temperature; "." is the end."""

    temperature: float
    probabilities: dict[str, float]

    @property
    def entropy(self) -> float:
        """The entropy in nats: 0 if one character is certain, ln V if all are equally likely."""
        return -sum(p * math.log(p) for p in self.probabilities.values() if p > 0)


@dataclass(frozen=True)
class TemperatureSample:
    """Statistics of names sampled at one temperature.

    `new`: share not in the list; `repeated`: share of duplicates; `log_prob`: mean log-probability of a character at
    temperature 1; `too_long`: share of candidates longer than any name of the list.
    """

    temperature: float
    new: float
    repeated: float
    log_prob: float
    too_long: float
    first: tuple[str, ...]


def expect(generator: NameGenerator, prefix: str, temperature: float) -> Expectation:
    """Return the distribution of the character after `prefix`. Raises `UnknownCharacter`."""
    following = generator.next_characters(prefix, temperature)
    return Expectation(temperature, {one.character: one.probability for one in following})


def sample_at(generator: NameGenerator, temperature: float, count: int) -> TemperatureSample:
    """Sample `count` names with seed 0, duplicates included, and return their statistics."""
    batch = generator.generate(count, seed=SEED, options=SamplingOptions(temperature=temperature), constraints=AS_DRAWN)
    names = batch.names
    return TemperatureSample(
        temperature=temperature,
        new=fmean(name not in generator.names for name in names),
        repeated=1 - len(set(names)) / len(names),
        log_prob=character_log_prob(generator, names),
        too_long=batch.refused["max_length"] / batch.attempts,
        first=tuple(names[:2]),
    )


def character_log_prob(generator: NameGenerator, names: Sequence[str]) -> float:
    """Return the mean log-probability of a character at temperature 1 in nats, end tokens included."""
    scores = generator.score(names)
    return sum(score.log_prob for score in scores) / sum(len(score.characters) for score in scores)


# Width of the group of bars of one character.
ROOM = 0.8


def temperatures_plot(prefix: str, expectations: Sequence[Expectation], samples: Sequence[TemperatureSample]) -> bytes:
    """Return a PNG of the next characters after `prefix` (above) and statistics of names (below)."""
    figure = new_figure(9.0, 6.4)
    grid = figure.add_gridspec(2, 2)
    _draw_next(figure.add_subplot(grid[0, :]), prefix, expectations)
    _draw_shares(figure.add_subplot(grid[1, 0]), samples)
    _draw_log_probs(figure.add_subplot(grid[1, 1]), samples)
    return png(figure)


def _draw_next(axes: Axes, prefix: str, expectations: Sequence[Expectation]) -> None:
    symbols = list(expectations[0].probabilities)
    width = ROOM / len(expectations)
    for i, (colour, one) in enumerate(zip(COLOURS, expectations, strict=False)):
        places = [k + (i - (len(expectations) - 1) / 2) * width for k in range(len(symbols))]
        label = f"temperature {one.temperature:g}, entropy {one.entropy:.2f}"
        axes.bar(places, [one.probabilities[s] for s in symbols], width, color=colour, label=label)
    axes.set_xticks(range(len(symbols)), symbols)
    axes.set_xlim(-0.6, len(symbols) - 0.4)
    title = f'What may follow "{prefix}"' if prefix else "How a name may begin"
    style_axes(axes, title, "next character (. is the end)", "probability")
    add_legend(axes, "upper right")


def _draw_shares(axes: Axes, samples: Sequence[TemperatureSample]) -> None:
    temperatures = [one.temperature for one in samples]
    lines = (
        ("not in the list", TRAIN, [one.new for one in samples]),
        ("drawn before", DEV, [one.repeated for one in samples]),
        ("too long", INK, [one.too_long for one in samples]),
    )
    for label, colour, shares in lines:
        axes.plot(temperatures, shares, "o-", color=colour, linewidth=1.5, markersize=4, label=label)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    style_axes(axes, "Names at each temperature", "temperature", "share")
    add_legend(axes)


def _draw_log_probs(axes: Axes, samples: Sequence[TemperatureSample]) -> None:
    temperatures, log_probs = [one.temperature for one in samples], [one.log_prob for one in samples]
    axes.plot(temperatures, log_probs, "o-", color=TRAIN, linewidth=1.5, markersize=4)
    style_axes(axes, "How likely the model finds its own names", "temperature", "log-probability of a character")


@click.command("temperatures")
@click.argument("reference")
@click.option("--prefix", default="mar", show_default=True, help="Prefix of the characters that are shown.")
@click.option("--out", type=click.Path(path_type=Path), help="Write a plot, such as temperatures.png.")
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
def compare_temperatures(
    reference: str, prefix: str, out: Path | None, count: int, store: Location, kernels: Path | None
) -> None:
    """Show the effect of the temperature on names.

    REFERENCE is human, human/wavenet or human/wavenet@2.
    """
    if out is not None:
        prepare_picture(out)
    generator = resolve_reference(reference, open_registry(store, prepare(kernels))).generator
    expectations = [expect(generator, prefix, temperature) for temperature in SHOWN]
    console = Console()
    samples: list[TemperatureSample] = []
    with progress_on(console, time.monotonic) as progress:
        for temperature in TEMPERATURES:
            progress.count("temperatures", len(samples), len(TEMPERATURES))
            samples.append(sample_at(generator, temperature, count))
    console.print(_table(samples))
    show_metrics(console, printed_metrics(prefix, expectations, samples))
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


def printed_metrics(prefix: str, expectations: list[Expectation], samples: list[TemperatureSample]) -> dict[str, float]:
    """Return the numbers that the lesson shows, by label."""
    found = {f'entropy after "{prefix}" at temperature {one.temperature:g}': one.entropy for one in expectations}
    for one in samples:
        if one.temperature in SHOWN:
            found[f"share of new names at temperature {one.temperature:g}"] = one.new
            found[f"log-probability of a character at temperature {one.temperature:g}"] = one.log_prob
    return found
