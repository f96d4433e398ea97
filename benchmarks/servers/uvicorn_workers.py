"""The service with uvicorn's own supervisor of worker processes in the place of ours, to compare them (rows 18 to 22).

Run as `HEALTHCHECK_SECONDS=5 python -m benchmarks.servers.uvicorn_workers serve --port N`.
"""

import os
import socket
from pathlib import Path

from uvicorn import Config
from uvicorn.supervisors import Multiprocess

from app.cli.main import main
from app.server import workers

# uvicorn's limit for both a sign of life and a start; 5 is its default.
HEALTHCHECK = "HEALTHCHECK_SECONDS"


class UvicornSupervisor(Multiprocess):
    """uvicorn's supervisor, made as ours is made."""

    failed = False

    def __init__(self, config: Config, sockets: list[socket.socket], folder: Path) -> None:
        config.timeout_worker_healthcheck = int(os.environ[HEALTHCHECK])
        super().__init__(config, sockets)


if __name__ == "__main__":
    workers.__dict__["Supervisor"] = UvicornSupervisor
    main()
