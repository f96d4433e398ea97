"""The service in processes of its own, observed from outside: address, log, memory, workers."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from models import prepare

ROOT = Path(__file__).parents[2]
# Seconds: it only ends a hang.
LIMIT = 120.0
ADDRESS = re.compile(r'"address":"http://127\.0\.0\.1:(\d+)"')


class ServiceError(Exception):
    """The service ended during its start."""


@dataclass
class Service:
    """A running service: its process, the supervisor if it has several workers, its log file and its port."""

    process: "subprocess.Popen[bytes]"
    log: Path
    port: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def is_ready(self) -> bool:
        """Return whether /health/ready answers 200."""
        try:
            with urllib.request.urlopen(f"{self.address}/health/ready", timeout=LIMIT) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def memory(self) -> float:
        """Return the resident memory of the process in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("utf-8")
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024

    def lines(self) -> list[str]:
        return self.log.read_text("utf-8").splitlines()

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log's lines of one event."""
        return [json.loads(line) for line in self.lines() if f'"event":"{name}"' in line]

    def workers(self) -> list[int]:
        """Return the ids of the living processes that serve, oldest first."""
        return [pid for pid in (line["process"] for line in self.events("ready")) if is_alive(pid)]

    def until(self, what: str, condition: Callable[[], object]) -> float:
        """Wait for `condition`, and return the seconds that took. Raises `TimeoutError` with the end of the log."""
        started = time.monotonic()
        while not condition():
            if time.monotonic() - started > LIMIT:
                raise TimeoutError("\n".join([f"never seen: {what}", *self.lines()[-30:]]))
            time.sleep(0.02)
        return time.monotonic() - started

    def wait_until_ready(self, workers: int) -> None:
        """Wait until all workers serve. Raises `ServiceError`."""

        def is_started() -> bool:
            if self.process.poll() is not None:
                raise ServiceError(self.log.read_text("utf-8"))
            return len(self.workers()) == workers

        self.until("the start", is_started)
        self.port = int(ADDRESS.findall(self.log.read_text("utf-8"))[0])
        self.until("readiness", self.is_ready)

    def stop(self) -> tuple[int, float]:
        """End it with SIGTERM; return the exit status and the seconds that took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        return status, time.monotonic() - started


def is_listening(port: int) -> bool:
    """Return whether a connection to the port of this machine is accepted."""
    with socket.socket() as client:
        client.settimeout(LIMIT)
        return client.connect_ex(("127.0.0.1", port)) == 0


def is_alive(pid: int) -> bool:
    """Return whether the process exists and is no zombie."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    return False


def environment(**settings: str) -> dict[str, str]:
    """Return this process's environment with these settings of the service and no others."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NAMEWAVE_")}
    return {**clean, "NAMEWAVE_LOG_FORMAT": "json", **settings}


@cache
def compile_kernels() -> None:
    """Compile the sampler once for all services, whose start is then short."""
    prepare()


@contextmanager
def served(module: str = "app", **settings: str) -> Iterator[Service]:
    """Run `module`, the service by default, with these settings on a free port; stop it at the end."""
    compile_kernels()
    command = [sys.executable, "-m", module, "serve", "--port", "0"]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(command, cwd=ROOT, env=environment(**settings), stderr=file)
        service = Service(process, log)
        try:
            service.wait_until_ready(int(settings.get("NAMEWAVE_WORKERS", "1")))
            yield service
        finally:
            if process.poll() is None:
                service.stop()


def run_python(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run Python with these settings of the service, and return its status and output."""
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment(**settings), capture_output=True, text=True, timeout=600, check=False
    )


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
