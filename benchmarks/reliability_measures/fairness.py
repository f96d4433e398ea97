"""Row 14: the latency of a client while another one floods the service, with and without the limit."""

import http.client
import json
import multiprocessing
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import click

from benchmarks.measures.processes import started

FLOODER, CLIENT = "127.0.0.1", "127.0.0.2"
HEADERS = {"Content-Type": "application/json"}
SMALL, LARGE = json.dumps({"count": 20}), json.dumps({"count": 100})
# Requests per second of the measured client, and the rate limit in characters per minute.
PACE, LIMIT = 50, 800_000
CONNECTIONS = 4
# Seconds for the flooder to exhaust its limit.
FILLING = 10


def ask(port: int, host: str, body: str, pace: float, seconds: float) -> list[tuple[int, float]]:
    """Send `pace` requests per second over one connection of `host`; return each status and its delay in seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(host, 0))
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    began, found = time.perf_counter(), []
    for number in range(int(pace * seconds)):
        due = began + number / pace
        time.sleep(max(0.0, due - time.perf_counter()))
        if time.perf_counter() - began > seconds:
            break
        connection.request("POST", "/generate", body, HEADERS)
        answer = connection.getresponse()
        answer.read()
        found.append((answer.status, time.perf_counter() - due))
    return found


def flood(port: int, rate: float, seconds: float, result: "multiprocessing.Queue[Counter[int]]") -> None:
    """Send `rate` large requests per second over several connections, and put the count of each status."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        runs = [pool.submit(ask, port, FLOODER, LARGE, rate / CONNECTIONS, seconds) for _ in range(CONNECTIONS)]
        result.put(Counter(status for run in runs for status, _ in run.result()))


@contextmanager
def served(limit: int) -> Iterator[int]:
    """Serve on the first core with this limit, and yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "app", "serve", "--port", str(port)]
    quiet = {"NAMEWAVE_LIMIT": str(limit), "NAMEWAVE_LOG_LEVEL": "warning"}
    with tempfile.TemporaryDirectory() as folder, started(command, port, Path(folder), [0], quiet):
        for _ in range(600):
            try:
                ask(port, CLIENT, SMALL, 50, 0.1)
                break
            except OSError:
                time.sleep(0.1)
        yield port


def measure(limit: int, rate: float, seconds: float) -> tuple[list[float], Counter[int]]:
    """Return the client's sorted latencies in seconds, and the flooder's statuses."""
    result: multiprocessing.Queue[Counter[int]] = multiprocessing.Queue()
    with served(limit) as port:
        ask(port, CLIENT, SMALL, PACE, 2)
        flooder = multiprocessing.Process(target=flood, args=(port, rate, seconds + FILLING, result))
        if rate:
            flooder.start()
        time.sleep(FILLING)
        got = ask(port, CLIENT, SMALL, PACE, seconds)
        statuses = result.get(timeout=60) if rate else Counter[int]()
        if rate:
            flooder.join()
    if any(status != 200 for status, _ in got):
        raise click.ClickException("the client was refused")
    return sorted(taken for _, taken in got), statuses


@click.command()
@click.option("--seconds", default=20.0, show_default=True, help="How long each is measured.")
@click.option("--rate", default=200.0, show_default=True, help="Requests of 100 names a second that the flooder sends.")
def fairness(seconds: float, rate: float) -> None:
    """Measure a client's times alone, beside a flooder without limits, and beside one with them."""
    click.echo(f"{PACE} requests of 20 names a second; the flooder: {rate:g} of 100 names a second.")
    for title, limit, pace in (("alone", LIMIT, 0.0), ("flood, no limit", 0, rate), ("flood, limit", LIMIT, rate)):
        times, statuses = measure(limit, pace, seconds)
        p50, p99 = (1000 * times[int(share * (len(times) - 1))] for share in (0.5, 0.99))
        shown = ", ".join(f"{number} x {status}" for status, number in sorted(statuses.items())) or "none"
        click.echo(f"{title:<16} p50 {p50:6.2f} ms   p99 {p99:6.2f} ms   flooder: {shown}")
