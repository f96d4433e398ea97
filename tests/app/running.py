"""Applications behind a socket, in a thread of this process, so that a test can look inside."""

import json
import socket
import threading
from typing import Any, Self

import uvicorn

from app.dependencies import Service
from app.main import create_app
from app.settings import Settings
from tests.harness.clock import until

# Seconds: it only ends a hang.
TIMEOUT = 120


class ThreadedServer:
    """A server of any application with a `protocol` of uvicorn; a context manager."""

    def __init__(self, app: Any, protocol: Any, **options: Any) -> None:
        config = uvicorn.Config(app, http=protocol, ws="none", access_log=False, log_config=None, **options)
        self.server = uvicorn.Server(config)
        self.listener = socket.create_server(("127.0.0.1", 0))
        # Connections inherit it: a client that does not read is noticed soon.
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        self.port = self.listener.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]}, daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        until(lambda: self.server.started)
        return self

    def __exit__(self, *error: object) -> None:
        self.server.should_exit = True
        self.thread.join(TIMEOUT)
        self.listener.close()
        assert not self.thread.is_alive()

    @property
    def connections(self) -> list[Any]:
        """uvicorn's protocol of each open connection."""
        return list(self.server.server_state.connections)

    @property
    def request_count(self) -> int:
        """How many requests are being answered."""
        return len(self.server.server_state.tasks)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT)


class ThreadedService(ThreadedServer):
    def __init__(self, settings: Settings) -> None:
        super().__init__(create_app(settings), "h11", lifespan="on")

    @property
    def service(self) -> Service:
        return self.server.lifespan.state["service"]  # type: ignore[no-any-return]

    def send(self, accept: str, **fields: object) -> socket.socket:
        """Return a connection on which POST /generate was sent."""
        body = json.dumps(fields).encode()
        head = f"POST /generate HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nContent-Type: application/json\r\n"
        connection = self.connect()
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return connection
