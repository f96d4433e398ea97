"""What a sweep leaves: the table on the console, `results.csv`, and `best.toml`, a preset of the best trial."""

import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from training.config import TrainingConfig
from training.output import csv_bytes
from training.search.study import Row
from training.search.sweep_ranges import Value

WORDS = {"complete": "", "pruned": "stopped", "failed": "failed"}
_ORDER = ("complete", "pruned", "failed")


def best_row(rows: Sequence[Row]) -> Row | None:
    """Return the complete trial with the lowest dev loss, the earliest of equals; None where none is complete."""
    ranked = ranked_rows(rows)
    return ranked[0] if ranked and ranked[0].verdict == "complete" else None


def ranked_rows(rows: Sequence[Row]) -> list[Row]:
    """Return complete trials, then those stopped early, then failed ones, each by dev loss."""
    return sorted(rows, key=lambda row: (_ORDER.index(row.verdict), row.dev_loss or 0.0, row.number))


def show_results(console: Console, rows: Sequence[Row], fields: Sequence[str]) -> None:
    """Print all trials, best first."""
    table = Table(title="trials, best first (dev loss in nats per character)", title_justify="left")
    for head in ("trial", *(field.replace("_", "_\n") for field in fields), "dev loss", "seconds"):
        table.add_column(head, justify="right")
    notes = [WORDS[row.verdict] for row in ranked_rows(rows)]
    if any(notes):
        table.add_column("note")
    best = best_row(rows)
    for row, note in zip(ranked_rows(rows), notes, strict=True):
        loss = "" if row.dev_loss is None else f"{row.dev_loss:.4f}"
        cells = [str(row.number), *(short(row.values[field]) for field in fields), loss, f"{row.seconds:.1f}"]
        table.add_row(*cells, *([note] if any(notes) else []), style="bold" if row is best else "")
    console.print(table)


def results_csv(rows: Sequence[Row], fields: Sequence[str]) -> bytes:
    """Return all trials in their order as CSV, numbers in full."""
    head = ("trial", "verdict", "dev_loss", "seconds", *fields, "note")
    return csv_bytes(
        head,
        [
            (row.number, row.verdict, row.dev_loss, round(row.seconds, 3), *map(row.values.get, fields), row.note)
            for row in rows
        ],
    )


def best_toml(config: TrainingConfig, comment: str) -> bytes:
    """Return `config` as a preset: a TOML table of fields and a table [model], under a comment of one line."""
    fields = config.model_dump(exclude={"model"} if config.method == "counting" else {"model", "smoothing"})
    lines = [f"# {comment}", *_table(fields), "", "[model]", *_table(config.model.model_dump())]
    return ("\n".join(lines) + "\n").encode()


def short(value: Value) -> str:
    """Return a value as a person reads it: three digits of a fraction, words as they are."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _table(fields: dict[str, Value]) -> list[str]:
    # Strings, numbers and booleans of these two models look the same in JSON and in TOML.
    return [f"{field} = {json.dumps(value)}" for field, value in fields.items()]
