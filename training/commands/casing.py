"""`python -m training casing`: how many held-out names are spelled as in their list."""

from pathlib import Path

import click

from data import ReadOptions, load_names
from models.casing import FIRST, SMALL
from training.casing import measure_casing
from training.options import reading_options

_COLUMNS = ("names", "title", "list", "new words", "title", "list", "entries", "patterns")
_ROW = "{:<{width}}  {:>6} {:>8} {:>8}  {:>9} {:>8} {:>8}  {:>7} {:>8}"


@click.command("casing")
@click.argument("lists", nargs=-1, required=True, type=click.Path(path_type=Path))
@reading_options
@click.option("--wrong", type=click.IntRange(0, 1000), default=0, help="Wrong spellings to print of each list.")
def measure_lists(lists: tuple[Path, ...], reading: ReadOptions, wrong: int) -> None:
    """Measure how many held-out names of LISTS are spelled as in the list.

    A list is cut into five parts; the names of each are spelled with what the other four show, or by title case alone.
    New words are those that the other four do not have.
    """
    width = max(len(path.name) for path in lists)
    click.echo(_ROW.format("list", *_COLUMNS, width=width))
    for path in lists:
        found = load_names(path, options=reading)
        figures = measure_casing(found.names, found.spelled, found.locale)
        patterns = sum(key.endswith(SMALL) and key.strip(FIRST) != SMALL for key in figures.entries)
        shares = [
            *(f"{figures.names:,}", _share(figures.titled_names, figures.names)),
            *(_share(figures.listed_names, figures.names), f"{figures.words:,}"),
            *(_share(figures.titled_words, figures.words), _share(figures.listed_words, figures.words)),
            *(f"{len(figures.entries):,}", f"{patterns:,}"),
        ]
        click.echo(_ROW.format(path.name, *shares, width=width))
        for text, other in figures.wrong[:wrong]:
            click.echo(f"  {text} is spelled {other}")


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"
