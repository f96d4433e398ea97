"""Numbers that nobody tells as they change, looked at every half second in each process: what is served, what the
memory of prefixes holds.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.metrics import Metrics
from models import ModelRegistry, Snapshot
from models.inference import PrefixMemory

SECONDS = 0.5


@asynccontextmanager
async def gauged(
    metrics: Metrics, registry: ModelRegistry, memory: PrefixMemory, seconds: float = SECONDS
) -> AsyncIterator[None]:
    """Look every so many `seconds` until the block ends."""
    look(metrics, registry.now, memory)
    task = asyncio.create_task(_gauge(metrics, registry, memory, seconds))
    try:
        yield
    finally:
        task.cancel()


async def _gauge(metrics: Metrics, registry: ModelRegistry, memory: PrefixMemory, seconds: float) -> None:
    known = registry.now
    while True:
        await asyncio.sleep(seconds)
        metrics.memory.set(memory.size)
        if known is not (known := registry.now):
            look(metrics, known, memory)


def look(metrics: Metrics, now: Snapshot, memory: PrefixMemory) -> None:
    """Tell `metrics` how things stand."""
    served = {key.reference for key in now.versions_by_key}
    metrics.holds(served, len(now.refused), len(now.problems()))
    metrics.memory.set(memory.size)
