"""Many requests on one connection, over a socket: they wait unparsed, and no connection is forgotten."""

import asyncio
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from app.connection.protocol import SLICE, HttpProtocol
from tests.app.running import Listening, until

READ = 262_144
HEAD = b" HTTP/1.1\r\nHost:\r\n"
HELD = 64_000_000


class Counting(Listening):
    """A server of a small application, which notes what was asked of it and how much waited meanwhile."""

    def __init__(self) -> None:
        super().__init__(self._answer, HttpProtocol, interface="asgi3", lifespan="off", timeout_keep_alive=1)
        self.seen: list[str] = []
        self.open = asyncio.Event()
        self.most_waiting = self.most_unparsed = 0

    @property
    def connections(self) -> list[HttpProtocol]:
        """Those that are open."""
        return list(self.server.server_state.connections)  # type: ignore[arg-type]

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        for one in self.connections:
            self.most_waiting = max(self.most_waiting, len(one.pipeline))
            self.most_unparsed = max(self.most_unparsed, len(one.rest))
        if path == "/slow":
            await self.open.wait()
        if path == "/endless":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"a" * 4_000_000, "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass
            self.seen.append("gone")
            return
        self.seen.append(path)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    def set_open(self) -> None:
        """Let what is slow go on."""
        [one, *_] = self.connections
        one.loop.call_soon_threadsafe(self.open.set)

    def connect(self) -> socket.socket:
        """A connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)


@pytest.fixture
def counting() -> Iterator[Counting]:
    """A server."""
    with Counting() as made:
        try:
            yield made
        finally:
            if made.connections:
                made.set_open()


def get(path: str) -> bytes:
    """A request."""
    return b"GET " + path.encode() + HEAD + b"\r\n"


def read(client: socket.socket, answers: int) -> bytes:
    """What comes, until so many answers are there or the connection is closed."""
    got = b""
    while got.count(b"\r\n\r\nok") < answers and (data := client.recv(65536)):
        got += data
    return got


def push(client: socket.socket, data: bytes, most: int) -> int:
    """Send `data` again and again, as long as some of it is taken within a second; return how much was, at most."""
    sent, last = 0, time.monotonic()
    client.setblocking(False)
    while sent < most and time.monotonic() < last + 1:
        try:
            sent, last = sent + client.send(data[sent % len(data) :]), time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    client.setblocking(True)
    client.settimeout(20)
    return sent


def test_each_of_thousands_at_once_is_answered_in_order(counting: Counting) -> None:
    """Requests that come together are answered one after the other, and those of one slice at most wait as requests;
    the connection then serves as ever.
    """
    paths = [f"/{number}" for number in range(40_000)]
    with counting.connect() as client:
        client.sendall(b"".join(map(get, paths)))
        assert read(client, len(paths)).count(b"HTTP/1.1 200 OK") == len(paths)
        client.sendall(get("/last"))
        assert read(client, 1).startswith(b"HTTP/1.1 200 OK")
    assert counting.seen == [*paths, "/last"]
    assert 1 < counting.most_waiting <= SLICE // len(get("/0")) + 1
    assert SLICE < counting.most_unparsed <= 2 * READ


def test_what_waits_is_not_read(counting: Counting) -> None:
    """While a slow request is answered, a client that goes on asking is not read from, beyond what one read holds; as
    soon as it is, all is answered.
    """
    more = get("/x") * 1_000
    with counting.connect() as client:
        client.sendall(get("/slow"))
        until(lambda: counting.connections != [] and counting.connections[0].answering is not None)
        sent = push(client, more, HELD)
        assert sent < HELD
        [connection] = counting.connections
        assert len(connection.rest) <= 2 * READ
        assert len(connection.pipeline) <= SLICE // len(get("/x")) + 1
        counting.set_open()
        assert read(client, 5_000).count(b"HTTP/1.1 200 OK") >= 5_000


def test_who_is_refused_is_not_read_from(counting: Counting) -> None:
    """What comes behind bytes that are no HTTP, while an answer is owed, stays with the client; the answer comes, and
    the connection ends.
    """
    with counting.connect() as client:
        client.sendall(get("/slow"))
        until(lambda: counting.connections != [] and counting.connections[0].answering is not None)
        client.sendall(b"\0\r\n\r\n")
        assert push(client, b"a" * 65_536, HELD) < HELD
        counting.set_open()
        assert read(client, 1).startswith(b"HTTP/1.1 200 OK")
    assert counting.seen == ["/slow"]


@pytest.mark.parametrize(
    ("head", "body"),
    [(b"Content-Length: 20000\r\n", b"a" * 20_000), (b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n0\r\n\r\n")],
    ids=["length", "chunks"],
)
def test_an_early_answer_leaves_no_connection_open_for_ever(counting: Counting, head: bytes, body: bytes) -> None:
    """Where the answer was there before the body, the connection serves on after that, and is closed when nothing more
    is asked.
    """
    with counting.connect() as client:
        for path in ("/a", "/b"):
            client.sendall(b"POST " + path.encode() + HEAD + head + b"\r\n")
            assert b"HTTP/1.1 200 OK" in read(client, 1)
            client.sendall(body)
        assert client.recv(65536) == b""
    assert counting.seen == ["/a", "/b"]


def test_a_trailer_that_closes_is_obeyed(counting: Counting) -> None:
    """Whether `Connection: close` stands before the body or behind it: what follows is not read, and the client is told
    by the end of the connection.
    """
    chunks = b"3\r\nabc\r\n0\r\nConnection: close\r\n\r\n"
    post = b"POST /a" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    for pieces in ([post + chunks + get("/b")], [post, chunks, get("/b")]):
        with counting.connect() as client:
            for piece in pieces:
                client.sendall(piece)
                time.sleep(0.05)
            got = b""
            try:
                while data := client.recv(65536):
                    got += data
            except ConnectionError:
                pass
        assert re.findall(rb"HTTP/1.1 (\d+)", got) == [b"200"]
    assert counting.seen == ["/a", "/a"]


def test_who_leaves_is_told_of_to_the_request_that_is_answered(counting: Counting) -> None:
    """Where the connection breaks, the application learns it of the request that it is answering, although another one
    came behind.
    """
    with counting.connect() as client:
        client.sendall(get("/endless") + get("/b"))
        client.recv(1000)
        # Closed with a reset: what is still written fails.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    until(lambda: "gone" in counting.seen)
    assert counting.seen == ["gone"]
