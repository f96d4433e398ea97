"""A server in its own process on chosen cores: start, wait, measure, and always end."""

import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_SECONDS = 60.0
TICKS = os.sysconf("SC_CLK_TCK")


class NotMeasuredError(Exception):
    """A row cannot be measured here; the message says why."""


@dataclass(frozen=True)
class Process:
    """A running server: the process started, `address` without a slash at its end, and where its output goes."""

    pid: int
    address: str
    log: Path

    def family(self) -> list[int]:
        """Return the process and its descendants."""
        pids = [self.pid]
        for pid in pids:
            with suppress(OSError):
                for children in Path(f"/proc/{pid}/task").glob("*/children"):
                    pids += [int(child) for child in children.read_text("utf-8").split()]
        return pids

    def resident(self) -> float:
        """Return the memory of the process and its children in MiB (VmRSS, which counts shared pages in each)."""
        return sum(_resident(pid) for pid in self.family())

    def cpu_seconds(self) -> float:
        """Return the processor seconds of the process and its living children."""
        return sum(_cpu_seconds(pid) for pid in self.family())


def _resident(pid: int) -> float:
    with suppress(OSError):
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text("utf-8"))
        return int(found[1]) / 1024 if found else 0.0
    return 0.0


def _cpu_seconds(pid: int) -> float:
    with suppress(OSError):
        # The name may hold spaces and brackets; what comes after the last bracket does not.
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS
    return 0.0


@contextmanager
def started(
    command: Sequence[str], port: int, folder: Path, cores: Sequence[int], environment: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """Run `command` on `cores` with one computing thread, in its own session, and end the whole session afterwards.

    Its output goes to a file of `folder`. Raises `NotMeasuredError` if it cannot start.
    """
    log = folder / f"server-{port}.log"
    # All load comes from one client: the rate limit counts, but refuses nothing.
    single = {
        "NAMEWAVE_LIMIT": str(10**12),
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    with log.open("wb") as out:
        try:
            child = subprocess.Popen(
                ["taskset", "-c", ",".join(map(str, cores)), *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **single, **(environment or {})},
                start_new_session=True,
            )
        except OSError as error:
            raise NotMeasuredError(f"{command[0]} cannot be started: {error.strerror}") from error
        try:
            yield Process(child.pid, f"http://127.0.0.1:{port}", log)
        finally:
            _end(child)
            log.unlink(missing_ok=True)


def _end(child: "subprocess.Popen[bytes]") -> None:
    """End the whole session, with SIGKILL after five seconds."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(5)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def wait_until(process: Process, path: str, body: bytes | None = None, pause: float = 0.02) -> float:
    """Request `path` until the answer is 200, and return the clock then (`time.perf_counter`).

    Raises `NotMeasuredError` with the end of the server's output if it never is.
    """
    began = time.perf_counter()
    while time.perf_counter() - began < TIMEOUT_SECONDS:
        with suppress(OSError):
            if ask(process.address + path, body)[0] == 200:
                return time.perf_counter()
        if not Path(f"/proc/{process.pid}/cmdline").is_file() or not _alive(process.pid):
            break
        time.sleep(pause)
    tail = " ".join(process.log.read_text("utf-8", errors="replace").strip().splitlines()[-2:])
    raise NotMeasuredError(f"no answer from {path}: {tail[-200:]}")


def _alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    return False


def ask(url: str, body: bytes | None = None, accept: str = "application/json") -> tuple[int, bytes]:
    """Return status and content of one request: POST with a JSON `body`, else GET. Raises `OSError` without answer."""
    headers = {"Accept": accept, "Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=TIMEOUT_SECONDS) as answer:
            return int(answer.status), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
