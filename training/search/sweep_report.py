"""The results of a sweep: a table, a preset and a plot."""

import io
import json
import math
import statistics
from collections.abc import Sequence
from itertools import accumulate

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich.console import Console
from rich.table import Table

from training.config import TrainingConfig
from training.paths import csv_bytes
from training.plots import DEV, FAINT, INK, TRAIN
from training.search.study import Row
from training.search.sweep_plan import Choices, Range, Ranges, Value

PRUNED = "#999999"
# The loss axis ends this many times as far above the best trial as the median, so that bad trials do not flatten it.
ROOM = 4.0


def sweep_plot(rows: Sequence[Row], ranges: Ranges, title: str) -> bytes:
    """Return a PNG of all trials; triangles are off the scale.

    Raises `ValueError` without a complete trial.
    """
    best = best_row(rows)
    if best is None or best.dev_loss is None:
        raise ValueError("A sweep without a complete trial has no plot.")
    across = 2 if len(ranges) in (2, 4) else 3
    down = -(-len(ranges) // across)
    figure = Figure(figsize=(9.6, 3.4 + 2.7 * down), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(1 + down, 2 * across, height_ratios=[1.25, *[1.0] * down])
    limits = _limits([row.dev_loss for row in rows if row.dev_loss is not None], best.dev_loss)
    trials = figure.add_subplot(grid[0, :])
    _draw_trials(trials, rows, best, limits)
    trials.set_title(title, loc="left", color=INK)
    for i, (field, given) in enumerate(ranges.items()):
        row, column = divmod(i, across)
        # Centre the last line.
        shift = across - min(across, len(ranges) - row * across)
        axes = figure.add_subplot(grid[1 + row, 2 * column + shift : 2 * column + shift + 2])
        _draw_field(axes, rows, best, field, given, limits)
        if column:
            axes.tick_params(labelleft=False)
        else:
            axes.set_ylabel("dev loss", color=INK)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _limits(losses: Sequence[float], best: float) -> tuple[float, float]:
    top = min(max(losses), best + ROOM * (statistics.median(losses) - best))
    margin = 0.08 * (top - best) or 0.01
    return best - margin, top + margin


def _draw_trials(axes: Axes, rows: Sequence[Row], best: Row, limits: tuple[float, float]) -> None:
    complete = [row for row in rows if row.verdict == "complete"]
    lows = accumulate((row.dev_loss if row.verdict == "complete" else None for row in rows), _lower)
    running = [(row.number, low) for row, low in zip(rows, lows, strict=True) if low is not None]
    numbers, best_so_far = zip(*running, strict=True)
    axes.step(numbers, best_so_far, where="post", color=DEV, linewidth=1.2, label="best so far")
    _scatter(axes, rows, [row.number for row in rows], limits)
    _ring(axes, best, best.number)
    axes.annotate(
        f"{best.dev_loss:.4f}",
        (best.number, best.dev_loss or 0.0),
        (0, 9),
        textcoords="offset points",
        ha="center",
        color=DEV,
        fontsize=9,
    )
    failed = [row.number for row in rows if row.verdict == "failed"]
    if failed:
        axes.plot(failed, [limits[1]] * len(failed), "x", color=INK, markersize=6, clip_on=False, label="failed")
    axes.set_xlim(0.4, max(len(rows), len(complete)) + 0.6)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial", color=INK)
    axes.set_ylabel("dev loss, nats per character", color=INK)
    _style_axes(axes, limits)
    handles, labels = axes.get_legend_handles_labels()
    first = dict(zip(reversed(labels), reversed(handles), strict=True))
    keys = list(dict.fromkeys(labels))
    axes.legend(
        [first[label] for label in keys],
        keys,
        frameon=False,
        fontsize=8,
        labelcolor=INK,
        ncols=len(keys),
        loc="lower right",
        bbox_to_anchor=(1, 1.02),
        borderaxespad=0,
    )


def _draw_field(
    axes: Axes, rows: Sequence[Row], best: Row, field: str, given: Range | Choices, limits: tuple[float, float]
) -> None:
    if isinstance(given, Choices):
        places = {choice: float(i) for i, choice in enumerate(given.choices)}
        axes.set_xticks(list(places.values()), [short(choice) for choice in places])
        axes.set_xlim(-0.5, len(places) - 0.5)
        xs = [places[row.values[field]] for row in rows]
    else:
        xs = [float(row.values[field]) for row in rows]
        axes.set_xscale("log" if given.log else "linear")
        axes.set_xlim(*_padded(given))
    _scatter(axes, rows, xs, limits)
    _ring(axes, best, xs[rows.index(best)])
    axes.set_xlabel(field, color=INK)
    _style_axes(axes, limits)


def _padded(given: Range) -> tuple[float, float]:
    if given.log:
        pad = (given.high / given.low) ** 0.05
        return given.low / pad, given.high * pad
    pad = 0.05 * (given.high - given.low)
    return given.low - pad, given.high + pad


def _scatter(axes: Axes, rows: Sequence[Row], xs: Sequence[float], limits: tuple[float, float]) -> None:
    kinds = (("complete", TRAIN, "complete", TRAIN), ("pruned", PRUNED, "stopped", "none"))
    for verdict, color, label, fill in kinds:
        points = [(x, row.dev_loss) for x, row in zip(xs, rows, strict=True) if row.verdict == verdict]
        inside = [(x, loss) for x, loss in points if loss is not None and loss <= limits[1]]
        above = [x for x, loss in points if loss is not None and loss > limits[1]]
        if points:
            axes.plot(
                [x for x, _ in inside],
                [y for _, y in inside],
                "o",
                color=color,
                markerfacecolor=fill,
                markersize=5,
                label=label,
            )
        if above:
            axes.plot(
                above,
                [limits[1]] * len(above),
                "^",
                color=color,
                markerfacecolor=fill,
                markersize=6,
                clip_on=False,
                label="off the scale",
            )


def _ring(axes: Axes, best: Row, x: float) -> None:
    axes.plot([x], [best.dev_loss or math.nan], "o", color=DEV, markersize=10, fillstyle="none")


def _style_axes(axes: Axes, limits: tuple[float, float]) -> None:
    axes.set_ylim(*limits)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _lower(one: float | None, other: float | None) -> float | None:
    known = [loss for loss in (one, other) if loss is not None]
    return min(known, default=None)


WORDS = {"complete": "", "pruned": "stopped", "failed": "failed"}
_ORDER = ("complete", "pruned", "failed")


def best_row(rows: Sequence[Row]) -> Row | None:
    """Return the complete trial with the lowest dev loss, the earliest of equals; None if there is none."""
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
    """Return all trials in order as CSV, with full precision."""
    head = ("trial", "verdict", "dev_loss", "seconds", *fields, "note")
    return csv_bytes(
        head,
        [
            (row.number, row.verdict, row.dev_loss, round(row.seconds, 3), *map(row.values.get, fields), row.note)
            for row in rows
        ],
    )


def best_toml(config: TrainingConfig, comment: str) -> bytes:
    """Return `config` as a preset in TOML, with a one-line comment."""
    fields = config.model_dump(exclude={"model"} if config.method == "counting" else {"model", "smoothing"})
    lines = [f"# {comment}", *_table(fields), "", "[model]", *_table(config.model.model_dump())]
    return ("\n".join(lines) + "\n").encode()


def short(value: Value) -> str:
    """Format a value for people: three significant digits of a float, anything else unchanged."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _table(fields: dict[str, Value]) -> list[str]:
    # JSON and TOML write the strings, numbers and booleans of these models in the same way.
    return [f"{field} = {json.dumps(value)}" for field, value in fields.items()]
