"""`python -m benchmarks.reliability processes`: rows 18 to 20 and 22: workers that are killed, stopped, told to end and
replaced under a constant load, and starts with a quarter of a processor. Prints a line each.
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

from benchmarks.reliability_measures.crashes import prepared
from benchmarks.reliability_measures.fleet import Fleet, Load, alive, fleet, listens
from benchmarks.reliability_measures.stores import DATASET
from models import prepare

LINK = f"/generate?dataset={DATASET}&count=20"
BODY = f'{{"dataset": "{DATASET}", "count": 20}}'.encode()
WORKERS = 2
# Seconds between two requests of a client, where a start is timed: what is measured is the service, not the clients.
PAUSE = 0.01


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


def struck(running: Fleet, wish: signal.Signals) -> str:
    """Send a signal to one worker under load, and tell what was lost until there were as many as before."""
    victim = running.workers()[0]
    with Load(running.port, LINK, pause=PAUSE) as load:
        time.sleep(1)
        os.kill(victim, wish)
        gone = running.until("the victim is gone", lambda: not alive(victim))
        back = gone + running.until("all workers", lambda: len(running.workers()) == WORKERS)
        answered = load.answered
        running.until("more answers", lambda: load.answered > answered + 20)
    lost = len(load.failures) + load.retried
    if lost > load.clients:
        raise click.ClickException(f"{lost} lost of {load.clients} at most: {load.failures}")
    return (
        f"{wish.name} of one of {WORKERS} workers under {load.clients} clients: {load.answered} answered, {lost} lost "
        f"({load.retried} of them asked again by the client), gone after {gone:.1f} s, all back after {back:.1f} s"
    )


def reloaded(running: Fleet, reloads: int, requests: int, body: bytes | None = None, pause: float = 0.0) -> str:
    """Replace all workers so many times by SIGHUP under load, and tell what failed."""
    with Load(running.port, "/generate" if body else LINK, body=body, pause=pause) as load:
        for _ in range(reloads):
            old = set(running.workers())
            running.process.send_signal(signal.SIGHUP)
            running.until("new workers", lambda old=old: len({*running.workers()} - old) == WORKERS)  # type: ignore[misc]
            running.until("no old ones", lambda old=old: not any(map(alive, old)))  # type: ignore[misc]
        running.until("enough requests", lambda: load.answered >= requests)
    if load.failures:
        raise click.ClickException(f"{len(load.failures)} failures: {sorted(set(load.failures))}")
    return (
        f"{load.answered} requests across {reloads} rolling reloads: {len(load.failures)} failures "
        f"{sorted(set(load.failures))}, {load.retried} asked again"
    )


def ended(running: Fleet, body: bytes | None = None) -> str:
    """Send SIGTERM under load, and tell how long the end took and how; and how many requests were lost, which is all
    that failed but what nobody took: that a client may send to another.
    """
    workers = running.workers()
    with Load(running.port, "/generate" if body else LINK, clients=8, body=body) as load:
        running.until("answers", lambda: load.answered > 20)
        running.process.send_signal(signal.SIGTERM)
        seconds = running.until("the end", lambda: running.process.poll() is not None)
        load._over.set()
    left = [pid for pid in workers if alive(pid)]
    lost = [failure for failure in load.failures if not failure.startswith(ConnectionRefusedError.__name__)]
    return (
        f"SIGTERM under load: ended after {seconds:.1f} s with {running.process.returncode}, {len(left)} left, "
        f"{len(lost)} requests lost {sorted(set(lost))}"
    )


def orphaned(running: Fleet) -> str:
    """Kill the supervisor, and tell how long its workers stayed."""
    workers = running.workers()
    running.process.kill()
    seconds = running.until("no workers", lambda: not any(map(alive, workers)))
    port = "taken" if listens(running.port) else "free"
    return f"its {len(workers)} workers ended after {seconds:.1f} s, the port is {port}"


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
