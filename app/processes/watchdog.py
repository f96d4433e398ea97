"""Processes that end by themselves when they are of no use: their event loop is stuck, or nobody supervises them any
more. Starting another in their place is the supervisor's job, or Docker's.
"""

import asyncio
import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from multiprocessing.process import BaseProcess

import structlog

# Exit status of a stuck process (sysexits.h: internal software error), looks for one time limit, and seconds for the
# last line of the log, which is not waited for longer: what is stuck may be the log.
STUCK, LOOKS, LAST_WORDS = 70, 20, 1.0


@asynccontextmanager
async def guarded(seconds: float, end: Callable[[int], object] = os._exit) -> AsyncIterator[None]:
    """End the process with status 70 when the running event loop turns no more for `seconds`; never for 0.

    A thread counts looks, not time: a process that was paused as a whole has missed none. Where C code holds Python's
    lock, no thread of ours runs; after three times the time the watchdog of faulthandler, which needs no lock, ends it.
    """
    if not seconds:
        yield
        return
    watchdog = _Watchdog(asyncio.get_running_loop(), threading.get_ident(), seconds, end)
    thread = threading.Thread(target=watchdog.watch, name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        watchdog.over.set()
        await asyncio.to_thread(thread.join)


class _Watchdog:
    """`loop` runs in the thread `guarded`. `over` ends the watch."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, guarded: int, seconds: float, end: Callable[[int], object]
    ) -> None:
        self.loop, self.guarded, self.seconds, self.end = loop, guarded, seconds, end
        self.over, self.turned = threading.Event(), threading.Event()

    def watch(self) -> None:
        """Ask the loop for a sign, and count the looks until it came."""
        looks = 0
        self._ask()
        while not self.over.wait(self.seconds / LOOKS):
            faulthandler.dump_traceback_later(3 * self.seconds, exit=True, file=sys.__stderr__ or sys.stderr)
            looks = 0 if self.turned.is_set() else looks + 1
            if looks == 0:
                self._ask()
            elif looks >= LOOKS:
                self._end()
                return
        faulthandler.cancel_dump_traceback_later()

    def _ask(self) -> None:
        self.turned.clear()
        try:
            self.loop.call_soon_threadsafe(self.turned.set)
        except RuntimeError:
            # The loop is closed: its end is no failure.
            self.over.set()

    def _end(self) -> None:
        line = threading.Thread(target=self._tell, daemon=True)
        line.start()
        line.join(LAST_WORDS)
        self.end(STUCK)

    def _tell(self) -> None:
        frame = sys._current_frames().get(self.guarded)
        stack = "".join(traceback.format_stack(frame)) if frame else "unknown"
        structlog.get_logger().error(
            "stuck: the event loop did not turn, the process ends", seconds=self.seconds, process=os.getpid(), at=stack
        )


def follow_parent() -> None:
    """Stop this process as SIGTERM does when the supervisor that started it is gone, however it went. Without one,
    nothing happens.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=[parent], name="parent", daemon=True).start()


def _follow(parent: BaseProcess) -> None:
    # It waits for the end of a pipe that only the parent holds open.
    parent.join()
    structlog.get_logger().error("the supervisor is gone, the process ends", process=os.getpid())
    os.kill(os.getpid(), signal.SIGTERM)
