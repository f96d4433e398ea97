"""The service, or another application, behind a socket, in a thread of this process, so that a test can look inside."""

import json
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import uvicorn

from app.main import create_app
from app.settings import Settings


class Listening:
    """A server of any application; a context, which it has begun to serve in. `protocol`: what uvicorn reads HTTP with;
    `more`: what else it is told.
    """

    def __init__(self, app: Any, protocol: Any, **more: Any) -> None:
        config = uvicorn.Config(app, http=protocol, ws="none", access_log=False, log_config=None, **more)
        self.server = uvicorn.Server(config)
        self.listener = socket.create_server(("127.0.0.1", 0))
        # Small, so that a client which does not read is felt soon; connections inherit it.
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        self.port = self.listener.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]}, daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        until(lambda: self.server.started)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.should_exit = True
        self.thread.join(30)
        self.listener.close()
        assert not self.thread.is_alive()


class Running(Listening):
    """The service."""

    def __init__(self, settings: Settings, protocol: Any = "h11") -> None:
        super().__init__(create_app(settings), protocol, lifespan="on")

    @property
    def state(self) -> dict[str, Any]:
        """The lifespan's state."""
        return self.server.lifespan.state

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return bool(self.server.server_state.tasks)

    def send(self, accept: str, **fields: object) -> socket.socket:
        """A connection on which POST /generate was sent."""
        body = json.dumps(fields).encode()
        head = f"POST /generate HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nContent-Type: application/json\r\n"
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return connection


def until(true: Callable[[], bool]) -> None:
    """Wait for it, at most half a minute."""
    for _ in range(3000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")
