"""Several processes that serve one address: uvicorn's supervisor starts them, replaces one that dies or hangs, and ends
all of them on SIGTERM and Ctrl-C. With one process nothing of this runs.
"""

import os
import socket
import tempfile

from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from app.metrics import SHARED_FOLDER


def supervise(config: Config, listener: socket.socket) -> int:
    """Serve with `config.workers` processes until told to stop, and return the exit status: 3 where none could start.

    The application of `config` must be a factory that can be sent to another process.
    """
    supervisor = Multiprocess(config, [listener])
    # Nobody else may read or write what the workers count together, and nothing of it outlives them.
    with tempfile.TemporaryDirectory(prefix="namewave-metrics-") as folder:
        os.environ[SHARED_FOLDER] = folder
        supervisor.run()
    failed = any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes)
    return STARTUP_FAILURE if failed else 0
