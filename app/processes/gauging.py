"""Numbers that nobody tells as they change, looked at every half second in each process: what is served, what
memory is held.
"""

import asyncio
import mmap
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from app.metrics import Metrics
from models import ModelRegistry, Snapshot
from models.inference import PrefixMemory

SECONDS = 0.5
# Where Linux tells how many pages this process holds (man 5 proc), and what a page has.
STATM, PAGE = Path("/proc/self/statm"), mmap.PAGESIZE


@asynccontextmanager
async def gauged(
    metrics: Metrics, registry: ModelRegistry, memory: PrefixMemory, seconds: float = SECONDS
) -> AsyncIterator[None]:
    """Look every so many `seconds` until the block ends."""
    with scales() as weigh:

        def look() -> None:
            metrics.memory.set(memory.size)
            metrics.resident.set(weigh())

        look()
        count(metrics, registry.now)
        task = asyncio.create_task(_gauge(metrics, registry, look, seconds))
        try:
            yield
        finally:
            task.cancel()


async def _gauge(metrics: Metrics, registry: ModelRegistry, look: Callable[[], None], seconds: float) -> None:
    known = registry.now
    while True:
        await asyncio.sleep(seconds)
        look()
        if known is not (known := registry.now):
            count(metrics, known)


def count(metrics: Metrics, now: Snapshot) -> None:
    """Tell `metrics` what is served."""
    served = {key.reference for key in now.versions_by_key}
    metrics.holds(served, len(now.refused), len(now.problems()), len(now.stand_ins))


@contextmanager
def scales() -> Iterator[Callable[[], int]]:
    """Give what returns the bytes that this process holds; 0 where the kernel does not tell. The file stays open: what
    serves opens none that a client could wish for.
    """
    if not STATM.exists():
        yield lambda: 0
        return
    with STATM.open("rb", buffering=0) as file:

        def weigh() -> int:
            file.seek(0)
            return int(file.read().split()[1]) * PAGE

        yield weigh
