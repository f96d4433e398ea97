"""Numbers that nobody tells as they change, looked at every half second in each process: what is served, what
memory is held.
"""

import asyncio
import mmap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app.metrics import Metrics
from models import ModelRegistry, Snapshot
from models.inference import PrefixMemory

SECONDS = 0.5
# Where Linux tells how many pages this process holds, and what a page has.
STATM, PAGE = Path("/proc/self/statm"), mmap.PAGESIZE


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
        weigh(metrics, memory)
        if known is not (known := registry.now):
            look(metrics, known, memory)


def look(metrics: Metrics, now: Snapshot, memory: PrefixMemory) -> None:
    """Tell `metrics` how things stand."""
    served = {key.reference for key in now.versions_by_key}
    metrics.holds(served, len(now.refused), len(now.problems()))
    weigh(metrics, memory)


def weigh(metrics: Metrics, memory: PrefixMemory) -> None:
    """Tell `metrics` what memory is held; of the whole process only where the kernel tells it (man 5 proc, statm)."""
    metrics.memory.set(memory.size)
    if STATM.exists():
        metrics.resident.set(int(STATM.read_text("ascii").split()[1]) * PAGE)
