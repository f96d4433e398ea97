"""Keeping up with the stores while the service runs: what was published, moved or removed is served within seconds, in
each process by itself. What a change means is the registry's job.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import structlog

from models import ModelRegistry, Snapshot
from models.snapshot import alias_name


@asynccontextmanager
async def watched(
    registry: ModelRegistry, seconds: float, after: Callable[[], None] = lambda: None
) -> AsyncIterator[None]:
    """Look at the registry's stores every so many `seconds` until the block ends; never for 0. `after` is called when
    something changed.
    """
    if not seconds:
        yield
        return
    # No task group: it would wrap every error of the block.
    over = asyncio.Event()
    task = asyncio.create_task(_watch(registry, seconds, after, over))
    try:
        yield
    finally:
        over.set()
        await task


async def _watch(registry: ModelRegistry, seconds: float, after: Callable[[], None], over: asyncio.Event) -> None:
    told = ""
    while True:
        with anyio.move_on_after(seconds):
            await over.wait()
            return
        try:
            # A disk may keep one waiting, so even the look is not for the event loop.
            await anyio.to_thread.run_sync(look, registry, after)
            told = ""
        # Whatever goes wrong, what is served goes on and the next look may do better. It is told once.
        except Exception as error:
            if repr(error) != told:
                structlog.get_logger().exception("the stores cannot be read again", process=os.getpid())
            told = repr(error)


def look(registry: ModelRegistry, after: Callable[[], None] = lambda: None) -> None:
    """Refresh the registry where its stores changed, call `after`, and log one line for each thing that did."""
    if not registry.changed():
        return
    before = registry.now
    registry.refresh()
    after()
    tell(before, registry.now)


def tell(before: Snapshot, after: Snapshot) -> None:
    """Log what came, went and was refused, which aliases mean another version now, and which began to stand in."""
    log = structlog.get_logger().bind(process=os.getpid())
    for key in sorted({*before.versions_by_key} - {*after.versions_by_key}):
        log.info("version went", model=key.reference)
    for key in sorted({*after.versions_by_key} - {*before.versions_by_key}):
        log.info("version came", model=key.reference)
    for reference, reason in after.refused.items():
        if before.refused.get(reference) != reason:
            log.error("refused", model=reference, reason=reason)
    for place, key in sorted(after.meanings.items()):
        if before.meanings.get(place) != key:
            log.info("alias moved", alias=alias_name(place), model=key.reference)
    for line in after.stand_ins:
        if line not in before.stand_ins:
            log.warning("stands in", reason=line)
