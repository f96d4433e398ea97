"""The tables of saved rows, and the goals beside the results."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from benchmarks.measures.core import MEMORIES
from benchmarks.measures.rivals import RIVALS
from benchmarks.measures.rounds import COUNTS, MANY_CONNECTIONS
from benchmarks.results import Result

Notes = Mapping[str, float | int | str]
Rows = Mapping[str, Result]
MISSING = "missing"
DEFAULT_ROW = "namewave-default"


def show(screen: Console, rows: Rows) -> None:
    """Print all tables, from the rows by name."""
    for table in (
        over_http(rows),
        by_connections(rows),
        in_process(rows),
        by_memory(rows),
        footprint(rows),
        goals(rows),
    ):
        screen.print(table)
    for result in list(rows.values())[:1]:
        screen.print(f"{result.machine.processor}, {result.machine.cores} cores, Python {result.machine.python}")


def number(row: Result | None, key: str) -> float | None:
    """Return a figure of a row, or None if it was not measured."""
    value = row.notes.get(key) if row is not None else None
    return float(value) if isinstance(value, int | float) else None


def over_http(rows: Rows) -> Table:
    """Return the first table: a line for each server and count."""
    table = Table("server", title="over HTTP, server on one core, wrk on the other, 16 connections (medians)")
    table.title_justify = "left"
    for head in (
        "count",
        "requests/s",
        "names/s",
        "p50, ms",
        "p99, ms",
        "core used",
        "processor, us",
        "errors",
        "commit",
    ):
        table.add_column(head, justify="right")
    for rival in RIVALS.values():
        result = rows.get(f"http-{rival.row}")
        if result is None or MISSING in result.notes:
            table.add_row(rival.title, "", f"not measured: {_reason(result)}")
            continue
        for count in COUNTS:
            keys = ("requests", "names", "p50", "p99", "busy", "cpu_us")
            figures = [number(result, f"{key}_{count}") for key in keys]
            errors = result.notes[f"errors_{count}"]
            shown = str(errors) if errors == 0 else f"[bold red]{errors}: not valid[/]"
            cells = [_figure(figures[0]), _figure(figures[1]), *map(_figure, figures[2:])]
            table.add_row(rival.title if count == COUNTS[0] else "", f"{count:,}", *cells, shown, result.commit)
        table.add_section()
    return table


def by_connections(rows: Rows) -> Table:
    """Return the table by connections, 20 names of the default model a request."""
    table = Table("connections", title="the default model, 20 names, by connections", title_justify="left")
    for head in ("requests/s", "p50, ms", "p99, ms", "p99/p50", "errors"):
        table.add_column(head, justify="right")
    row = rows.get("connections")
    for connections in MANY_CONNECTIONS:
        figures = [number(row, f"{key}_c{connections}") for key in ("requests", "p50", "p99")]
        ratio = figures[2] / figures[1] if figures[1] and figures[2] else None
        errors = number(row, f"errors_c{connections}")
        table.add_row(f"{connections:,}", *map(_figure, [*figures, ratio]), _figure(errors))
    return table


def in_process(rows: Rows) -> Table:
    """Return the second table: a line for each shipped model."""
    best, integers = (number(rows.get("core"), key) for key in ("peak", "peak_int8"))
    shown = (
        "not measured" if not (best and integers) else f"{best / 1e9:.0f} G/s, of 8-bit integers {integers / 1e9:.0f}"
    )
    title = f"in-process, one core (multiply-adds of the product kernel: {shown})"
    table = Table("model", title=title, title_justify="left")
    heads = (
        "parameters",
        "off, names/s",
        "cold",
        "warm",
        "first call, ms",
        "20 names, us",
        "warm, us",
        "multiply-adds a name",
        "share",
    )
    for head in heads:
        table.add_column(head, justify="right")
    for name, result in rows.items():
        if not name.startswith("model-"):
            continue
        if MISSING in result.notes:
            table.add_row(str(result.notes["model"]), "", f"not measured: {_reason(result)}")
            continue
        keys = ("off", "cold", "warm", "first_ms", "call_20_us", "warm_call_20_us", "products")
        cells = [_figure(number(result, key)) for key in keys]
        part = share(result, integers if number(result, "integers") else best)
        cells.append("" if not part else f"{part:.2f}")
        table.add_row(str(result.notes["model"]), f"{result.parameters:,}", *cells)
    return table


def by_memory(rows: Rows) -> Table:
    """Return the table by the size of the prefix cache, for the default model."""
    table = Table("MiB", title="the default model in-process, by the size of the prefix cache", title_justify="left")
    for head in ("names/s", "20 names, us"):
        table.add_column(head, justify="right")
    row = rows.get("memory")
    for mebibytes in MEMORIES:
        figures = [number(row, f"{key}_{mebibytes}") for key in ("names", "call_20_us")]
        table.add_row(str(mebibytes), *map(_figure, figures))
    return table


def share(result: Result, best: float | None) -> float | None:
    """Return the share of the core's peak that the kernel reaches without a cache; None for a bigram."""
    names, products = number(result, "off"), number(result, "products")
    return names * products / best if names and products and best else None


