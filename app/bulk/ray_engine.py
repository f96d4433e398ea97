"""The engine of a cluster: Ray actors that make parts until all are there.

The actors write the parts themselves, so that only receipts travel; all nodes need the same code and store, and an
output that they share.
"""

import os
import signal
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from app.bulk.job import Job
from app.bulk.output import Output, Receipt
from app.settings import Settings
from models import StoreError
from models.bulk import Part, Span

# How often a part is made again after its actor, or the actor's node, is lost.
RETRIES = 3
# Bytes for what actors pass to each other: nothing but receipts.
OBJECT_STORE = 128 * 2**20


class _Actor:
    """Makes parts in a process of the cluster. Raises where its version is not the job's."""

    def __init__(self, job: Job, output: Output, settings: Settings) -> None:
        self.maker, self.output = job.open(settings), output

    def make(self, part: Part | Span) -> Receipt:
        """Write a part, and return its receipt."""
        return self.output.put(part, *self.maker.part(part))  # type: ignore[arg-type]


def make_on_ray(
    job: Job,
    parts: Iterator[Part | Span],
    output: Output,
    settings: Settings,
    actors: int | None = None,
    address: str | None = None,
) -> Iterator[Receipt]:
    """Make the parts with `actors` actors (default: one for each processor), and yield the receipt of each as it is
    written.

    `address`: of an existing cluster; without one a cluster of this machine lasts as long as the job. Parts that are
    begun are completed if the caller stops. Raises `StoreError` without Ray, and where a part cannot be made.
    """
    ray = _ray()
    # Ray sets a handler of its own for a signal that ends the job.
    handler = signal.getsignal(signal.SIGTERM)
    _connect(ray, address, actors)
    signal.signal(signal.SIGTERM, handler)
    try:
        kind = ray.remote(num_cpus=1, max_restarts=RETRIES, max_task_retries=RETRIES)(_Actor)
        count = actors or max(1, int(ray.cluster_resources().get("CPU", 1)))
        yield from _receipts(ray, [kind.remote(job, output, settings) for _ in range(count)], parts)
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str | None, actors: int | None) -> None:
    """Start a cluster or join one. Raises `StoreError` where there is none."""
    options: dict[str, Any] = {"logging_level": "warning", "log_to_driver": False}
    if address is None:
        cores = actors or len(os.sched_getaffinity(0))
        options |= {"num_cpus": cores, "include_dashboard": False, "object_store_memory": OBJECT_STORE}
    try:
        ray.init(address=address or "local", **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise StoreError(f"The Ray cluster {address or 'of this machine'} cannot be used: {error}") from error


def _receipts(ray: Any, actors: list[Any], parts: Iterator[Part | Span]) -> Iterator[Receipt]:
    """Keep each actor at one part until there are no more."""
    running = {actor.make.remote(part): actor for actor, part in zip(actors, parts, strict=False)}
    try:
        while running:
            done, _ = ray.wait([*running])
            for task in done:
                actor = running.pop(task)
                receipt = ray.get(task)
                for part in parts:
                    running[actor.make.remote(part)] = actor
                    break
                yield receipt
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise StoreError(f"An actor was lost; the same command goes on from here. {error}") from error
    finally:
        if running:
            ray.wait([*running], num_returns=len(running))


def _ray() -> Any:
    # Read when Ray is imported.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        return import_module("ray")
    except ImportError:
        raise StoreError(
            "--engine ray needs Ray: .venv/bin/pip install --require-hashes -r requirements/ray.txt"
        ) from None
