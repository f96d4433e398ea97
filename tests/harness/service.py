"""The service in a process of its own, as an attacker meets it: an address, and what can be seen of it from outside."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START = 120.0
# In the greeting for people, and in the log's line "ready" as JSON.
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)[ \"]")


class ServiceError(Exception):
    """The service did not start, or ended by itself."""


class Service:
    """A running service."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self.log, self.port = process, log, 0

    def wait(self) -> None:
        """Wait until it is ready. Raises `ServiceError`."""
        for _ in range(int(START / 0.1)):
            if self.process.poll() is not None:
                raise ServiceError(self.log.read_text("utf-8"))
            if self.port == 0 and (found := ADDRESS.search(self.log.read_text("utf-8"))):
                self.port = int(found[1])
            if self.port and self.is_ready():
                return
            time.sleep(0.1)
        raise ServiceError("it did not become ready")

    def is_ready(self) -> bool:
        """Ask /health/ready."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/ready", timeout=10) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def memory(self) -> float:
        """Return the resident memory in MiB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", text)[0]) / 1024

    def lines(self) -> list[str]:
        """Return what it logged so far."""
        return self.log.read_text("utf-8").splitlines()

    def stop(self) -> tuple[int, float]:
        """End it with SIGTERM; return the exit status and the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        return status, time.monotonic() - began


@contextmanager
def served(module: str = "app", **settings: str) -> Iterator[Service]:
    """Serve with these settings, without any others, and a log of JSON; end it at last. `module` is what is run."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("NAMEWAVE_")}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = [sys.executable, "-m", module, "serve", "--port", "0"]
        with log.open("wb") as out:
            process = subprocess.Popen(command, env={**clean, "NAMEWAVE_LOG_FORMAT": "json", **settings}, stderr=out)
        service = Service(process, log)
        try:
            service.wait()
            yield service
        finally:
            if process.poll() is None:
                service.stop()
