"""Several processes that serve one address: a supervisor starts them, replaces one that dies or hangs, replaces all one
by one on SIGHUP, and ends all on SIGTERM and Ctrl-C. With one process nothing of this runs. When one that could not
start is tried again is `retries`' matter, what the workers count together `shared_folder`'s.

It is uvicorn's, but it never waits for one worker while it has others to look after, it lets a worker that starts take
its time, and it counts looks, not seconds: a machine that was paused has missed none.
"""

import logging
import os
import signal
import socket
import time
from pathlib import Path
from typing import cast

import structlog
from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from app.metrics import SHARED_FOLDER
from app.processes.retries import Retries
from app.processes.serving import Server
from app.processes.shared_folder import forget, shared_folder

# Seconds between two looks; without a sign of life of a worker that serves, before it is replaced (a start may take
# `Config.timeout_worker_healthcheck`); for ending, beyond the time for answers under way.
LOOK, SILENCE, MARGIN = 0.5, 6.0, 2.0

log = logging.getLogger("uvicorn.error")


class Worker(Process):
    """A process that serves, as its supervisor sees it."""

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self.asked = self.serves = self.gone = False
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

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, in the process itself."""
        # A terminal that is closed tells the whole group of processes: what to do then is the supervisor's affair.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._server = Server(self.config)
        super().target(sockets)

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
    """Keeps `config.workers` workers, which count in `folder`.

    One that served is replaced at once when it is gone. One that never came to serve is tried again after a pause that
    grows, while the others serve; where none ever did, `failed` is set and all end: the next could not either.
    """

    def __init__(self, config: Config, sockets: list[socket.socket], folder: Path) -> None:
        super().__init__(config, sockets)
        self.folder, self.retries = folder, Retries()
        self.served = self.failed = False

    @property
    def workers(self) -> list[Worker]:
        """The processes; one that is gone keeps its place until the next try."""
        return cast(list[Worker], self.processes)

    def init_processes(self) -> None:
        """Start the workers."""
        self.processes.extend(self._started() for _ in range(self.processes_num))

    def keep_subprocess_alive(self) -> None:
        """Replace the workers that are gone or silent."""
        for index, worker in enumerate(self.workers):
            if self.should_exit.is_set():
                return
            if worker.gone:
                continue
            if self._looks_well(worker):
                continue
            self._bury(worker)
            if worker.serves:
                log.error("Worker %s ended with %s and is replaced.", worker.pid, worker.exitcode)
                self.processes[index] = self._started()
            else:
                self._did_not_start(worker)
        self._try_again()

    def restart_all(self) -> None:
        """Replace each worker, the new one serving before the old one ends; give up where a new one does not."""
        self.retries.reset()
        for index, old in enumerate(self.workers):
            new = self._started()
            while not new.serves:
                ends = bool({signal.SIGTERM, signal.SIGINT} & {*self.signal_queue})
                if ends or not self._looks_well(new):
                    self._bury(new)
                    if not ends:
                        log.error("Worker %s did not come to serve: the others stay, not reloaded.", new.pid)
                    return
                time.sleep(LOOK)
            old.terminate()
            old.join()
            forget(self.folder, cast(int, old.pid))
            self.processes[index] = new
        structlog.get_logger().info("reloaded")

    def terminate_all(self) -> None:
        """Let nobody come any more, and tell all workers to end. Who came to a socket that is open here alone would
        wait until the end, and then be cut off.
        """
        for listener in self.sockets:
            listener.close()
        super().terminate_all()

    def handle_hup(self) -> None:
        """Say so, and replace all workers."""
        structlog.get_logger().info("reloading")
        self.restart_all()

    def handle_term(self) -> None:
        """Say so, and end."""
        structlog.get_logger().info("stopping")
        self.should_exit.set()

    def handle_int(self) -> None:
        """Do as for SIGTERM."""
        self.handle_term()

    def handle_ttin(self) -> None:
        """Keep one worker more."""
        self.processes_num += 1
        self.processes.append(self._started())

    def _started(self) -> Worker:
        worker = Worker(self.config, self.sockets)
        worker.start()
        return worker

    def _looks_well(self, worker: Worker) -> bool:
        served, well = worker.serves, worker.look()
        if worker.serves and not served:
            # What was wrong with a start is right again.
            self.served = True
            self.retries.reset()
        return well

    def _bury(self, worker: Worker) -> None:
        worker.kill()
        worker.join()
        worker.gone = True
        forget(self.folder, cast(int, worker.pid))

    def _did_not_start(self, worker: Worker) -> None:
        if worker.exitcode == STARTUP_FAILURE and not self.served:
            log.error("Worker %s could not start: all end.", worker.pid)
            self.failed = True
            self.should_exit.set()
            return
        pause = self.retries.failed()
        log.error("Worker %s ended with %s before it served: next try in %g s.", worker.pid, worker.exitcode, pause)

    def _try_again(self) -> None:
        """Start one in the place of one that is gone, if it is time; one after the other, as all fail or none."""
        if self.should_exit.is_set() or not self.retries.due():
            return
        gone = [index for index, worker in enumerate(self.workers) if worker.gone]
        starting = any(not worker.gone and not worker.serves for worker in self.workers)
        if gone and not starting:
            self.processes[gone[0]] = self._started()


def supervise(config: Config, listener: socket.socket) -> int:
    """Serve with `config.workers` processes until told to stop, and return the exit status: 3 where none could start.

    The application of `config` must be a factory that can be sent to another process.
    """
    # Nobody else may read or write what the workers count together, and nothing of it outlives them.
    with shared_folder() as place:
        os.environ[SHARED_FOLDER] = str(place)
        supervisor = Supervisor(config, [listener], place)
        supervisor.run()
    return STARTUP_FAILURE if supervisor.failed else 0
