"""Several requests on one connection, over a socket."""

import asyncio
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from app.connection.protocol import HttpProtocol
from tests.app.running import Listening, until

HEAD = b" HTTP/1.1\r\nHost:\r\n"
FLOOD_BYTES = 64_000_000


class RecordingServer(Listening):
    """A server of a small application that records the paths it answers."""

    def __init__(self) -> None:
        super().__init__(self._answer, HttpProtocol, interface="asgi3", lifespan="off", timeout_keep_alive=1)
        self.seen: list[str] = []
        self.started: list[str] = []
        self.release = asyncio.Event()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        self.started.append(path)
        if path == "/slow":
            await self.release.wait()
        if path == "/endless":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"a" * 4_000_000, "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass
            self.seen.append("disconnected")
            return
        self.seen.append(path)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    def release_slow(self) -> None:
        """Let slow requests go on."""
        for connection in list(self.server.server_state.connections):
            connection.loop.call_soon_threadsafe(self.release.set)  # type: ignore[union-attr]

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """A running server."""
    with RecordingServer() as made:
        try:
            yield made
        finally:
            made.release_slow()


def get(path: str) -> bytes:
    """A GET request."""
    return b"GET " + path.encode() + HEAD + b"\r\n"


def read_answers(client: socket.socket, answers: int) -> bytes:
    """Everything until that many answers came or the connection is closed."""
    got = b""
    while got.count(b"\r\n\r\nok") < answers and (data := client.recv(65536)):
        got += data
    return got


def sent_until_blocked(client: socket.socket, data: bytes) -> int:
    """Bytes that the server takes before it takes nothing for a second, at most `FLOOD_BYTES`."""
    sent, last = 0, time.monotonic()
    client.setblocking(False)
    while sent < FLOOD_BYTES and time.monotonic() < last + 1:
        try:
            sent, last = sent + client.send(data[sent % len(data) :]), time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    client.setblocking(True)
    client.settimeout(60)
    return sent


def test_pipelined_requests_get_one_answer_and_a_close(server: RecordingServer) -> None:
    with server.connect() as client:
        client.sendall(get("/slow") + get("/b") * 1_000)
        until(lambda: server.started == ["/slow"])
        server.release_slow()
        got = read_answers(client, 2)
    assert re.findall(rb"HTTP/1.1 (\d+)", got) == [b"200"]
    assert b"connection: close" in got
    assert server.seen == ["/slow"]


@pytest.mark.parametrize("flood", [get("/x") * 1_000, b"\0\r\n\r\n" + b"a" * 65_536], ids=["requests", "garbage"])
def test_nothing_is_read_behind_an_unanswered_request(server: RecordingServer, flood: bytes) -> None:
    with server.connect() as client:
        client.sendall(get("/slow"))
        until(lambda: server.started == ["/slow"])
        assert sent_until_blocked(client, flood) < FLOOD_BYTES
        server.release_slow()
        assert read_answers(client, 1).startswith(b"HTTP/1.1 200 OK")
    assert server.seen == ["/slow"]


@pytest.mark.parametrize(
    ("head", "body"),
    [(b"Content-Length: 20000\r\n", b"a" * 20_000), (b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n0\r\n\r\n")],
    ids=["length", "chunks"],
)
def test_connection_answered_before_its_body_is_reused(server: RecordingServer, head: bytes, body: bytes) -> None:
    """The connection serves another request, and closes after its keep-alive timeout."""
    with server.connect() as client:
        for path in ("/a", "/b"):
            client.sendall(b"POST " + path.encode() + HEAD + head + b"\r\n")
            assert b"HTTP/1.1 200 OK" in read_answers(client, 1)
            client.sendall(body)
        assert client.recv(65536) == b""
    assert server.seen == ["/a", "/b"]


@pytest.mark.parametrize("together", [True, False])
def test_connection_close_in_a_trailer_is_obeyed(server: RecordingServer, together: bool) -> None:
    chunks = b"3\r\nabc\r\n0\r\nConnection: close\r\n\r\n"
    post = b"POST /a" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    got = b""
    with server.connect() as client:
        for piece in [post + chunks + get("/b")] if together else [post, chunks, get("/b")]:
            client.sendall(piece)
            until(lambda: bool(server.started))
        try:
            while data := client.recv(65536):
                got += data
        except ConnectionError:
            pass
    assert re.findall(rb"HTTP/1.1 (\d+)", got) == [b"200"]
    assert server.seen == ["/a"]


def test_disconnect_reaches_the_request_being_answered(server: RecordingServer) -> None:
    with server.connect() as client:
        client.sendall(get("/endless"))
        client.recv(1000)
        # Closed with a reset: what is still written fails.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    until(lambda: "disconnected" in server.seen)
