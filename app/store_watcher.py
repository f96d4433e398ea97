"""Follow the stores, so that processes serve new versions and moved aliases within seconds."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import structlog

from models import ModelRegistry, Snapshot
from models.store.snapshot import alias_name


@asynccontextmanager
async def watch_stores(
    registry: ModelRegistry, seconds: float, on_change: Callable[[], None] = lambda: None
) -> AsyncIterator[None]:
    """Refresh the registry every `seconds` until the block ends; never for 0.

    `on_change` runs after each change.
    """
    if not seconds:
        yield
        return
    # No task group: it would wrap every error of the block.
    over = asyncio.Event()
    task = asyncio.create_task(_poll(registry, seconds, on_change, over))
    try:
        yield
    finally:
        over.set()
        await task


async def _poll(registry: ModelRegistry, seconds: float, on_change: Callable[[], None], over: asyncio.Event) -> None:
    logged = ""
    while True:
        with anyio.move_on_after(seconds):
            await over.wait()
            return
        try:
            # A disk or a network may block, so this is not for the event loop.
            await anyio.to_thread.run_sync(refresh, registry, on_change)
            logged = ""
        # After any failure the service continues, and the next poll may succeed. The failure is logged once.
        except Exception as error:
            if repr(error) != logged:
                structlog.get_logger().exception("the stores cannot be read again", process=os.getpid())
            logged = repr(error)


def refresh(registry: ModelRegistry, on_change: Callable[[], None] = lambda: None) -> None:
    """Refresh the registry if its stores changed, call `on_change`, and log each change."""
    registry.pull()
    if not registry.changed():
        return
    before = registry.now
    registry.refresh()
    on_change()
    log_changes(before, registry.now)


def log_changes(before: Snapshot, after: Snapshot) -> None:
    """Log each version that came, went or was refused, and each alias that moved or falls back."""
    log = structlog.get_logger().bind(process=os.getpid())
    for key in sorted({*before.versions_by_key} - {*after.versions_by_key}):
        log.info("version went", model=key.reference)
    for key in sorted({*after.versions_by_key} - {*before.versions_by_key}):
        log.info("version came", model=key.reference)
    for reference, reason in after.refused.items():
        if before.refused.get(reference) != reason:
            log.error("refused", model=reference, reason=reason)
    for alias_key, key in sorted(after.alias_targets.items()):
        if before.alias_targets.get(alias_key) != key:
            log.info("alias moved", alias=alias_name(alias_key), model=key.reference)
    for line in after.fallbacks:
        if line not in before.fallbacks:
            log.warning("fallback", reason=line)