def footprint(rows: Rows) -> Table:
    """Return the third table: start, memory, size, streams, workers."""
    table = Table("what", title="start, memory, size, streams, workers", title_justify="left")
    table.add_column("figure", justify="right")
    for row, key, title in (
        ("start", "ready_s", "start to ready, s (compiled code cached)"),
        ("start", "resident_mib", "resident when ready, MiB"),
        ("start", "used_mib", "resident after requests to every version, MiB"),
        ("size", "installed_mib", "site-packages of serving, MiB"),
        ("size", "source_mib", "app and models with all versions, MiB"),
        ("stream", "names", "stream of 1,000,000 names, names/s"),
        ("stream", "growth_mib", "its growth of resident memory, MiB"),
        ("workers", "one", "one worker, requests/s for 20 names"),
        ("workers", "two", "two workers and wrk on two cores, as counted"),
        ("workers", "load_share", "wrk's share of the two cores"),
        ("workers", "two_corrected", "two workers, wrk's share subtracted"),
    ):
        result = rows.get(row)
        value = number(result, key)
        if value is None:
            written = result.notes.get(key.removesuffix("_mib")) if result is not None else None
            table.add_row(title, str(written or f"not measured: {_reason(result)}"))
        else:
            table.add_row(title, _figure(value))
    return table


def goals(rows: Rows) -> Table:
    """Return the goals beside the results."""
    table = Table("what", title="goals", title_justify="left")
    for head in ("goal", "reached", ""):
        table.add_column(head, justify="right")
    for title, goal, reached in _goals(rows):
        most = title.startswith("at most")
        mark = "" if reached is None else "yes" if (reached <= goal if most else reached >= goal) else "no"
        shown = "not measured" if reached is None else f"{reached:,.2f}" if reached < 1000 else f"{reached:,.0f}"
        table.add_row(title, f"{goal:,g}", shown, mark)
    return table


def _goals(rows: Rows) -> list[tuple[str, float, float | None]]:
    default, wavenet = DEFAULT_ROW, "namewave"
    found: list[tuple[str, float, float | None]] = [
        ("20 names, the default model: requests/s against bare FastAPI", 0.7, _ratio(rows, default, "floor")),
        ("20 names, random temperatures: against bare FastAPI", 0.55, _ratio(rows, "namewave-random", "floor")),
        ("20 names, human/wavenet@3: against bare FastAPI", 0.5, _ratio(rows, wavenet, "floor")),
        *(
            (f"20 names, human/wavenet@3: times the requests/s of {RIVALS[row].title}", 8, _ratio(rows, wavenet, row))
            for row in ("batched", "litserve", "bentoml")
        ),
    ]
    model = rows.get("model-human-lstm-5")
    found += [
        ("human/lstm@5: names/s a core, in batches", 300_000, number(model, "warm")),
        ("at most: human/lstm@5: 20 unseen names, us", 70, number(model, "warm_call_20_us")),
    ]
    p50, p99 = (number(rows.get("connections"), f"{key}_c64") for key in ("p50", "p99"))
    one, two = (number(rows.get("workers"), key) for key in ("one", "two_corrected"))
    return [
        *found,
        ("at most: p99 at 64 connections, times p50", 4, p99 / p50 if p50 and p99 else None),
        ("stream of 1,000,000, human/wavenet@3: names/s", 400_000, number(rows.get("stream"), "names")),
        ("at most: growth of memory meanwhile, MiB", 100, number(rows.get("stream"), "growth_mib")),
        ("at most: start to ready, s", 2, number(rows.get("start"), "ready_s")),
        ("at most: resident after 3,000 requests, MiB", 280, number(rows.get("start"), "used_mib")),
        ("two workers: times one, wrk's share subtracted", 1.8, two / one if one and two else None),
    ]


def _ratio(rows: Rows, row: str, other: str) -> float | None:
    """Return the ratio of requests for 20 names to another server's; None if either had errors."""
    mine, theirs = rows.get(f"http-{row}"), rows.get(f"http-{other}")
    if number(mine, "errors_20") != 0 or number(theirs, "errors_20") != 0:
        return None
    ours, beside = number(mine, "requests_20"), number(theirs, "requests_20")
    return ours / beside if ours and beside else None


def _reason(result: Result | None) -> str:
    return "no row" if result is None else str(result.notes.get(MISSING, "not there yet"))


def _figure(value: float | None) -> str:
    if value is None:
        return "not there yet"
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.1f}" if value >= 100 else f"{value:,.2f}"
