"""A real service of several processes over a small store, and a constant load on it. What is done to its processes is
not known here.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# Seconds: more than anything takes here, so that only what never comes fails.
PATIENCE = 90.0


@dataclass(frozen=True)
class Fleet:
    """A supervisor (or, alone, the service), its port, and the file of its log."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    def workers(self) -> list[int]:
        """Return the processes that serve, oldest first: those whose lines the log has, as far as they are alive."""
        return [pid for pid in (line["process"] for line in self.lines("ready")) if alive(pid)]

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return the log's lines of one event."""
        told = f'"event":"{event}"'
        with self.log.open(encoding="utf-8") as log:
            return [json.loads(line) for line in log if told in line]

    def until(self, what: str, seen: Callable[[], bool], patience: float = PATIENCE) -> float:
        """Look until it is so, and return how many seconds that took. Raises `TimeoutError` with the log's end."""
        began = time.monotonic()
        while not seen():
            if time.monotonic() - began > patience:
                raise TimeoutError(f"never seen: {what}\n{self.log.read_text('utf-8')[-3000:]}")
            time.sleep(0.05)
        return time.monotonic() - began


def alive(pid: int) -> bool:
    """Tell whether the process is there and no zombie."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    return False


@contextmanager
def fleet(store: Path, log: Path, workers: int, **more: str) -> Iterator[Fleet]:
    """Start the service over shipped/ and user/ of `store`, wait until every worker serves, and end it all."""
    port = free_port()
    mine = {
        "NAMEWAVE_STORE": str(store / "user"),
        "NAMEWAVE_SHIPPED_STORE": str(store / "shipped"),
        "NAMEWAVE_WORKERS": str(workers),
        "NAMEWAVE_LOG_FORMAT": "json",
        "OMP_NUM_THREADS": "1",
        **more,
    }
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NAMEWAVE_")} | mine
    command = [sys.executable, "-m", "app", "serve", "--port", str(port)]
    with log.open("wb") as file, subprocess.Popen(command, cwd=ROOT, env=environment, stderr=file) as process:
        running = Fleet(process, port, log)
        try:
            running.until("all workers", lambda: len(running.workers()) == workers)
            yield running
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


@dataclass
class Load:
    """Clients that ask again and again, each on a connection that it keeps, with a `pause` of some seconds in between.

    `answered` counts answers of status 200, `failures` says what else came, `retried` counts requests that were sent
    again: only on a connection that was used before and ended without a byte of an answer, which RFC 9110 (9.2.2)
    allows for GET and every client library does. `body`: POST it instead; then nothing is sent again.
    """

    port: int
    path: str
    clients: int = 4
    body: bytes | None = None
    pause: float = 0.0
    answered: int = 0
    retried: int = 0
    failures: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> "Load":
        for _ in range(self.clients):
            thread = threading.Thread(target=self._ask_on)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *failure: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask_on(self) -> None:
        connection, used = self._connection(), False
        while not self._over.is_set():
            try:
                status = self._ask(connection)
                closes = connection.sock is None
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                again = used and self.body is None and isinstance(error, ConnectionError)
                with self._lock:
                    if again:
                        self.retried += 1
                    else:
                        self.failures.append(repr(error))
                connection, used = self._connection(), False
                continue
            with self._lock:
                if status == 200:
                    self.answered += 1
                else:
                    self.failures.append(str(status))
            used = not closes
            self._over.wait(self.pause)
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection) -> int:
        headers = {"Content-Type": "application/json"} if self.body else {}
        connection.request("POST" if self.body else "GET", self.path, self.body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Tell whether anyone takes connections at the port."""
    with socket.socket() as asking:
        asking.settimeout(1)
        return asking.connect_ex(("127.0.0.1", port)) == 0
