"""Several processes that serve one address: uvicorn's supervisor starts them, replaces one that dies or hangs, and ends
all of them on SIGTERM and Ctrl-C. With one process nothing of this runs.
"""

import socket

from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess


def supervise(config: Config, listener: socket.socket) -> int:
    """Serve with `config.workers` processes until told to stop, and return the exit status: 3 where none could start.

    The application of `config` must be a factory that can be sent to another process.
    """
    supervisor = Multiprocess(config, [listener])
    supervisor.run()
    failed = any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes)
    return STARTUP_FAILURE if failed else 0
