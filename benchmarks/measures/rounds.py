"""The first table: rounds of load on every server, with requests for 1, 20 and 1,000 names."""

import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measures import wrk
from benchmarks.measures.processes import NotMeasuredError, Process, ask, started, wait_until
from benchmarks.measures.rivals import QUIET, Rival, interpreter, lacks
from tests.harness.service import free_port

COUNTS = (1, 20, 1000)
SERVER_CORE, LOAD_CORE = 0, 1
PATH = "/generate"
# Slow servers are loaded longer: until ENOUGH answers, or LONGEST times as long. Servers that take more than SLOW
# seconds for an answer are not warmed up, because unfinished requests would delay the measurement.
ENOUGH, LONGEST, SLOW = 4 * wrk.CONNECTIONS, 5, 0.1
# Seconds of load before each measurement, so that compilers and caches of all servers are warm.
WARM, DEFAULT_COUNT = 10.0, 20
# Connections of the table by connections.
MANY_CONNECTIONS = (16, 64, 256, 1024)
Log = Callable[[str], None]


@dataclass(frozen=True)
class Measurement:
    """One server, one round, one count; `busy` is the share of its core that the server used."""

    load: wrk.Load
    busy: float

    @property
    def cpu_us(self) -> float:
        """Microseconds of processor time for each answer."""
        return 1e6 * self.busy / max(self.load.requests, 1e-9)


def measure(
    rival: Rival, others: Path | None, seconds: float, first_seed: int, counts: Sequence[int] = COUNTS
) -> dict[int, Measurement]:
    """Start `rival`, load it for each of `counts`, end it. Raises `NotMeasuredError` with the reason."""
    python = interpreter(rival, others)
    if reason := wrk.missing() or lacks(rival, python):
        raise NotMeasuredError(reason)
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        environment = {**QUIET, "BENTOML_HOME": str(folder / "bentoml")}
        with started(rival.arguments(python, port), port, folder, [SERVER_CORE], environment) as process:
            wait_until(process, PATH, rival.example(1))
            _warm_up(rival, process, folder, DEFAULT_COUNT, WARM, first_seed + 400_000_000)
            return {count: _one(rival, process, folder, count, seconds, first_seed) for count in counts}


def _one(rival: Rival, process: Process, folder: Path, count: int, seconds: float, first_seed: int) -> Measurement:
    each = _warm_up(rival, process, folder, count, max(seconds / 4, 1), first_seed + 500_000_000)
    script = wrk.write_script(folder, rival.asked(count), first_seed)
    seconds = max(seconds, min(ENOUGH * each, LONGEST * seconds))
    before, clock = process.cpu_seconds(), time.perf_counter()
    load = wrk.run(process.address, script, seconds, [LOAD_CORE])
    return Measurement(load, (process.cpu_seconds() - before) / (time.perf_counter() - clock))


def _warm_up(rival: Rival, process: Process, folder: Path, count: int, seconds: float, first_seed: int) -> float:
    """Warm up the server unless it is slow; return the seconds of one answer before that."""
    each = check(rival, process, count)
    if each < SLOW:
        wrk.run(process.address, wrk.write_script(folder, rival.asked(count), first_seed), seconds, [LOAD_CORE])
        # The server may still work on requests of the warm-up; an answer shows that it has finished.
        check(rival, process, count)
    return each


def check(rival: Rival, process: Process, count: int) -> float:
    """Check that answers have `count` names that depend on the seed; return the seconds of the last one."""
    found, began = [], 0.0
    for seed in (7, 8):
        began = time.perf_counter()
        status, content = ask(process.address + PATH, rival.example(count, seed))
        names = re.findall(r'"names": ?(\[[^\]]*\])', content.decode())
        if status != 200 or len(names) != 1 or len(json.loads(names[0])) != count:
            raise NotMeasuredError(f"asked for {count} names it answered {status}: {content[:120]!r}")
        found.append(names[0])
    if (found[0] == found[1]) != rival.fixed:
        raise NotMeasuredError("its names should change with the seed" if not rival.fixed else "its names change")
    return time.perf_counter() - began


def by_connections(rival: Rival, times: int, seconds: float) -> dict[str, float | int | str]:
    """Return the medians of `times` rounds with each number of connections, 20 names a request.

    Raises `NotMeasuredError`.
    """
    if reason := wrk.missing():
        raise NotMeasuredError(reason)
    found: dict[str, float | int | str] = {"rounds": times}
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        with started(rival.arguments(sys.executable, port), port, folder, [SERVER_CORE], QUIET) as process:
            wait_until(process, PATH, rival.example(1))
            _warm_up(rival, process, folder, DEFAULT_COUNT, WARM, 1)
            for connections in MANY_CONNECTIONS:
                loads = []
                for number in range(times):
                    script = wrk.write_script(folder, rival.asked(DEFAULT_COUNT), 1000 * connections + number)
                    loads.append(wrk.run(process.address, script, seconds, [LOAD_CORE], connections))
                found |= {
                    f"requests_c{connections}": round(statistics.median(load.requests for load in loads), 1),
                    f"p50_c{connections}": round(statistics.median(load.p50 for load in loads), 2),
                    f"p99_c{connections}": round(statistics.median(load.p99 for load in loads), 2),
                    f"errors_c{connections}": sum(load.errors for load in loads),
                }
    return found


def all_rounds(
    rivals: Sequence[Rival],
    others: Path | None,
    times: int,
    seconds: float,
    say: Log,
    done: Callable[[Rival, Mapping[int, Sequence[Measurement]] | str], None],
) -> None:
    """Measure all `rivals` in turn, `times` times, and pass the rounds of each to `done`, or the error."""
    taken: dict[str, dict[int, list[Measurement]]] = {rival.row: {count: [] for count in COUNTS} for rival in rivals}
    failed: set[str] = set()
    for number in range(1, times + 1):
        for rival in rivals:
            if rival.row in failed:
                continue
            say(f"round {number} of {times}: {rival.title}")
            try:
                one = measure(rival, others, seconds, number * 1_000_000_000)
            except NotMeasuredError as error:
                failed.add(rival.row)
                done(rival, str(error))
                continue
            for count, figure in one.items():
                taken[rival.row][count].append(figure)
            done(rival, taken[rival.row])


def notes(taken: Mapping[int, Sequence[Measurement]]) -> dict[str, float | int | str]:
    """Return the medians of all rounds, by figure and count, with all errors."""
    found: dict[str, float | int | str] = {"rounds": min(map(len, taken.values()))}
    for count, figures in taken.items():
        loads = [figure.load for figure in figures]
        requests = statistics.median(load.requests for load in loads)
        found |= {
            f"requests_{count}": round(requests, 2),
            f"names_{count}": round(requests * count),
            f"p50_{count}": round(statistics.median(load.p50 for load in loads), 3),
            f"p99_{count}": round(statistics.median(load.p99 for load in loads), 3),
            f"errors_{count}": sum(load.errors for load in loads),
            f"busy_{count}": round(statistics.median(figure.busy for figure in figures), 2),
            f"cpu_us_{count}": round(statistics.median(figure.cpu_us for figure in figures), 1),
        }
    return found
