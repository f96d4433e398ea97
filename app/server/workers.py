"""Several worker processes at one address: start, health checks, rolling reload on SIGHUP, shutdown.

uvicorn's supervisor, with three differences: it never waits for one worker while it has others to look after; it lets
a worker take its time to start; and it counts checks, not seconds, so that a paused machine has missed none.
"""

import logging
import os
import signal
import socket
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import structlog
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import mark_process_dead
from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from app.metrics import MULTIPROC_DIR
from app.server.server import Server

# Seconds: between two checks; without a sign of life of a worker that serves, before it is replaced (a start may take
# `Config.timeout_worker_healthcheck`); for ending, beyond the time for answers under way.
CHECK_INTERVAL, MAX_SILENCE, SHUTDOWN_MARGIN = 0.5, 6.0, 2.0
# Seconds until a failed start is tried again: at first, doubling up to the longest.
FIRST_DELAY, MAX_DELAY = 1.0, 60.0

log = logging.getLogger("uvicorn.error")


class Backoff:
    """The growing delay after failures of one kind."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Forget all failures."""
        self._delay, self._retry_at = 0.0, float("-inf")

    def failed(self) -> float:
        """Count a failure; return the seconds until the next try."""
        self._delay = min(MAX_DELAY, 2 * self._delay) or FIRST_DELAY
        self._retry_at = self._clock() + self._delay
        return self._delay

    def due(self) -> bool:
        """Return whether the delay is over."""
        return self._clock() >= self._retry_at


