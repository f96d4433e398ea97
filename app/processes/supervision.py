"""Several processes that serve one address: a supervisor starts them, replaces one that dies or hangs, replaces all one
by one on SIGHUP, and ends all on SIGTERM and Ctrl-C. With one process nothing of this runs.

It is uvicorn's, but it never waits for one worker while it has others to look after, it lets a worker that starts take
its time, and it counts looks, not seconds: a machine that was paused has missed none.
"""

import logging
import os
import signal
import socket
import tempfile
import time
from typing import cast

from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from app.metrics import SHARED_FOLDER

# Seconds between two looks; without a sign of life of a worker that serves, before it is replaced (a start may take
# `Config.timeout_worker_healthcheck`); for ending, beyond the time for answers under way.
LOOK, SILENCE, MARGIN = 0.5, 6.0, 2.0

log = logging.getLogger("uvicorn.error")


class Worker(Process):
    """A process that serves, as its supervisor sees it."""

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self.asked = self.serves = False
        self.silent_looks, self.deadline = 0, float("inf")

    def look(self) -> bool:
        """Tell whether it is there and not silent for too long; ask for the next sign of life. It never waits.

        The sign comes from a thread of the worker, which says whether it serves by now.
        """
        self.silent_looks += 1
        try:
            if self.asked and self.parent_conn.poll(0):
                self.serves, self.asked, self.silent_looks = self.parent_conn.recv(), False, 0
            if not self.asked:
                self.parent_conn.send(b"ping")
                self.asked = True
        # Whatever is wrong with the pipe, no sign comes any more, and that is what counts.
        except Exception:
            self.asked = True
        patience = SILENCE if self.serves else self.config.timeout_worker_healthcheck
        return self.process.is_alive() and self.silent_looks * LOOK <= patience

    def terminate(self) -> None:
        """Tell it to end."""
        self.deadline = time.monotonic() + (self.config.timeout_graceful_shutdown or 0) + MARGIN
        super().terminate()

    def join(self) -> None:
        """Wait for its end; one that was told to and does not come to it is killed."""
        self.process.join(max(0.0, self.deadline - time.monotonic()) if self.deadline < float("inf") else None)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class Supervisor(Multiprocess):
    """Keeps `config.workers` workers."""

    def init_processes(self) -> None:
        """Start the workers."""
        self.processes.extend(self._started() for _ in range(self.processes_num))

    def keep_subprocess_alive(self) -> None:
        """Replace the workers that are gone or silent. One that could not start ends everything: the next could not
        either.
        """
        for index, worker in enumerate(cast(list[Worker], self.processes)):
            if worker.look():
                continue
            worker.kill()
            worker.join()
            if worker.exitcode == STARTUP_FAILURE:
                log.error("Worker %s could not start: all end.", worker.pid)
                self.should_exit.set()
                return
            log.error("Worker %s ended with %s and is replaced.", worker.pid, worker.exitcode)
            self.processes[index] = self._started()

    def restart_all(self) -> None:
        """Replace each worker, the new one serving before the old one ends; give up where a new one does not."""
        for index, old in enumerate(self.processes):
            new = self._started()
            while not new.serves:
                if not new.look() or {signal.SIGTERM, signal.SIGINT} & {*self.signal_queue}:
                    new.kill()
                    new.join()
                    log.error("Worker %s did not come to serve: worker %s stays, and the others.", new.pid, old.pid)
                    return
                time.sleep(LOOK)
            old.terminate()
            old.join()
            self.processes[index] = new

    def _started(self) -> Worker:
        worker = Worker(self.config, self.sockets)
        worker.start()
        return worker


def supervise(config: Config, listener: socket.socket) -> int:
    """Serve with `config.workers` processes until told to stop, and return the exit status: 3 where none could start.

    The application of `config` must be a factory that can be sent to another process.
    """
    supervisor = Supervisor(config, [listener])
    # Nobody else may read or write what the workers count together, and nothing of it outlives them.
    with tempfile.TemporaryDirectory(prefix="namewave-metrics-") as folder:
        os.environ[SHARED_FOLDER] = folder
        supervisor.run()
    failed = any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes)
    return STARTUP_FAILURE if failed else 0
