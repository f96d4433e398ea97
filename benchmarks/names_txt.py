"""Every architecture on makemore's names.txt with the lectures' split, beside published results.

    python -m benchmarks.names_txt path/to/names.txt [--rows lstm,ensemble] [--split distinct] [--resume] [--test]

Each row is saved in `results/` immediately, so that several short runs can make the whole table. The dev part chooses
presets; the test part is shown with --test only, at the end. Split by line, as the lectures do, names that stand twice
leak into dev; `--split distinct` measures the same rows without that.
"""

import statistics
import time
from pathlib import Path

import click
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.lists import SPLITS, lecture_split, read_parts
from benchmarks.names_rows import PARTS, ROWS, RowResult, RowTrainer
from benchmarks.published import PUBLISHED
from benchmarks.results import Result, commit, console, load_results, now, path_of, save_result, this_machine
from training.comparison import names_gap
from training.dataset import Examples
from training.errors import TrainingError
from training.progress import progress_on

__all__ = ["lecture_split", "main"]
WORK = Path(".namewave/benchmarks")
BASE = "kneser_ney"


@click.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--split", type=click.Choice(SPLITS), default="lines", show_default=True, help="How the list is split.")
@click.option("--rows", default=",".join(ROWS), help=f"Which rows to make, or none. [{', '.join(ROWS)}]")
@click.option("--seeds", help="Only these seeds of each row, as 1,2 (default: all that it has).")
@click.option("--resume", is_flag=True, help="Keep the rows that were made before.")
@click.option("--test", "with_test", is_flag=True, help="Also show the test losses.")
def main(path: Path, split: str, rows: str, seeds: str | None, resume: bool, with_test: bool) -> None:
    """Make rows from the names at PATH, save them, and print all saved rows."""
    chosen = [row.strip() for row in rows.split(",") if row.strip() and row.strip() != "none"]
    if unknown := [row for row in chosen if row not in ROWS]:
        raise click.UsageError(f"--rows has {', '.join(unknown)}; allowed: {', '.join(ROWS)}, none.")
    benchmark, screen, parts = f"names_txt-{split}", console(), read_parts(path, split)
    for row in chosen:
        for seed in ROWS[row].seeds:
            if seeds is not None and str(seed) not in seeds.split(","):
                continue
            if resume and path_of(benchmark, row, seed).is_file():
                continue
            screen.print(f"{row}, seed {seed}")
            with progress_on(screen, time.monotonic) as progress:
                workshop = RowTrainer(parts, WORK / benchmark, progress.show)
                try:
                    made = workshop.make(row, seed)
                except TrainingError as error:
                    raise click.ClickException(str(error)) from error
            save_result(_result(benchmark, row, seed, made, workshop))
    _show(screen, benchmark, with_test)


def _result(benchmark: str, row: str, seed: int, made: RowResult, workshop: RowTrainer) -> Result:
    gaps = {}
    for other in dict.fromkeys((BASE, ROWS[row].against)):
        theirs = workshop.dev_losses(other, seed if seed in ROWS[other].seeds else 1)
        if theirs is not None and other != row:
            gap = names_gap(made.losses["dev"], theirs, workshop.examples["dev"].lengths)
            gaps[other] = (round(gap.mean, 5), round(gap.error, 5))
    return Result(
        benchmark=benchmark,
        row=row,
        seed=seed,
        parameters=made.parameters,
        seconds=round(made.seconds, 2),
        losses={part: round(_mean(made.losses[part], workshop.examples[part]), 5) for part in PARTS},
        gaps=gaps,
        notes={"threads": torch.get_num_threads()},
        commit=commit(),
        machine=this_machine(),
        measured=now(),
    )


def _mean(losses: torch.Tensor, examples: Examples) -> float:
    return float(losses.sum() / examples.lengths.sum())


def _show(screen: Console, benchmark: str, with_test: bool) -> None:
    results = load_results(benchmark)
    table = Table("row", title=f"{benchmark}: nats per character, end token included", title_justify="left")
    shown = PARTS if with_test else PARTS[:2]
    for head in ("runs", "parameters", "seconds", *shown, "gain on 6-gram", "gain on", "by"):
        table.add_column(head, justify="right", no_wrap=True)
    for row, about in ((row, ROWS[row]) for row in ROWS):
        mine = [result for result in results if result.row == row]
        if mine:
            table.add_row(row, *_cells(mine, shown, about.against))
    screen.print(table)
    if benchmark.endswith("lines"):
        screen.print(_published())


def _cells(mine: list[Result], shown: tuple[str, ...], against: str) -> list[str]:
    losses = [_spread([result.losses[part] for result in mine]) for part in shown]
    parameters = f"{mine[0].parameters:,}" if mine[0].parameters else "counts"
    base = _gap(mine, BASE)
    other = ["", ""] if against == BASE else [against, _gap(mine, against)]
    return [str(len(mine)), parameters, f"{statistics.fmean(r.seconds for r in mine):.1f}", *losses, base, *other]


def _spread(values: list[float]) -> str:
    mean = f"{statistics.fmean(values):.4f}"
    return f"{mean} ± {statistics.stdev(values):.4f}" if len(values) > 1 else mean


def _gap(mine: list[Result], other: str) -> str:
    gaps = [result.gaps[other] for result in mine if other in result.gaps]
    if not gaps:
        return ""
    mean, error = (statistics.fmean(column) for column in zip(*gaps, strict=True))
    return f"{mean:+.4f} ± {error:.4f}"


def _published() -> Table:
    table = Table("published", title="what others reached on the same split", title_justify="left")
    for head in ("parameters", "dev", "test"):
        table.add_column(head, justify="right")
    table.add_column("source")
    for figure in PUBLISHED:
        test = "" if figure.test is None else f"{figure.test:.4f}"
        table.add_row(figure.model, figure.parameters, f"{figure.dev:.4f}", test, figure.source)
    return table


if __name__ == "__main__":
    main()
