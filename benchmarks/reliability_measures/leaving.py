"""How soon work ends whose client left, and how long the worst legal request takes: measured over real sockets."""

import http.client
import json
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np

from benchmarks.measures.processes import TIMEOUT_SECONDS, Process, started, wait_until
from tests.harness.service import free_port

# Almost all candidates are rejected, so that the whole budget is drawn.
WORST = {"count": 10_000, "temperature": 0.05, "novel": True, "max_attempts": 1_000_000, "seed": 1}
IDLE_FOR = 0.05


def _ask(port: int) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    connection.request("POST", "/generate", json.dumps(WORST), {"Content-Type": "application/json"})
    return connection


def _until_idle(server: Process, began: float) -> float:
    """Return the milliseconds from `began` until the server's processor time stood still."""
    used, since = server.cpu_seconds(), time.monotonic()
    while time.monotonic() - since < IDLE_FOR:
        time.sleep(0.002)
        if (now := server.cpu_seconds()) != used:
            used, since = now, time.monotonic()
    return (since - began) * 1000


@click.command()
@click.option("--rounds", default=20, show_default=True, help="How many clients leave.")
def leaving(rounds: int) -> None:
    """Leave in the middle of the worst legal request; then wait for one. Exit status 1 where a goal is missed."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "app", "serve", "--port", str(port)]
        with started(command, port, Path(folder), [0], {"NAMEWAVE_STORE": f"{folder}/store"}) as server:
            wait_until(server, "/health/ready")
            taken = []
            for _ in range(rounds):
                connection = _ask(port)
                time.sleep(0.3)
                began = time.monotonic()
                connection.close()
                taken.append(_until_idle(server, began))
            began = time.monotonic()
            answer = json.loads(_ask(port).getresponse().read())
            seconds = time.monotonic() - began
    # The processor's clock ticks every 10 ms: no figure is finer than that.
    print(f"work ended after the client left: median {np.median(taken):.0f} ms, worst {max(taken):.0f} ms of {rounds}")
    shown = f"complete {answer['complete']}, {answer['attempts']:,} attempts, {len(answer['names']):,} names"
    print(f"the worst legal request: {seconds:.1f} s, {shown}")
    if np.median(taken) > 100 or seconds > 32:
        raise SystemExit(1)
