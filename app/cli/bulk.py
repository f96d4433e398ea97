"""The command `bulk`: names by the million, as files."""

import os
import re
import secrets
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice, takewhile
from typing import Any

import click

from app.bulk.job import Drawer, DrawJob
from app.bulk.local import draw_locally
from app.bulk.output import Output, Receipt, open_output
from app.cli.names import query, sampling_options, source_options
from app.names.generation import with_seed
from app.schemas import GenerateLink
from app.settings import load_settings
from models.bulk import Part
from models.inference import MAX_SEED
from models.store.bucket import Location, parse_location

PART_SIZE, MOST_CANDIDATES = 1_000_000, 10**13
# Seconds between two lines of progress, on a terminal and elsewhere.
LIVE, LOGGED = 0.5, 10.0


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


@bulk.command()
@source_options
@sampling_options
@click.option("--count", type=click.IntRange(1, MOST_CANDIDATES), required=True, help="How many candidates to draw.")
@click.option(
    "--output",
    type=click.Path(file_okay=False),
    callback=_as_location,
    required=True,
    help="Folder of the parts, or s3://bucket/prefix.",
)
@click.option(
    "--part-size",
    type=click.IntRange(1000, 100_000_000),
    default=PART_SIZE,
    show_default=True,
    help="Candidates of a part, of which there is a file each.",
)
@click.option("--processes", type=click.IntRange(1, 1024), help="Processes that draw (default: one for each core).")
@click.option(
    "--shard",
    type=Shard(),
    help="Draw share I, from 0, of N beside other machines with the same --output; needs --seed. The last one writes "
    "the manifest.",
)
def draw(
    count: int, output: Location, part_size: int, processes: int | None, shard: tuple[int, int] | None, **options: Any
) -> None:
    """Draw names as /generate does, repeats included.

    The parts are the same on any machine. Candidates that the constraints refuse are left out, so that there are fewer
    names than candidates.
    """
    if shard and options["seed"] is None:
        raise click.UsageError("--shard needs --seed, so that all machines draw from one stream.")
    settings = load_settings()
    request = with_seed(query(GenerateLink, {**options, "unique": False}), lambda: secrets.randbelow(MAX_SEED + 1))
    drawer = Drawer(settings, request)
    job = DrawJob(request=request, count=count, part_size=part_size, digest=drawer.digest)
    place = open_output(output)
    place.begin(job)
    del drawer
    click.echo(f"seed {request.seed}: {count:,} candidates in {job.parts:,} parts", err=True)
    receipts, missing = list[Receipt](), list[Part]()
    for part in islice(job.all_parts(), *((shard[0], None, shard[1]) if shard else (None,))):
        if (receipt := place.find(part)) is None:
            missing.append(part)
        else:
            receipts.append(receipt)
    progress = _Progress(len(receipts) + len(missing), len(receipts))
    try:
        with _interruptible():
            for receipt in draw_locally(job, iter(missing), place, settings, processes or len(os.sched_getaffinity(0))):
                receipts.append(receipt)
                progress.show(receipt.names)
    except KeyboardInterrupt:
        click.echo(
            f"\nStopped; {output} has what was drawn. The same command with --seed {request.seed} goes on.", err=True
        )
        raise click.exceptions.Exit(130) from None
    progress.end()
    if shard:
        receipts = _all_receipts(job, place)
        if len(receipts) < job.parts:
            click.echo(f"shard {shard[0]}/{shard[1]} is complete; the last one writes the manifest.", err=True)
            return
    place.finish(job, receipts)
    click.echo(f"{sum(receipt.names for receipt in receipts):,} names in {output}", err=True)


def _all_receipts(job: DrawJob, place: Output) -> list[Receipt]:
    """Return the receipts of all parts, or fewer where one is missing.

    It begins at the end, because a shard that is not complete lacks its last part.
    """
    found = map(place.find, reversed([*job.all_parts()]))
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
