"""The third table: start-up time, memory, and size on disk."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measures.processes import NotMeasuredError, Process, ask, started, wait_until
from tests.harness.service import free_port

READY, PATH = "/health/ready", "/generate"
ROOT = Path(__file__).parents[2]
CORE, MANY_REQUESTS = 0, 3000


def start(rounds: int) -> dict[str, float | int | str]:
    """Return the median seconds until ready, and the MiB then and after requests to every version.

    A start before the measured ones compiles the kernels.
    """
    ready, resident, used = [], [], []
    for number in range(rounds + 1):
        with tempfile.TemporaryDirectory() as name:
            port = free_port()
            command = [sys.executable, "-m", "app", "serve", "--port", str(port)]
            began = time.perf_counter()
            with started(command, port, Path(name), [CORE]) as process:
                seconds = wait_until(process, READY, pause=0.002) - began
                if number == 0:
                    continue
                ready.append(seconds)
                resident.append(process.resident())
                _use(process)
                used.append(process.resident())
    return {
        "rounds": rounds,
        "ready_s": round(statistics.median(ready), 3),
        "resident_mib": round(statistics.median(resident), 1),
        "used_mib": round(statistics.median(used), 1),
    }


def _use(process: Process) -> None:
    """Ask every version for names a few times, and the default for 20 names 3,000 times."""
    _, content = ask(f"{process.address}/models")
    for summary in json.loads(content)["models"]:
        for count in (1, 20, 1000):
            body = json.dumps({"model": summary["model"], "count": count, "seed": count, "unique": False})
            status, answer = ask(process.address + PATH, body.encode())
            if status != 200:
                raise NotMeasuredError(f"{summary['model']} answered {status}: {answer[:100]!r}")
    for seed in range(MANY_REQUESTS):
        ask(process.address + PATH, json.dumps({"count": 20, "seed": seed}).encode())


def sizes(environment: Path | None) -> dict[str, float | int | str]:
    """Return the MiB of site-packages in `environment` (made from requirements/serve.txt) and of the service's own
    files.
    """
    found: dict[str, float | int | str] = {"source_mib": round(_tracked("app", "models") / 2**20, 2)}
    if environment is None:
        return {**found, "installed": "not measured: give an environment of requirements/serve.txt (--environment)"}
    packages = list(environment.glob("lib/python*/site-packages"))
    if not packages:
        return {**found, "installed": f"not measured: {environment.name} has no lib/python*/site-packages"}
    return {**found, "installed_mib": round(sum(map(_size, packages)) / 2**20, 1)}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _tracked(*folders: str) -> int:
    listed = subprocess.run(["git", "ls-files", "-z", *folders], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        return sum(_size(ROOT / folder) for folder in folders)
    return sum((ROOT / name).stat().st_size for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())
