"""Worker processes killed, stopped, reloaded and starved under load (rows 18 to 22).

`python -m benchmarks.reliability processes`
"""

import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from models import prepare
from tests.harness.processes import (
    BODY,
    WORKERS,
    kill_supervisor,
    reload_workers,
    replace_worker,
    stop_under_load,
)
from tests.harness.service import Service, is_alive, is_listening, served
from tests.harness.stores import make_stores, store_settings


@click.command()
@click.option("--requests", default=10_000, show_default=True, help="Requests, at least, during the reloads.")
@click.option("--reloads", default=5, show_default=True, help="Rolling reloads.")
@click.option("--starts", default=10, show_default=True, help="Cold starts.")
@click.option("--share", default=0.25, show_default=True, help="Of the time that those may run.")
@click.option("--uvicorn", type=int, help="Measure uvicorn's supervisor, with this health-check timeout in seconds.")
def processes(requests: int, reloads: int, starts: int, share: float, uvicorn: int | None) -> None:
    """Kill, stop and replace processes under load; print what was lost and how long it took."""
    prepare()
    module = "app" if uvicorn is None else "benchmarks.servers.uvicorn_workers"
    with tempfile.TemporaryDirectory() as folder:
        settings = store_settings(make_stores(Path(folder), prepare())) | {"NAMEWAVE_WORKERS": str(WORKERS)}
        settings |= {} if uvicorn is None else {"HEALTHCHECK_SECONDS": str(uvicorn)}
        with served(module, **settings) as service:
            _report("row 18", lambda: _replaced(service, signal.SIGKILL))
            _report("row 19", lambda: _replaced(service, signal.SIGSTOP))
            _report("row 22: GET", lambda: _reloaded(service, reloads, requests))
            _report("row 22: POST", lambda: _reloaded(service, reloads, requests, BODY))
        with served(module, **settings, NAMEWAVE_KERNELS=str(Path(folder) / "kernels")) as service:
            shutil.rmtree(Path(folder) / "kernels")
            _report("row 22: kernels not compiled", lambda: _reloaded(service, 1, 100))
            _report("row 22", lambda: _stopped(service))
        with served(module, **settings) as service:
            seconds = kill_supervisor(service)
            port = "taken" if is_listening(service.port) else "free"
            click.echo(f"row 18: supervisor killed: workers ended after {seconds:.1f} s, the port is {port}")
        times, restarts = cold_starts(module, settings, starts, share)
        click.echo(
            f"row 20: {starts} starts of {WORKERS} workers with {share:.0%} of the time: "
            f"{min(times):.1f} to {max(times):.1f} s, {restarts} restarts"
        )


def _report(row: str, measure: Callable[[], str]) -> None:
    """Print what a measurement found, or that it failed: the next one follows."""
    try:
        click.echo(f"{row}: {measure()}")
    except (click.ClickException, TimeoutError) as error:
        click.echo(f"{row}: failed: {str(error)[-600:]}")


def _replaced(service: Service, number: signal.Signals) -> str:
    load, gone, back = replace_worker(service, number)
    lost = load.retried + len(load.failures)
    if lost > load.clients:
        raise click.ClickException(f"{lost} lost of {load.clients} at most: {load.failures}")
    return (
        f"{number.name} of one of {WORKERS} workers under {load.clients} clients: {load.answered} answered, "
        f"{lost} lost ({load.retried} of them asked again by the client), "
        f"gone after {gone:.1f} s, all back after {back:.1f} s"
    )


def _reloaded(service: Service, reloads: int, requests: int, body: bytes | None = None) -> str:
    [load] = reload_workers(service, reloads, requests, (body,))
    if load.failures:
        raise click.ClickException(f"{len(load.failures)} failures: {sorted(set(load.failures))}")
    return f"{load.answered} requests across {reloads} rolling reloads: 0 failures, {load.retried} asked again"


def _stopped(service: Service) -> str:
    workers = service.workers()
    lost, seconds = stop_under_load(service)
    left = sum(map(is_alive, workers))
    return (
        f"SIGTERM under load: ended after {seconds:.1f} s with {service.process.returncode}, {left} left, "
        f"{len(lost)} requests lost {sorted(set(lost))}"
    )


def cold_starts(module: str, settings: dict[str, str], starts: int, share: float) -> tuple[list[float], int]:
    """Start the service `starts` times while its processes may run only for a `share` of the time.

    Return the seconds until all workers served, and the number of replaced workers.
    """
    times, restarts = [], 0
    for _ in range(starts):
        began = time.monotonic()
        with throttled(share), served(module, **settings) as service:
            times.append(time.monotonic() - began)
            restarts += sum("is replaced" in line for line in service.lines())
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

    def send(number: signal.Signals) -> None:
        for pid in all_of_them():
            with suppress(OSError):
                os.kill(pid, number)

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
