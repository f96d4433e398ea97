"""The lesson on sampling: what the temperature does to names. Numbers, picture and command."""

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
from training.diagnostics.plots import COLOURS
from training.options import kernels_option, store_option
from training.paths import open_registry, prepare_picture, write_output
from training.plots import DEV, INK, TRAIN, dress, new_sheet, png, tell
from training.pretrained import resolve_reference
from training.progress import progress_on
from training.report import show_figures

TEMPERATURES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
# Those whose next characters are shown.
SHOWN = (0.5, 1.0, 2.0)
SEED = 0


@dataclass(frozen=True)
class Expectation:
    """What may follow a prefix at a temperature: probabilities by character, "." for the end."""

    temperature: float
    probabilities: dict[str, float]

    @property
    def entropy(self) -> float:
        """How open it is, in nats: 0 where one character is sure, ln V where all are as likely."""
        return -sum(p * math.log(p) for p in self.probabilities.values() if p > 0)


@dataclass(frozen=True)
class TemperatureSample:
    """Names drawn at a temperature. `new`: share that the list does not hold; `repeated`: share that came before;
    `log_prob`: of a character of theirs, on average, at temperature 1; `too_long`: share of candidates that were
    refused for being longer than any name of the list.
    """

    temperature: float
    new: float
    repeated: float
    log_prob: float
    too_long: float
    first: tuple[str, ...]


def expect(generator: NameGenerator, prefix: str, temperature: float) -> Expectation:
    """Return what the model expects after `prefix`. Raises `UnknownCharacter`."""
    following = generator.next_characters(prefix, temperature)
    return Expectation(temperature, {one.character: one.probability for one in following})


def sample_at(generator: NameGenerator, temperature: float, count: int) -> TemperatureSample:
    """Draw `count` names of seed 0, repeats and all, and say what they are like."""
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
    """Return the mean log-probability of a character, ends included, at temperature 1, in nats."""
    scores = generator.score(names)
    return sum(score.log_prob for score in scores) / sum(len(score.characters) for score in scores)


# Bars side by side for each character, and how much room they leave.
ROOM = 0.8


def temperatures_plot(prefix: str, expectations: Sequence[Expectation], samples: Sequence[TemperatureSample]) -> bytes:
    """Return a PNG: above the next characters after `prefix`, below what becomes of names."""
    figure = new_sheet(9.0, 6.4)
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
    dress(axes, title, "next character (. is the end)", "probability")
    tell(axes, "upper right")


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
    dress(axes, "Names at each temperature", "temperature", "share")
    tell(axes)


def _draw_log_probs(axes: Axes, samples: Sequence[TemperatureSample]) -> None:
    temperatures, log_probs = [one.temperature for one in samples], [one.log_prob for one in samples]
    axes.plot(temperatures, log_probs, "o-", color=TRAIN, linewidth=1.5, markersize=4)
    dress(axes, "How likely the model finds its own names", "temperature", "log-probability of a character")


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
    generator = resolve_reference(reference, open_registry(store, prepare(kernels))).generator
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
