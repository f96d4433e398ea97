"""A server that is told to stop, over a socket: who has come is answered."""

import asyncio
import socket
import threading
from functools import partial
from typing import Any

from structlog.testing import capture_logs
from uvicorn import Config

from app.connection.protocol import HttpProtocol
from app.processes.serving import Server

CLIENTS = 20
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def _answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def test_who_came_before_the_stop_is_answered() -> None:
    """Clients whose connections the system took while the server was busy, so that nobody has accepted them, are
    answered when it is told to stop, and then closed; who comes after that is refused.
    """
    listener = socket.create_server(("127.0.0.1", 0), backlog=CLIENTS)
    address = listener.getsockname()
    server = Server(Config(_answer, http=HttpProtocol, lifespan="off", log_config=None))
    came, started = threading.Event(), threading.Event()

    async def serve() -> None:
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup([listener])
        started.set()
        # The loop does nothing else meanwhile.
        came.wait(30)
        await server.shutdown([listener])

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    # What set up the log before this test may have closed where it was written to.
    with capture_logs() as log:
        thread.start()
        assert started.wait(30)
        answers = _asked(address, came)
        thread.join(30)
    assert not thread.is_alive()
    assert [line["event"] for line in log] == ["stopping"]
    assert all(answer.startswith(b"HTTP/1.1 200 OK") for answer in answers)
    with socket.socket() as late:
        assert late.connect_ex(address) != 0


def _asked(address: tuple[str, int], came: threading.Event) -> list[bytes]:
    """What clients get that come and ask while the server is busy, but for one, who asks when the stop has begun."""
    clients = [socket.create_connection(address, timeout=20) for _ in range(CLIENTS)]
    for client in clients[1:]:
        client.sendall(GET)
    came.set()
    clients[0].sendall(GET)
    answers = []
    for client in clients:
        with client:
            answers.append(b"".join(iter(partial(client.recv, 65536), b"")))
    return answers
