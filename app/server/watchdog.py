"""Ends a process whose event loop is blocked or whose supervisor is gone."""

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

# Exit status of a blocked process (sysexits.h: internal software error), and checks within the time limit.
BLOCKED_STATUS, CHECKS = 70, 20
# Seconds to write the last log line; the log may be what blocks.
LAST_LINE_SECONDS = 1.0


@asynccontextmanager
async def watch_event_loop(seconds: float, end: Callable[[int], object] = os._exit) -> AsyncIterator[None]:
    """End the process with status 70 when the running event loop is blocked for `seconds`; never for 0.

    A thread counts checks, not seconds, so that a paused process has missed none. While C code holds Python's lock, no
    thread runs; after three times the limit faulthandler's watchdog, which needs no lock, ends the process.
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
    """Watches `loop`, which runs in the thread `watched`, until `over` is set."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, watched: int, seconds: float, end: Callable[[int], object]
    ) -> None:
        self.loop, self.watched, self.seconds, self.end = loop, watched, seconds, end
        self.over, self.responded = threading.Event(), threading.Event()

    def watch(self) -> None:
        """Ping the loop, and count the checks until it responds."""
        checks = 0
        self._ping()
        while not self.over.wait(self.seconds / CHECKS):
            faulthandler.dump_traceback_later(3 * self.seconds, exit=True, file=sys.__stderr__ or sys.stderr)
            checks = 0 if self.responded.is_set() else checks + 1
            if checks == 0:
                self._ping()
            elif checks >= CHECKS:
                self._end()
                return
        faulthandler.cancel_dump_traceback_later()

    def _ping(self) -> None:
        self.responded.clear()
        try:
            self.loop.call_soon_threadsafe(self.responded.set)
        except RuntimeError:
            # The loop is closed.
            self.over.set()

    def _end(self) -> None:
        line = threading.Thread(target=self._log, daemon=True)
        line.start()
        line.join(LAST_LINE_SECONDS)
        self.end(BLOCKED_STATUS)

    def _log(self) -> None:
        frame = sys._current_frames().get(self.watched)
        stack = "".join(traceback.format_stack(frame)) if frame else "unknown"
        structlog.get_logger().error(
            "stuck: the event loop did not turn, the process ends", seconds=self.seconds, process=os.getpid(), at=stack
        )


def exit_with_parent() -> None:
    """End this process as SIGTERM does when its supervisor is gone. Without a supervisor, do nothing."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_for_end_of, args=[parent], name="parent", daemon=True).start()


def _wait_for_end_of(parent: BaseProcess) -> None:
    # This waits for the end of a pipe that only the parent holds open.
    parent.join()
    structlog.get_logger().error("the supervisor is gone, the process ends", process=os.getpid())
    os.kill(os.getpid(), signal.SIGTERM)
