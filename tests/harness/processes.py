"""`python -m benchmarks.reliability processes`: rows 18 to 20 and 22: workers that are killed, stopped, told to end and
replaced under a constant load, and starts with a quarter of a processor. Prints a line each.
"""

import os
import signal
import time

import click

from tests.harness.fleet import Fleet, Load, alive, listens
from tests.harness.stores import DATASET

LINK = f"/generate?dataset={DATASET}&count=20"
BODY = f'{{"dataset": "{DATASET}", "count": 20}}'.encode()
WORKERS = 2
# Seconds between two requests of a client, where a start is timed: what is measured is the service, not the clients.
PAUSE = 0.01


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
