"""HTTP load with wrk: its script, one run, and its report."""

import json
import os
import resource
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measures.processes import NotMeasuredError

CONNECTIONS = 16
MARK = "measured: "
# What stands in a body for a random seed below 2^53, and for a random temperature from 0.5 to 1.5.
SEED, TEMPERATURE = "SEED", "TEMPERATURE"
# Each request has its own seed, so that no answer repeats. wrk reports its errors separately.
SCRIPT = """
math.randomseed({first})
local headers = {{ ["Content-Type"] = "application/json" }}
local body = [==[{body}]==]
request = function()
  local seed = string.format("%.0f", math.floor(math.random() * 2^53))
  local temperature = string.format("%.4f", 0.5 + math.random())
  local sent = body:gsub("SEED", seed):gsub("TEMPERATURE", temperature)
  return wrk.format("POST", "/generate", headers, sent)
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '{mark}{{"requests": %d, "microseconds": %d, "p50": %.0f, "p99": %.0f, "refused": %d, "broken": %d}}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), e.status,
    e.connect + e.read + e.write + e.timeout))
end
"""


@dataclass(frozen=True)
class Load:
    """One run: answers per second, p50 and p99 in milliseconds, errors, and wrk's own processor seconds.

    Errors are answers that are not 2xx, or incomplete.
    """

    requests: float
    p50: float
    p99: float
    errors: int
    cpu_seconds: float


def missing() -> str | None:
    """Return the reason why HTTP cannot be measured, or None."""
    return None if shutil.which("wrk") else "wrk is not installed (apt-get install wrk)"


def write_script(folder: Path, body: str, first: int) -> Path:
    """Write a script that posts `body` with random seeds and temperatures, which `first` determines."""
    path = folder / f"load-{first}.lua"
    path.write_text(SCRIPT.format(body=body, first=first, mark=MARK), "utf-8")
    return path


def parse(output: str) -> tuple[float, float, float, int]:
    """Return requests a second, p50 and p99 in milliseconds and errors from what wrk printed.

    Raises `NotMeasuredError` if the script's line is missing.
    """
    lines = [line for line in output.splitlines() if line.startswith(MARK)]
    if not lines:
        raise NotMeasuredError(f"wrk ended without a result: {output.strip()[-300:]}")
    shown = json.loads(lines[-1].removeprefix(MARK))
    seconds = shown["microseconds"] / 1e6
    return shown["requests"] / seconds, shown["p50"] / 1e3, shown["p99"] / 1e3, shown["refused"] + shown["broken"]


def run(address: str, script: Path, seconds: float, cores: Sequence[int], connections: int = CONNECTIONS) -> Load:
    """Load `address` for `seconds` from `cores` with one thread and connections that are kept open."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(round(seconds), 1)}s", "--timeout", "120s", "-s", str(script)]
    before = _cpu_of_children()
    done = subprocess.run(
        [*command, address],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    requests, p50, p99, errors = parse(done.stdout + done.stderr)
    return Load(requests, p50, p99, errors, _cpu_of_children() - before)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
