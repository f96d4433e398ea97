"""What `python -m app generate` writes: names as they are drawn, on standard output, and how it goes and ends on
standard error.
"""

import sys
from collections.abc import Iterator
from typing import BinaryIO

import click

from app.naming.name_lines import NameLines

# Fewer are there before a bar could be read.
MANY = 1000


def write(lines: NameLines, out: BinaryIO) -> None:
    """Write all lines to `out`, with a bar where standard error is a terminal that the names do not go to."""
    if lines.request.count <= MANY or not sys.stderr.isatty() or sys.stdout.isatty():
        for _ in _written(lines, out):
            pass
        return
    with click.progressbar(length=lines.request.count, file=sys.stderr, label="Names") as bar:
        for more in _written(lines, out):
            bar.update(more)


def _written(lines: NameLines, out: BinaryIO) -> Iterator[int]:
    """Write piece by piece; yield how many names each had."""
    while not lines.finished:
        before = lines.stream.names
        out.write(lines.piece())
        out.flush()
        yield lines.stream.names - before


def tell_shortfall(names: int, count: int, attempts: int, refused: dict[str, int]) -> None:
    """Say how many names there are, and what refused most of the others."""
    most = max(refused, key=refused.__getitem__)
    why = f", most of those refused by {most}" if refused[most] else ""
    click.echo(
        f"Only {names} of {count}: {attempts} candidates were drawn{why}. Ask for fewer, or give more --max-attempts.",
        err=True,
    )
