"""The command `bulk`: names by the million, as files."""

import os
import re
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import takewhile
from typing import Any

import click

from app.bulk.job import Drawer, DrawJob, EnumerateJob, Enumerator, Job
from app.bulk.local import make_locally
from app.bulk.output import Output, Receipt, open_output
from app.bulk.ray_engine import make_on_ray
from app.cli.names import Command, constraint_options, query, sampling_options, source_options
from app.names.generation import with_seed
from app.schemas import GenerateLink
from app.settings import Settings, load_settings
from models.bulk import Part, Span
from models.inference import MAX_SEED
from models.store.bucket import Location, parse_location

PART_SIZE, MOST_CANDIDATES = 1_000_000, 10**13
# Parts of an enumeration, and the least log-probability, negative.
PARTS, LEAST = 1000, 1000
# Seconds between two lines of progress, on a terminal and elsewhere.
LIVE, LOGGED = 0.5, 10.0


# Makes parts, and yields their receipts.
Make = Callable[[Iterator[Part | Span]], Iterator[Receipt]]


class Shard(click.ParamType[tuple[int, int]]):
    """The share I/N of a job, as (I, N)."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return the two numbers."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", value)
        if found is None or int(found[1]) >= int(found[2]):
            self.fail(f"{value!r} is no share of a job: 0/8 is the first of 8 and 7/8 the last.", param, ctx)
        return int(found[1]), int(found[2])


@click.group()
def bulk() -> None:
    """Write millions of names as Parquet files. An interrupted job goes on with the same command."""


def _as_location(context: click.Context, parameter: click.Parameter, given: str) -> Location:
    try:
        return parse_location(given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@dataclass(frozen=True)
class _Run:
    """Where parts go and what makes them: the options of `job_options`."""

    output: Location
    engine: str
    address: str | None
    processes: int | None
    shard: tuple[int, int] | None

    @classmethod
    def of(cls, options: dict[str, Any]) -> "_Run":
        """Take them out of the options of a command. Raises `UsageError` for an address that nothing needs."""
        run = cls(**{field.name: options.pop(field.name) for field in fields(cls)})
        if run.address and run.engine != "ray":
            raise click.UsageError("--address needs --engine ray.")
        return run

    def make(self, job: Job, place: Output, settings: Settings) -> Make:
        """Return the engine that was asked for."""
        if self.engine == "ray":
            return lambda parts: make_on_ray(job, parts, place, settings, self.processes, self.address)
        processes = self.processes or len(os.sched_getaffinity(0))
        return lambda parts: make_locally(job, parts, place, settings, processes)


def job_options(command: Command) -> Command:
    """Add the options that say where parts go and what makes them."""
    shard = (
        "Make share I, from 0, of N beside other machines with the same --output and --seed. The last one writes the "
        "manifest."
    )
    options = (
        click.option(
            "--output",
            type=click.Path(file_okay=False),
            callback=_as_location,
            required=True,
            help="Folder of the parts, or s3://bucket/prefix.",
        ),
        click.option(
            "--engine",
            type=click.Choice(["local", "ray"]),
            default="local",
            show_default=True,
            help="Processes of this machine, or the actors of a Ray cluster, whose nodes share --output.",
        ),
        click.option(
            "--address", help="Ray cluster, e.g. auto or 10.0.0.5:6379 (default: one that lasts for the job)."
        ),
        click.option(
            "--processes", type=click.IntRange(1, 4096), help="Processes or actors (default: one for each core)."
        ),
        click.option("--shard", type=Shard(), help=shard),
    )
    for option in reversed(options):
        command = option(command)
    return command


@bulk.command()
@source_options
@sampling_options
@click.option("--count", type=click.IntRange(1, MOST_CANDIDATES), required=True, help="How many candidates to draw.")
@click.option(
    "--part-size",
    type=click.IntRange(1000, 100_000_000),
    default=PART_SIZE,
    show_default=True,
    help="Candidates of a part, of which there is a file each.",
)
@job_options
def draw(count: int, part_size: int, **options: Any) -> None:
    """Draw names as /generate does, repeats included.

    The parts are the same on any machine. Candidates that the constraints refuse are left out, so that there are fewer
    names than candidates.
    """
    run = _Run.of(options)
    if run.shard and options["seed"] is None:
        raise click.UsageError("--shard needs --seed, so that all machines draw from one stream.")
    settings = load_settings()
    request = with_seed(query(GenerateLink, {**options, "unique": False}), lambda: secrets.randbelow(MAX_SEED + 1))
    job = DrawJob(request=request, count=count, part_size=part_size, digest=Drawer(settings, request).digest)
    place = open_output(run.output)
    place.begin(job)
    click.echo(f"seed {request.seed}: {count:,} candidates in {job.parts:,} parts", err=True)
    made = run.make(job, place, settings)
    _make(job, [*job.all_parts()], place, made, run, f"The same command with --seed {request.seed} goes on.")


@bulk.command("enumerate")
@source_options
@constraint_options
@click.option(
    "--min-log-prob",
    type=click.FloatRange(-LEAST, 0),
    required=True,
    help="Least natural logarithm of a name's probability, as score prints it; human has 0.9 billion names above -26.",
)
@click.option(
    "--parts",
    type=click.IntRange(1, 1_000_000),
    default=PARTS,
    show_default=True,
    help="Files, at most; about equally many names each.",
)
@job_options
def list_names(min_log_prob: float, parts: int, **options: Any) -> None:
    """List every name that is at least so likely, once, with its log-probability.

    The names are in the order of the model's alphabet, and the parts are the same on any machine. Constraints leave
    names out; they change no log-probability.
    """
    run, settings = _Run.of(options), load_settings()
    request = query(GenerateLink, {**options, "unique": False})
    enumerator = Enumerator(settings, request, min_log_prob)
    job = EnumerateJob(request=request, min_log_prob=min_log_prob, most_parts=parts, digest=enumerator.digest)
    place = open_output(run.output)
    place.begin(job)
    click.echo("dividing the names into parts (the first time the search is compiled, in about a minute) ...", err=True)
    spans = enumerator.enumeration.spans(parts)
    click.echo(f"names from {min_log_prob:g} on in {len(spans):,} parts", err=True)
    _make(job, spans, place, run.make(job, place, settings), run, "The same command goes on.")


def _make(
    job: Job,
    parts: Sequence[Part | Span],
    place: Output,
    make: Make,
    run: _Run,
    hint: str,
) -> None:
    """Make the parts that are missing, or those of a shard, and write the manifest when all are there."""
    receipts, missing = list[Receipt](), list[Part | Span]()
    for part in parts[run.shard[0] :: run.shard[1]] if run.shard else parts:
        if (receipt := place.find(part)) is None:
            missing.append(part)
        else:
            receipts.append(receipt)
    progress = _Progress(len(receipts) + len(missing), len(receipts))
    try:
        with _interruptible():
            for receipt in make(iter(missing)):
                receipts.append(receipt)
                progress.show(receipt.names)
    except KeyboardInterrupt:
        click.echo(f"\nStopped; {run.output} has what is complete. {hint}", err=True)
        raise click.exceptions.Exit(130) from None
    progress.end()
    if run.shard:
        receipts = _all_receipts(parts, place)
        if len(receipts) < len(parts):
            click.echo(f"shard {run.shard[0]}/{run.shard[1]} is complete; the last one writes the manifest.", err=True)
            return
    place.finish(job, receipts)
    click.echo(f"{sum(receipt.names for receipt in receipts):,} names in {run.output}", err=True)


def _all_receipts(parts: Sequence[Part | Span], place: Output) -> list[Receipt]:
    """Return the receipts of all parts, or fewer where one is missing.

    It begins at the end, because a shard that is not complete lacks its last part.
    """
    found = map(place.find, reversed(parts))
    return [*takewhile(lambda receipt: receipt is not None, found)]  # type: ignore[list-item]


@contextmanager
def _interruptible() -> Iterator[None]:
    """Raise `KeyboardInterrupt` for Ctrl-C, also where the shell ignores it, and when a container stops."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Progress:
    """A line on standard error: parts, names a second, and the time left."""

    def __init__(self, total: int, done: int) -> None:
        self.total, self.done, self.before, self.names = total, done, done, 0
        self.live = sys.stderr.isatty()
        self.began = self.shown = time.monotonic()

    def show(self, names: int) -> None:
        """Count a part, and print the line if it is time."""
        self.done, self.names, now = self.done + 1, self.names + names, time.monotonic()
        if now - self.shown < (LIVE if self.live else LOGGED):
            return
        self.shown = now
        self._print(now - self.began)

    def end(self) -> None:
        """Print the last line."""
        if self.done > self.before:
            self._print(time.monotonic() - self.began)
            if self.live:
                click.echo(err=True)

    def _print(self, seconds: float) -> None:
        left = round(seconds * (self.total - self.done) / (self.done - self.before))
        line = f"{self.done:,} of {self.total:,} parts  {self.names / max(seconds, 1e-9):,.0f} names/s  "
        line += f"left {left // 3600}:{left // 60 % 60:02}:{left % 60:02}"
        click.echo(f"\r{line}\033[K" if self.live else line, err=True, nl=not self.live)
