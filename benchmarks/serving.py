"""The speed of serving, compared on one machine: over HTTP, in-process, and from start to ready.

    python -m benchmarks.serving [--rounds 3] [--seconds 4] [--rows http,models,...] [--resume] [--others PYTHON]

Each server runs on core 0, the load generator wrk on core 1. `benchmarks.measures` measures; this module selects rows,
saves them and prints them.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from benchmarks.measures import footprint, rounds, streaming, workers
from benchmarks.measures.processes import NotMeasuredError
from benchmarks.measures.rivals import RIVALS, Rival
from benchmarks.measures.tables import MISSING, show
from benchmarks.results import Result, commit, console, load_results, now, path_of, save_result, this_machine
from models.store.files import Store
from models.store.registry import SHIPPED

BENCHMARK, SEED, CORE = "serving", 1, 0
GROUPS = ("http", "connections", "models", "memory", "start", "size", "stream", "workers")
DEFAULT_MODEL = "human/lstm@5"
Notes = dict[str, float | int | str]


@dataclass(frozen=True)
class Run:
    """The options of the command line."""

    screen: Console
    times: int
    seconds: float
    resume: bool
    others: Path | None
    environment: Path | None

    def wants(self, row: str) -> bool:
        """Return whether to measure `row`: always without --resume, else if it has no figures yet."""
        path = path_of(BENCHMARK, row, SEED)
        return not (self.resume and path.is_file() and MISSING not in path.read_text("utf-8"))

    def save_result(self, row: str, notes: Notes, began: float) -> None:
        """Save a row with the time it took."""
        save_result(
            Result(
                benchmark=BENCHMARK,
                row=row,
                seed=SEED,
                parameters=int(notes.pop("parameters", 0)),
                seconds=round(time.perf_counter() - began, 2),
                notes=notes,
                commit=commit(),
                machine=this_machine(),
                measured=now(),
            )
        )

    def make(self, row: str, title: str, measure: Callable[[], Notes]) -> None:
        """Measure one row and save it, or the reason why it has no figures."""
        if not self.wants(row):
            return
        began = time.perf_counter()
        self.screen.print(f"{title} ...", style="dim")
        try:
            notes = measure()
        except NotMeasuredError as error:
            notes = {MISSING: str(error)}
        self.save_result(row, notes, began)


def _over_http(run: Run, rivals: Sequence[Rival]) -> None:
    wanted = [rival for rival in rivals if run.wants(f"http-{rival.row}")]
    began = time.perf_counter()

    def done(rival: Rival, taken: Mapping[int, Sequence[rounds.Measurement]] | str) -> None:
        notes: Notes = {MISSING: taken} if isinstance(taken, str) else rounds.notes(taken)
        run.save_result(f"http-{rival.row}", {**notes, "each_s": run.seconds}, began)

    rounds.all_rounds(
        wanted, run.others, run.times, run.seconds, lambda text: run.screen.print(text, style="dim"), done
    )


def _models(run: Run) -> None:
    run.make("core", "multiply-adds of this core", lambda: _alone([]))
    for key in sorted(Store(SHIPPED).present()):
        arguments = [key.reference, "--seconds", str(run.seconds)]
        row = "model-" + key.reference.replace("/", "-").replace("@", "-")
        run.make(row, key.reference, lambda a=arguments: {**_alone(a), "model": a[0]})  # type: ignore[misc]


def _alone(arguments: Sequence[str]) -> Notes:
    """Run `measures.core` in its own process on one core, and return its figures."""
    command = ["taskset", "-c", str(CORE), "env", "OMP_NUM_THREADS=1"]
    done = subprocess.run(
        [*command, sys.executable, "-m", "benchmarks.measures.core", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotMeasuredError((done.stderr.strip().splitlines() or ["no reason given"])[-1][:200])
    notes: Notes = json.loads(done.stdout)
    return notes


@click.command()
@click.option("--rounds", "times", default=3, show_default=True, help="How often each server has its turn.")
@click.option("--seconds", default=4.0, show_default=True, help="How long each measurement loads or draws.")
@click.option(
    "--rows", default=",".join(GROUPS), show_default=True, help=f"Groups, servers ({', '.join(RIVALS)}), none."
)
@click.option("--resume", is_flag=True, help="Keep the rows that were measured before.")
@click.option("--others", type=click.Path(path_type=Path), help="Python that has requirements/benchmarks.txt.")
@click.option("--environment", type=click.Path(exists=True, path_type=Path), help="Environment of serve.txt to weigh.")
def main(times: int, seconds: float, rows: str, resume: bool, others: Path | None, environment: Path | None) -> None:
    """Measure on this machine, save the rows, and print all saved rows."""
    asked = [] if rows == "none" else rows.split(",")
    if odd := sorted({*asked} - {*GROUPS, *RIVALS}):
        raise click.UsageError(f"--rows has {', '.join(odd)}; allowed: {', '.join((*GROUPS, *RIVALS))}, none.")
    if asked and not {rounds.SERVER_CORE, rounds.LOAD_CORE} <= os.sched_getaffinity(0):
        raise click.ClickException("Cores 0 and 1 are needed, one of them for the load. Kept rows: --rows none.")
    # Exit as after Ctrl-C, so that the servers also end.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    run = Run(console(), times, seconds, resume, others, environment)
    rivals = [rival for rival in RIVALS.values() if "http" in asked or rival.row in asked]
    _over_http(run, rivals)
    if "models" in asked:
        _models(run)
    single: dict[str, tuple[str, Callable[[], Notes]]] = {
        "connections": ("many connections", lambda: rounds.by_connections(RIVALS["namewave-default"], times, seconds)),
        "memory": (
            "sizes of the prefix cache",
            lambda: _alone([DEFAULT_MODEL, "--memories", "--seconds", str(seconds)]),
        ),
        "start": ("start to ready", lambda: footprint.start(times)),
        "size": ("sizes", lambda: footprint.sizes(environment)),
        "stream": ("a stream of a million names", streaming.measure),
        "workers": ("two workers against one", lambda: workers.measure(times, seconds)),
    }
    for row, (title, measure) in single.items():
        if row in asked:
            run.make(row, title, measure)
    show(run.screen, {result.row: result for result in load_results(BENCHMARK)})


if __name__ == "__main__":
    main()
