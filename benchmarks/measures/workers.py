"""Two worker processes against one, on two cores that they share with the load generator."""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from app.settings import Settings
from benchmarks.measures import wrk
from benchmarks.measures.processes import NotMeasuredError, started, wait_until
from benchmarks.measures.rivals import RIVALS
from tests.harness.service import free_port

PATH, COUNT, CORES = "/generate", 20, (0, 1)


def measure(rounds: int, seconds: float) -> dict[str, float | int | str]:
    """Return requests per second of one and of two workers, as counted and per core second of the servers.

    One worker has core 0 for itself. Two workers share both cores with wrk, so the comparable figure subtracts wrk's
    part of the 2 T core seconds: requests / (2 T - wrk's seconds) x 2. Raises `NotMeasuredError`.
    """
    if "workers" not in Settings.model_fields:
        raise NotMeasuredError("not there yet: the service has no NAMEWAVE_WORKERS")
    if reason := wrk.missing():
        raise NotMeasuredError(reason)
    one, two, corrected, shares = [], [], [], []
    for number in range(rounds):
        load, _ = _load(1, (CORES[0],), (CORES[1],), seconds, number)
        one.append(load.requests)
        load, elapsed = _load(2, CORES, CORES, seconds, number)
        share = load.cpu_seconds / (2 * elapsed)
        two.append(load.requests)
        corrected.append(load.requests / (1 - share))
        shares.append(share)
    return {
        "rounds": rounds,
        "one": round(statistics.median(one), 1),
        "two": round(statistics.median(two), 1),
        "two_corrected": round(statistics.median(corrected), 1),
        "load_share": round(statistics.median(shares), 3),
    }


def _load(
    workers: int, cores: tuple[int, ...], load_cores: tuple[int, ...], seconds: float, number: int
) -> tuple[wrk.Load, float]:
    """Return one run against `workers` processes on `cores`, and the seconds it took."""
    rival = RIVALS["namewave"]
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        environment = {"NAMEWAVE_WORKERS": str(workers)}
        with started(rival.arguments(sys.executable, port), port, folder, cores, environment) as process:
            wait_until(process, PATH, rival.example(1))
            # Both workers must be running with warm caches before the measurement.
            warm = wrk.write_script(folder, rival.asked(COUNT), 500_000_000)
            wrk.run(process.address, warm, max(seconds, 2), load_cores)
            script = wrk.write_script(folder, rival.asked(COUNT), (number + 1) * 1_000_000_000)
            began = time.perf_counter()
            load = wrk.run(process.address, script, seconds, load_cores)
            if load.errors:
                raise NotMeasuredError(f"{load.errors} answers of {workers} workers were errors")
            return load, time.perf_counter() - began
