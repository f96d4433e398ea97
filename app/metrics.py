"""Prometheus metrics, and the sampling of memory, models and event-loop lag."""

import asyncio
import mmap
import os
import platform
import threading
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from models import ModelRegistry, Snapshot
from models.inference import REASONS, PrefixMemory

# The environment variable that prometheus_client reads at import: the folder in which workers count together.
MULTIPROC_DIR = "PROMETHEUS_MULTIPROC_DIR"
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
NO_ROUTE = "(none)"
BLEND = "(blend)"
# Seconds between two samples of the event loop's lag, and of memory and models.
LAG_INTERVAL, SAMPLE_INTERVAL = 0.25, 0.5
# Where Linux shows how many pages this process holds (man 5 proc).
STATM = Path("/proc/self/statm")


class Totals:
    """Numbers of one thread; `add` returns how much each grew since the last flush."""

    def __init__(self, add: Sequence[Callable[[float], None]]) -> None:
        self.add = add
        self.values: list[float] = [0] * len(add)
        self.flushed = self.values.copy()


class Metrics:
    """The metrics of one process: plain numbers, which `flush` adds to prometheus_client's.

    The methods that count are for one thread.
    Labels are our routes, statuses, reasons and references, never a client's text, so that their number is bounded.
    """

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        counter, gauge = partial(Counter, registry=self.registry), partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, buckets=BUCKETS, registry=self.registry)
        self._requests = counter("namewave_requests", "Requests that were answered.", ["route", "status"])
        self._seconds = histogram(
            "namewave_request_seconds", "From a request's arrival to the head of its answer.", ["route"]
        )
        self._refusals = counter("namewave_requests_refused", "Requests that were refused.", ["reason"])
        self._names = counter("namewave_names", "Names in answers.", ["model"])
        self._candidates = counter("namewave_candidates", "Candidates sampled.", ["model"])
        self._characters = counter(
            "namewave_characters", "Characters sampled, rejected candidates included.", ["model"]
        )
        self._rejections = counter("namewave_candidates_refused", "Candidates rejected, by constraint.", ["reason"])
        self.streams = gauge("namewave_streams", "Open streams.", multiprocess_mode="livesum")
        self._model = gauge("namewave_model_served", "1: served, 0: no more.", ["model"], multiprocess_mode="livemin")
        self._served = gauge("namewave_models_served", "Versions served.", multiprocess_mode="livemin")
        self._refused = gauge("namewave_models_refused", "Versions refused.", multiprocess_mode="livemax")
        self._problems = gauge(
            "namewave_models_problems", "Data sets without a version to serve.", multiprocess_mode="livemax"
        )
        self._fallbacks = gauge(
            "namewave_models_fallbacks",
            "Aliases that fall back to another version, and stores that cannot be read.",
            multiprocess_mode="livemax",
        )
        self.memory = gauge("namewave_prefix_memory_bytes", "Size of the prefix cache.", multiprocess_mode="livesum")
        self.resident = gauge("namewave_resident_bytes", "Resident memory.", multiprocess_mode="livesum")
        self.loop_lag = histogram("namewave_loop_lag_seconds", "How late the event loop wakes up.")
        self.store_errors = counter("namewave_limits_store_errors", "Failures of the store of the limits.")
        self.cut = counter("namewave_answers_cut", "Answers cut by the deadline.")
        self.workers = gauge("namewave_workers", "Processes that serve.", multiprocess_mode="livesum")
        self.workers_expected = gauge(
            "namewave_workers_wanted", "Processes that should serve.", multiprocess_mode="livemax"
        )
        started = gauge("namewave_start_time_seconds", "Start of the youngest process.", multiprocess_mode="livemax")
        started.set_to_current_time()
        build = gauge("namewave_build_info", "This build.", ["version", "python"], multiprocess_mode="livemax")
        build.labels(version, platform.python_version()).set(1)
        self.workers.set(1)
        self._served_before: set[str] = set()
        # A counter that starts with its first error shows no increase.
        self._requests.labels("/generate", "500")
        self._flushing = threading.Lock()
        self._totals: list[Totals] = []
        self._request_totals: dict[tuple[str, int], list[float]] = {}
        self._sampling_totals: dict[str, list[float]] = {}
        self._refusal_totals: dict[str, list[float]] = {}
        self._rejection_totals = {
            reason: self._new_totals(self._rejections.labels(reason).inc).values for reason in REASONS
        }

    def _new_totals(self, *add: Callable[[float], None]) -> "Totals":
        totals = Totals(add)
        self._totals.append(totals)
        return totals

    def observe_request(self, route: str, status: int, seconds: float) -> None:
        """Count a request; `seconds` until the head of its answer."""
        values = self._request_totals.get((route, status)) or self._new_request_totals(route, status)
        values[0] += 1
        values[1] += seconds
        values[2 + bisect_left(BUCKETS, seconds)] += 1

    def _new_request_totals(self, route: str, status: int) -> list[float]:
        histogram = self._seconds.labels(route)
        # `observe` takes one value at a time.
        add = histogram._sum.inc, *(bucket.inc for bucket in histogram._buckets)
        values = self._request_totals[route, status] = self._new_totals(
            self._requests.labels(route, str(status)).inc, *add
        ).values
        return values

    def count_refusal(self, reason: str) -> None:
        """Count a refused request."""
        values = self._refusal_totals.get(reason)
        if values is None:
            values = self._refusal_totals[reason] = self._new_totals(self._refusals.labels(reason).inc).values
        values[0] += 1

    def count_sampling(self, model: str, names: int, attempts: int, characters: int) -> None:
        """Count what was sampled from `model`, the reference of a version or of a blend."""
        # A client can make up any number of blends.
        label = BLEND if "," in model else model
        values = self._sampling_totals.get(label)
        if values is None:
            metrics = self._names, self._candidates, self._characters
            values = self._new_totals(*(metric.labels(label).inc for metric in metrics)).values
            self._sampling_totals[label] = values
        values[0] += names
        values[1] += attempts
        values[2] += characters

    def count_rejections(self, rejected: Mapping[str, int]) -> None:
        """Count rejected candidates by constraint."""
        for reason, number in rejected.items():
            self._rejection_totals[reason][0] += number

    def flush(self) -> None:
        """Add the counts since the last call to prometheus_client's metrics. Thread-safe."""
        with self._flushing:
            for totals in list(self._totals):
                if (values := totals.values.copy()) != totals.flushed:
                    for add, value, before in zip(totals.add, values, totals.flushed, strict=True):
                        add(value - before)
                    totals.flushed = values

    def set_models(self, now: Snapshot) -> None:
        """Set what is served, and how many versions are refused, data sets are empty and aliases fall back."""
        served = {key.reference for key in now.versions_by_key}
        self._served.set(len(served))
        self._refused.set(len(now.refused))
        self._problems.set(len(now.problems()))
        self._fallbacks.set(len(now.fallbacks))
        # A removed version stays, as 0: the files of several processes cannot drop a label.
        for reference in served ^ self._served_before:
            self._model.labels(reference).set(reference in served)
        self._served_before = served

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics in the format of an Accept header, and its content type. Takes milliseconds.

        What other processes counted in the last `SAMPLE_INTERVAL` may be missing.
        """
        self.flush()
        try:
            write, media = choose_encoder(accept)
        except (TypeError, ValueError):
            # A malformed version in the header falls back to the default format.
            write, media = choose_encoder("")
        folder = os.environ.get(MULTIPROC_DIR)
        if not folder:
            return write(self.registry), media
        drop_dead_processes(Path(folder))
        while True:
            together = CollectorRegistry()
            MultiProcessCollector(together, folder)  # type: ignore[no-untyped-call]
            try:
                return write(together), media
            except FileNotFoundError:
                # The supervisor removed the files of a failed start meanwhile.
                if not Path(folder).exists():
                    raise


def drop_dead_processes(folder: Path) -> None:
    """Remove the gauges of dead processes; their counters stay."""
    for pid in {path.stem.rpartition("_")[2] for path in folder.glob("gauge_live*.db")}:
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            mark_process_dead(int(pid), str(folder))  # type: ignore[no-untyped-call]
        except PermissionError:
            continue


@asynccontextmanager
async def sampled(
    metrics: Metrics, registry: ModelRegistry, memory: PrefixMemory, interval: float = SAMPLE_INTERVAL
) -> AsyncIterator[None]:
    """Sample lag, memory and models, and flush the metrics, until the block ends."""
    metrics.set_models(registry.now)
    # No task group: it would wrap every error of the block.
    tasks = [
        asyncio.create_task(sample_lag(metrics.loop_lag.observe)),
        asyncio.create_task(_sample(metrics, registry, memory, interval)),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        metrics.flush()


async def sample_lag(observe: Callable[[float], object], clock: Callable[[], float] = time.monotonic) -> None:
    """Report for ever by how many seconds a short sleep ends too late."""
    while True:
        before = clock()
        await asyncio.sleep(LAG_INTERVAL)
        observe(max(0.0, clock() - before - LAG_INTERVAL))


async def _sample(metrics: Metrics, registry: ModelRegistry, memory: PrefixMemory, interval: float) -> None:
    known = registry.now
    # The file stays open: while it serves, the process opens no file that a client could choose.
    with (STATM if STATM.exists() else Path(os.devnull)).open("rb", buffering=0) as statm:
        while True:
            statm.seek(0)
            pages = statm.read().split()
            metrics.memory.set(memory.size)
            metrics.resident.set(int(pages[1]) * mmap.PAGESIZE if pages else 0)
            if known is not (known := registry.now):
                metrics.set_models(known)
            metrics.flush()
            await asyncio.sleep(interval)