class Worker(Process):
    """A worker process, as its supervisor sees it."""

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self.pinged = self.serves = self.dead = False
        self.silent_checks, self.deadline = 0, float("inf")

    def is_healthy(self) -> bool:
        """Return whether it runs and answered lately, and ping it again. Never waits.

        A thread of the worker answers, and says whether the worker serves.
        """
        self.silent_checks += 1
        try:
            if self.pinged and self.parent_conn.poll(0):
                self.serves, self.pinged, self.silent_checks = self.parent_conn.recv(), False, 0
            if not self.pinged:
                self.parent_conn.send(b"ping")
                self.pinged = True
        # Through a broken pipe no answer comes any more, and that is what counts.
        except Exception:
            self.pinged = True
        limit = MAX_SILENCE if self.serves else self.config.timeout_worker_healthcheck
        return self.process.is_alive() and self.silent_checks * CHECK_INTERVAL <= limit

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve; this runs in the worker itself."""
        # A closed terminal sends SIGHUP to the whole process group; the supervisor handles it.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._server = Server(self.config)
        super().target(sockets)

    def terminate(self) -> None:
        """Ask it to end."""
        self.deadline = time.monotonic() + (self.config.timeout_graceful_shutdown or 0) + SHUTDOWN_MARGIN
        super().terminate()

    def join(self) -> None:
        """Wait for its end; after its deadline, kill it."""
        self.process.join(max(0.0, self.deadline - time.monotonic()) if self.deadline < float("inf") else None)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class Supervisor(Multiprocess):
    """Keeps `config.workers` workers running, which write their metrics into `folder`.

    A worker that served is replaced at once. One that never served is tried again after a growing delay; if none ever
    did, all end and `failed` is set.
    """

    def __init__(self, config: Config, sockets: list[socket.socket], folder: Path) -> None:
        super().__init__(config, sockets)
        self.folder, self.backoff = folder, Backoff()
        self.has_served = self.failed = False

    @property
    def workers(self) -> list[Worker]:
        """The workers; a dead one keeps its place until the next try."""
        return cast(list[Worker], self.processes)

    def init_processes(self) -> None:
        """Start the workers."""
        self.processes.extend(self._start() for _ in range(self.processes_num))

    def keep_subprocess_alive(self) -> None:
        """Replace dead and silent workers."""
        for index, worker in enumerate(self.workers):
            if self.should_exit.is_set():
                return
            if worker.dead or self._check(worker):
                continue
            self._reap(worker)
            if worker.serves:
                log.error("Worker %s ended with %s and is replaced.", worker.pid, worker.exitcode)
                self.processes[index] = self._start()
            else:
                self._on_failed_start(worker)
        self._retry()

    def restart_all(self) -> None:
        """Replace each worker, the new one before the old one ends; give up if a new one does not serve."""
        self.backoff.reset()
        for index, old in enumerate(self.workers):
            new = self._start()
            while not new.serves:
                stopping = bool({signal.SIGTERM, signal.SIGINT} & {*self.signal_queue})
                if stopping or not self._check(new):
                    self._reap(new)
                    if not stopping:
                        log.error("Worker %s did not come to serve: the others stay, not reloaded.", new.pid)
                    return
                time.sleep(CHECK_INTERVAL)
            old.terminate()
            old.join()
            drop_metrics(self.folder, cast(int, old.pid))
            self.processes[index] = new
        structlog.get_logger().info("reloaded")

    def terminate_all(self) -> None:
        """Close the socket and end all workers.

        A connection to a socket that is open only here would be reset.
        """
        for listener in self.sockets:
            listener.close()
        super().terminate_all()

    def handle_hup(self) -> None:
        """Reload."""
        structlog.get_logger().info("reloading")
        self.restart_all()

    def handle_term(self) -> None:
        """Shut down."""
        structlog.get_logger().info("stopping")
        self.should_exit.set()

    handle_int = handle_term

    def handle_ttin(self) -> None:
        """Add a worker."""
        self.processes_num += 1
        self.processes.append(self._start())

    def _start(self) -> Worker:
        worker = Worker(self.config, self.sockets)
        worker.start()
        return worker

    def _check(self, worker: Worker) -> bool:
        served, healthy = worker.serves, worker.is_healthy()
        if worker.serves and not served:
            self.has_served = True
            self.backoff.reset()
        return healthy

    def _reap(self, worker: Worker) -> None:
        worker.kill()
        worker.join()
        worker.dead = True
        drop_metrics(self.folder, cast(int, worker.pid))

    def _on_failed_start(self, worker: Worker) -> None:
        if worker.exitcode == STARTUP_FAILURE and not self.has_served:
            log.error("Worker %s could not start: all end.", worker.pid)
            self.failed = True
            self.should_exit.set()
            return
        delay = self.backoff.failed()
        log.error("Worker %s ended with %s before it served: next try in %g s.", worker.pid, worker.exitcode, delay)

    def _retry(self) -> None:
        """Start one worker in the place of a dead one when it is time; one at a time, as all fail or none."""
        if self.should_exit.is_set() or not self.backoff.due():
            return
        dead = [index for index, worker in enumerate(self.workers) if worker.dead]
        starting = any(not worker.dead and not worker.serves for worker in self.workers)
        if dead and not starting:
            self.processes[dead[0]] = self._start()


def drop_metrics(folder: Path, pid: int) -> None:
    """Remove a dead process's gauges and its empty files; failed starts would fill the disk.

    Its other counters stay: to Prometheus the workers' sum is one counter, and must not fall.
    """
    mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
    for path in folder.glob(f"*_{pid}.db"):
        if not _has_counts(path):
            path.unlink(missing_ok=True)


def _has_counts(path: Path) -> bool:
    try:
        return any(value for _, value, *_ in MmapedDict.read_all_values_from_file(str(path)))  # type: ignore[no-untyped-call]
    except struct.error:
        # The writer was killed before it wrote the head of the file.
        return False


def run_workers(config: Config, listeners: list[socket.socket]) -> int:
    """Serve with `config.workers` processes until a stop signal; return the exit status.

    The status is 3 if no process could start.

    The application of `config` must be a factory that can be sent to another process.
    """
    # Private, and removed at the end: the workers count together in it.
    with tempfile.TemporaryDirectory(prefix="namewave-metrics-") as folder:
        os.environ[MULTIPROC_DIR] = folder
        supervisor = Supervisor(config, listeners, Path(folder))
        supervisor.run()
    return STARTUP_FAILURE if supervisor.failed else 0
