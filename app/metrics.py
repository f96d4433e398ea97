"""What a running service tells Prometheus: the metrics, and how they are written down. Nothing is measured here; who
knows a number tells it.

With several worker processes each writes into files of its own in a folder that they share (see `supervision`), and
whichever is asked adds them up.
"""

import os
import platform
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from models.inference import REASONS

# The variable that prometheus_client reads when it is imported: where the workers' files are.
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
NO_ROUTE = "(none)"
BLEND = "(blend)"


class Metrics:
    """The metrics of one process. Each has its labels looked up once: telling a number then costs about a microsecond.

    Labels are routes, statuses, reasons and references of ours, never what a client wrote, so that their number is
    bounded.
    """

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        counter, gauge = partial(Counter, registry=self.registry), partial(Gauge, registry=self.registry)
        self._requests = counter("namewave_requests", "Requests that were answered.", ["route", "status"])
        self._seconds = Histogram(
            "namewave_request_seconds",
            "From a request's arrival to the head of its answer.",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._refusals = counter("namewave_requests_refused", "Requests that were refused.", ["reason"])
        self._names = counter("namewave_names", "Names told.", ["model"])
        self._candidates = counter("namewave_candidates", "Candidates looked at.", ["model"])
        self._characters = counter("namewave_characters", "Characters drawn, of refused candidates too.", ["model"])
        sifted = counter("namewave_candidates_refused", "Candidates refused, by constraint.", ["reason"])
        self._sifted = {reason: sifted.labels(reason).inc for reason in REASONS}
        self.streams = gauge("namewave_streams", "Streams under way.", multiprocess_mode="livesum")
        self._model = gauge("namewave_model_served", "1: served, 0: no more.", ["model"], multiprocess_mode="livemin")
        self._served = gauge("namewave_models_served", "Versions served.", multiprocess_mode="livemin")
        self._refused = gauge("namewave_models_refused", "Versions refused.", multiprocess_mode="livemax")
        self._problems = gauge(
            "namewave_models_problems", "Data sets of which nothing can be served.", multiprocess_mode="livemax"
        )
        self._stand_ins = gauge(
            "namewave_models_stand_ins",
            "Aliases that mean another version than they say, and stores that cannot be read.",
            multiprocess_mode="livemax",
        )
        self.memory = gauge("namewave_prefix_memory_bytes", "Memory of prefixes.", multiprocess_mode="livesum")
        self.resident = gauge("namewave_resident_bytes", "Memory held in all.", multiprocess_mode="livesum")
        self.loop_lag = Histogram(
            "namewave_loop_lag_seconds",
            "How much later than asked for the event loop woke up.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.store_errors = counter("namewave_limits_store_errors", "Times the store of the limits did not answer.")
        self.cut = counter("namewave_answers_cut", "Answers that the deadline cut.")
        self.workers = gauge("namewave_workers", "Processes that serve.", multiprocess_mode="livesum")
        self.wanted = gauge("namewave_workers_wanted", "Processes that should serve.", multiprocess_mode="livemax")
        begun = gauge("namewave_start_time_seconds", "When the youngest process began.", multiprocess_mode="livemax")
        begun.set_to_current_time()
        build = gauge("namewave_build_info", "This build.", ["version", "python"], multiprocess_mode="livemax")
        build.labels(version, platform.python_version()).set(1)
        self.workers.set(1)
        self._answers: dict[tuple[str, int], tuple[Callable[[], None], Callable[[float], None]]] = {}
        self._draws: dict[str, tuple[Callable[[float], None], ...]] = {}
        self._refusing: dict[str, Callable[[], None]] = {}
        self._told: set[str] = set()
        # A counter that is born with its first error shows no rise.
        self._requests.labels("/generate", "500")

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answer; `seconds` until its head was there."""
        told = self._answers.get((route, status))
        if told is None:
            children = self._requests.labels(route, str(status)).inc, self._seconds.labels(route).observe
            told = self._answers[route, status] = children
        told[0]()
        told[1](seconds)

    def refused(self, reason: str) -> None:
        """Count a request that was refused."""
        told = self._refusing.get(reason)
        if told is None:
            told = self._refusing[reason] = self._refusals.labels(reason).inc
        told()

    def drew(self, model: str, names: int, attempts: int, characters: int) -> None:
        """Count what was drawn from `model`: a version's reference, or what a blend is called."""
        told = self._draws.get(model)
        if told is None:
            # A blend's reference names several versions, as many as a client likes.
            label = BLEND if "," in model else model
            told = tuple(metric.labels(label).inc for metric in (self._names, self._candidates, self._characters))
            if label != BLEND:
                self._draws[model] = told
        told[0](names)
        told[1](attempts)
        told[2](characters)

    def sifted(self, refused: Mapping[str, int]) -> None:
        """Count candidates by what refused them."""
        for reason, number in refused.items():
            if number:
                self._sifted[reason](number)

    def holds(self, served: set[str], refused: int, problems: int, stand_ins: int) -> None:
        """Tell which versions are served, how many are refused, how many data sets have none, how many aliases mean
        another version than they say.
        """
        self._served.set(len(served))
        self._refused.set(refused)
        self._problems.set(problems)
        self._stand_ins.set(stand_ins)
        for reference in served ^ self._told:
            self._model.labels(reference).set(reference in served)
        # What went stays told, as 0: several processes' files cannot forget a label.
        self._told = set(served)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics in the form that an Accept header asks for, and its content type. Takes milliseconds."""
        try:
            write, media = choose_encoder(accept)
        except (TypeError, ValueError):
            # A version that is no number: as if nothing were said.
            write, media = choose_encoder("")
        folder = os.environ.get(SHARED_FOLDER)
        if not folder:
            return write(self.registry), media
        forget_the_dead(Path(folder))
        while True:
            together = CollectorRegistry()
            MultiProcessCollector(together, folder)  # type: ignore[no-untyped-call]
            try:
                return write(together), media
            except FileNotFoundError:
                # The supervisor removed what a start that failed left, between the look and the reading.
                if not Path(folder).exists():
                    raise


def forget_the_dead(folder: Path) -> None:
    """Remove the gauges of processes that are no more; what they counted stays counted."""
    for pid in {path.stem.rpartition("_")[2] for path in folder.glob("gauge_live*.db")}:
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            mark_process_dead(int(pid), str(folder))  # type: ignore[no-untyped-call]
        except PermissionError:
            continue
