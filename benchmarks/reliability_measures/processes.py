"""Worker processes killed, stopped, reloaded and starved under load (rows 18 to 22).

`python -m benchmarks.reliability processes`
"""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from models import prepare
from tests.harness.crashes import prepared
from tests.harness.fleet import fleet
from tests.harness.processes import BODY, WORKERS, ended, orphaned, reloaded, struck


@click.command()
@click.option("--requests", default=10_000, show_default=True, help="Requests, at least, during the reloads.")
@click.option("--reloads", default=5, show_default=True, help="Rolling reloads.")
@click.option("--starts", default=10, show_default=True, help="Cold starts.")
@click.option("--share", default=0.25, show_default=True, help="Of the time that those may run.")
def processes(requests: int, reloads: int, starts: int, share: float) -> None:
    """Kill, stop and replace processes under load; print what was lost and how long it took."""
    prepare()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        store = prepared(root / "store", prepare())
        with fleet(store, root / "log", WORKERS) as running:
            click.echo(f"row 18: {struck(running, signal.SIGKILL)}")
            click.echo(f"row 19: {struck(running, signal.SIGSTOP)}")
            click.echo(f"row 22: GET: {reloaded(running, reloads, requests)}")
            click.echo(f"row 22: POST: {reloaded(running, reloads, requests, BODY)}")
            click.echo(f"row 22: {ended(running)}")
        with fleet(store, root / "log", WORKERS) as running:
            click.echo(f"row 18: supervisor killed: {orphaned(running)}")
        times, restarts = cold_starts(store, root / "log", starts, share)
        click.echo(
            f"row 20: {starts} starts of {WORKERS} workers with {share:.0%} of the time: "
            f"{min(times):.1f} to {max(times):.1f} s, {restarts} restarts"
        )


def cold_starts(store: Path, log: Path, starts: int, share: float) -> tuple[list[float], int]:
    """Start the service so many times while all its processes may run for a `share` of the time only; return the
    seconds until all workers served, and how many workers were replaced meanwhile.
    """
    times, restarts = [], 0
    for _ in range(starts):
        began = time.monotonic()
        with throttled(share), fleet(store, log, WORKERS) as running:
            times.append(time.monotonic() - began)
            restarts += running.log.read_text("utf-8").count("is replaced")
    return times, restarts


@contextmanager
def throttled(share: float, beat: float = 0.1) -> Iterator[None]:
    """Stop what this process started, and what that started, for all but a `share` of every `beat` of seconds: what a
    container with a fraction of a processor knows.
    """
    over = threading.Event()

    def all_of_them() -> list[int]:
        pids = [os.getpid()]
        for pid in pids:
            with suppress(OSError):
                for children in Path(f"/proc/{pid}/task").glob("*/children"):
                    pids += [int(child) for child in children.read_text("utf-8").split()]
        return pids[1:]

    def send(wish: signal.Signals) -> None:
        for pid in all_of_them():
            with suppress(OSError):
                os.kill(pid, wish)

    def pulse() -> None:
        while not over.wait(beat * share):
            send(signal.SIGSTOP)
            over.wait(beat * (1 - share))
            send(signal.SIGCONT)

    thread = threading.Thread(target=pulse)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        send(signal.SIGCONT)
