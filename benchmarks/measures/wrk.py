"""Load over HTTP by wrk: its script, one run, what it reports. What the server is, and how it was started, is not known
here.
"""

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
# Each request has a seed of its own, so that no answer was given before. wrk tells the errors that it counted apart.
SCRIPT = """
local seed = {first}
local headers = {{ ["Content-Type"] = "application/json" }}
request = function()
  seed = seed + 1
  return wrk.format("POST", "/generate", headers, string.format([==[{body}]==], seed))
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
    """One run: answers a second, milliseconds until half and until 99 % of them were there, answers that are not 2xx
    or broke off, and the processor seconds that wrk itself took.
    """

    requests: float
    p50: float
    p99: float
    errors: int
    cpu_seconds: float


def missing() -> str | None:
    """Return why nothing can be measured over HTTP, or None."""
    return None if shutil.which("wrk") else "wrk is not installed (apt-get install wrk)"


def write_script(folder: Path, body: str, first: int) -> Path:
    """Write a script that posts `body`, in which %d is the seed, from seed `first` + 1 on."""
    path = folder / f"load-{first}.lua"
    path.write_text(SCRIPT.format(body=body, first=first, mark=MARK), "utf-8")
    return path


def parse(output: str) -> tuple[float, float, float, int]:
    """Return requests a second, p50 and p99 in milliseconds and errors from what wrk printed.

    Raises `NotMeasuredError` where the script's line is missing.
    """
    lines = [line for line in output.splitlines() if line.startswith(MARK)]
    if not lines:
        raise NotMeasuredError(f"wrk ended without a result: {output.strip()[-300:]}")
    told = json.loads(lines[-1].removeprefix(MARK))
    seconds = told["microseconds"] / 1e6
    return told["requests"] / seconds, told["p50"] / 1e3, told["p99"] / 1e3, told["refused"] + told["broken"]


def run(address: str, script: Path, seconds: float, cores: Sequence[int]) -> Load:
    """Load `address` for `seconds` from `cores` with one thread and 16 connections that are kept open."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(round(seconds), 1)}s", "--timeout", "120s", "-s", str(script)]
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
