"""Start the service: check settings, load kernels, open the registry, warm up.

A failed start is one log line.
"""

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import structlog
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE

from app.admission.cost_model import CostModel, measure_multiply_adds
from app.logs import set_up
from app.security.api_keys import ApiKeys
from app.security.rate_limiter import RedisWindowCounters
from app.settings import Settings, unknown_variables
from app.web.telemetry import telemetry_config
from models import Kernels, ModelError, ModelRegistry, prepare
from models.profanity import ProfanityFilter, read_words
from models.store.bucket import open_store
from models.store.pins import Pins

# The processor share of a container, in microseconds of each period (Linux, cgroup v2).
CGROUP_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


class StartupError(Exception):
    """The service cannot start; the log says why, in one line."""


@dataclass(frozen=True)
class LoadedModels:
    """The loaded models, the words that `safe` rejects, and the cost model of this machine."""

    registry: ModelRegistry
    profanity: ProfanityFilter
    cost_model: CostModel


def check_settings(settings: Settings) -> None:
    """Raise `ModelError` for an unreadable file or a missing package, before workers start."""
    for name in ("unsafe_words", "safe_words"):
        read_words(getattr(settings, name), name)
    if settings.keys:
        ApiKeys.load(settings.keys)
    load_pins(settings)
    # Neither this nor the counters connect.
    open_store(settings.store)
    if settings.limit and settings.limits_store:
        RedisWindowCounters(settings.limits_store, settings.limit)
    telemetry_config(settings)


def warn_of_unknown_variables(names: Iterable[str]) -> None:
    """Log each NAMEWAVE_ variable that is no setting, without its value, which may be a secret.

    It is no error: Kubernetes sets such variables for a Service called namewave.
    """
    for name, nearest in unknown_variables(names):
        suggestion = {"nearest": nearest} if nearest else {}
        structlog.get_logger().warning("no such setting: it is ignored", variable=name, **suggestion)


def load_pins(settings: Settings) -> Pins | None:
    """Return the pinned manifests, or None without the setting. Raises `StoreError`."""
    return None if settings.pins is None else Pins.read(settings.pins)


def open_registry(settings: Settings, kernels: Kernels | None = None) -> ModelRegistry:
    """Return the registry over both stores."""
    kernels = kernels or prepare(settings.kernels)
    return ModelRegistry.open(kernels, settings.store, settings.shipped_store, load_pins(settings))


def load_models(settings: Settings) -> LoadedModels:
    """Compile or load the kernels, open the registry, warm up, and measure this machine. Takes seconds.

    Raises `StartupError`.
    """
    try:
        registry = _open_and_log(settings)
        profanity = ProfanityFilter.load(registry.kernels.find, settings.unsafe_words, settings.safe_words)
        warm_up(registry, profanity)
    except ModelError as error:
        structlog.get_logger().error("cannot start", reason=str(error))
        raise StartupError from None
    largest = max((version.generator for version in registry.versions()), key=lambda each: each.multiply_adds)
    return LoadedModels(registry, profanity, CostModel(measure_multiply_adds(largest)))


def _open_and_log(settings: Settings) -> ModelRegistry:
    log = structlog.get_logger()
    kernels = prepare(settings.kernels)
    if kernels.folder is None:
        log.warning("no folder for compiled kernels can be written: they are compiled in memory at every start")
    log.info("kernels", processor=kernels.level, cached=kernels.cached)
    registry = open_registry(settings, kernels)
    for reference, reason in registry.refused.items():
        log.error("refused", model=reference, reason=reason)
    for line in registry.fallbacks:
        log.warning("fallback", reason=line)
    if not registry.versions():
        log.error("nothing can be served", stores=[store.name for store in registry.stores])
        raise StartupError
    return registry


def warm_up(registry: ModelRegistry, profanity: ProfanityFilter) -> None:
    """Build the word automaton of every vocabulary, so that no request waits for it."""
    for version in registry.versions():
        profanity.automaton(version.generator)


def available_processors(cpu_max: Path = CGROUP_CPU_MAX) -> int:
    """Return the number of processors for this process, at least 1.

    It is the affinity, or the container's share if that is less.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        share, period = cpu_max.read_text().split()
        return max(1, min(allowed, int(share) // int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        # No container, another kernel, or "max".
        return allowed


def sampling_threads(settings: Settings, processors: int) -> int:
    """Return the sampling threads of each worker: as many as set, but no more in all than processors."""
    threads = max(1, min(settings.threads, processors // settings.workers))
    if (threads < settings.threads and "threads" in settings.model_fields_set) or settings.workers > processors:
        structlog.get_logger().warning(
            "fewer processors than threads", processors=processors, workers=settings.workers, threads=threads
        )
    return threads


def build_app(create: Callable[[Settings], ASGIApp], settings: Settings) -> ASGIApp:
    """Return the application of a worker process; if it cannot be made, log why and exit with status 3."""
    set_up(settings)
    try:
        return create(settings)
    except ModelError as error:
        structlog.get_logger().error("cannot start", reason=str(error))
    # In a worker nobody else would report it in the format of the log.
    except Exception:
        structlog.get_logger().exception("cannot start")
    sys.exit(STARTUP_FAILURE)
