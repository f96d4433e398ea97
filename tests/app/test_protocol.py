"""HTTP/1.1 over a socket: what is rejected before the application sees it, and what happens to one connection."""

import json
import re
import select
import socket
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from app.server.protocol import MAX_HEAD_BYTES, MAX_HEADERS, HttpProtocol
from tests.app.running import TIMEOUT, ThreadedServer
from tests.harness.clock import async_until, until

HOST = b"Host: x\r\n"
GET = b"GET /a HTTP/1.1\r\n" + HOST
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"3\r\nabc\r\n0\r\n\r\n"
FLOOD_BYTES = 64_000_000


class SeenRequest(NamedTuple):
    target: str
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Exchange(NamedTuple):
    """The bytes received on a connection, and whether the server closed it."""

    received: bytes
    closed: bool

    @property
    def statuses(self) -> list[int]:
        return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", self.received)]


class Recorder(ThreadedServer):
    """A server whose application records what it answers, and behaves as the request's path says."""

    def __init__(self) -> None:
        super().__init__(self._answer, HttpProtocol, interface="asgi3", lifespan="off", timeout_keep_alive=TIMEOUT)
        self.reset()

    def reset(self) -> None:
        self.started: list[str] = []
        self.seen: list[SeenRequest] = []
        self.disconnected, self.slow_may_end = threading.Event(), threading.Event()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        path, body, more = scope["path"], b"", True
        self.started.append(path)
        if path == "/slow":
            await async_until(self.slow_may_end.is_set)
        if path in ("/endless", "/early"):
            headers = [(b"content-length", b"1000000000")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            first = b"a" * 4_000_000 if path == "/endless" else b"ok"
            await send({"type": "http.response.body", "body": first, "more_body": True})
        while more and not path.startswith("/unread"):
            message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnected.set()
                return
            # An endless answer waits for the disconnect.
            body, more = body + message["body"], message["more_body"] or path == "/endless"
        self.seen.append(SeenRequest(f"{scope['method']} {path}", list(scope["headers"]), body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    @property
    def targets(self) -> list[str]:
        return [request.target for request in self.seen]

    def exchange(self, *pieces: bytes, answers: int = 1) -> Exchange:
        """Send the pieces on a new connection, and read `answers` answers, or fewer if it is closed."""
        with self.connect() as client:
            try:
                for piece in pieces:
                    client.sendall(piece)
            except ConnectionError:
                return Exchange(b"", True)
            return read_answers(client, answers)


def read_answers(client: socket.socket, answers: int = 1) -> Exchange:
    exchange = Exchange(b"", False)
    while len(exchange.statuses) < answers or not exchange.received.endswith((b"ok", b"}")):
        try:
            data = client.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            return Exchange(exchange.received, True)
        exchange = Exchange(exchange.received + data, False)
    return exchange


@pytest.fixture(scope="module")
def running() -> Iterator[Recorder]:
    with Recorder() as server:
        yield server


@pytest.fixture
def server(running: Recorder) -> Iterator[Recorder]:
    running.reset()
    yield running
    running.slow_may_end.set()
    until(lambda: running.request_count == 0)


def post(headers: bytes, body: bytes, path: bytes = b"/a") -> bytes:
    return b"POST " + path + b" HTTP/1.1\r\n" + HOST + headers + b"\r\n" + body


def assert_rejected(exchange: Exchange, status: int) -> None:
    """Check that one problem document came, and the connection is closed."""
    head, _, body = exchange.received.partition(b"\r\n\r\n")
    assert (exchange.statuses, exchange.closed) == ([status], True)
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    assert json.loads(body)["status"] == status
    assert b"aaaa" not in body


TOO_LARGE = {
    "one header": GET + b"X: " + b"a" * 5_000_000 + b"\r\n\r\n",
    "one header, never ended": GET + b"X: " + b"a" * (MAX_HEAD_BYTES + 1),
    "one header, just too long": GET + b"X: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n",
    "2,000 headers": GET + b"".join(b"X-%d: 1\r\n" % i for i in range(2000)) + b"\r\n",
    "one header too many": GET + b"".join(b"X-%d: 1\r\n" % i for i in range(MAX_HEADERS)) + b"\r\n",
    "address": b"GET /" + b"a" * 5_000_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "query": b"GET /?" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "empty lines": b"\r\n" * 1_000_000,
    "trailers": post(CHUNKED, b"3\r\nabc\r\n0\r\nX: " + b"a" * 1_000_000),
    "whole trailers": post(CHUNKED, b"3\r\nabc\r\n0\r\nX: " + b"a" * 20_000 + b"\r\n\r\n"),
    "chunk extension": post(CHUNKED, b"3;a=" + b"a" * 1_000_000),
}

UNREADABLE = {
    "length and chunks": post(b"Content-Length: 3\r\n" + CHUNKED, CHUNKS),
    "chunks and length": post(CHUNKED + b"Content-Length: 3\r\n", CHUNKS),
    "two lengths": post(b"Content-Length: 3\r\nContent-Length: 4\r\n", b"abc"),
    "the same length twice": post(b"Content-Length: 3\r\nContent-Length: 3\r\n", b"abc"),
    "a list of lengths": post(b"Content-Length: 3, 3\r\n", b"abc"),
    "a signed length": post(b"Content-Length: +3\r\n", b"abc"),
    "a negative length": post(b"Content-Length: -3\r\n", b"abc"),
    "a hexadecimal length": post(b"Content-Length: 0x3\r\n", b"abc"),
    "a length in two words": post(b"Content-Length: 3 3\r\n", b"abc"),
    "no length": post(b"Content-Length:\r\n", b"abc"),
    "a length that overflows": post(b"Content-Length: 99999999999999999999999\r\n", b"abc"),
    "gzip": post(b"Transfer-Encoding: gzip\r\n", b"abc"),
    "gzip in chunks": post(b"Transfer-Encoding: gzip, chunked\r\n", CHUNKS),
    "chunks in gzip": post(b"Transfer-Encoding: chunked, gzip\r\n", CHUNKS),
    "chunks in chunks": post(b"Transfer-Encoding: chunked, chunked\r\n", CHUNKS),
    "two encodings": post(CHUNKED + b"Transfer-Encoding: identity\r\n", CHUNKS),
    "a hidden encoding": post(b"Transfer-Encoding: xchunked\r\n", CHUNKS),
    "an encoding behind a control character": post(b"Transfer-Encoding: \x0bchunked\r\n", CHUNKS),
    "chunks in HTTP/1.0": b"POST /a HTTP/1.0\r\n" + HOST + CHUNKED + b"\r\n" + CHUNKS,
    "a folded encoding": post(b"Transfer-Encoding:\r\n chunked\r\n", CHUNKS),
    "a folded header": GET + b"X: 1\r\n 2\r\n\r\n",
    "an indented first header": b"GET /a HTTP/1.1\r\n Host: x\r\n\r\n",
    "a bare line feed": b"GET /a HTTP/1.1\nHost: x\n\n",
    "one bare line feed": GET + b"X: 1\nY: 2\r\n\r\n",
    "a bare carriage return": GET + b"X: 1\rY: 2\r\n\r\n",
    "a blank before the colon": post(b"Content-Length : 3\r\n", b"abc"),
    "a zero byte": GET + b"X: a\x00b\r\n\r\n",
    "a control character in a name": GET + b"X\x01: a\r\n\r\n",
    "no name": GET + b": a\r\n\r\n",
    "no colon": GET + b"abc\r\n\r\n",
    "no host": b"GET /a HTTP/1.1\r\n\r\n",
    "two hosts": GET + b"Host: y\r\n\r\n",
    "HTTP/0.9": b"GET /a\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an unknown version": b"GET /a HTTP/1.2\r\n" + HOST + b"\r\n",
    "an escape in the address": b"GET /\x1b HTTP/1.1\r\n" + HOST + b"\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303"),
    "a chunk with a bare line feed": post(CHUNKED, b"3\nabc\r\n0\r\n\r\n"),
    "a chunk that is longer than announced": post(CHUNKED, b"3\r\nabcXX0\r\n\r\n"),
    "a chunk's size with 0x": post(CHUNKED, b"0x3\r\nabc\r\n0\r\n\r\n"),
    "a chunk's size that overflows": post(CHUNKED, b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
}
REFUSED = [(name, 431, data) for name, data in TOO_LARGE.items()]
REFUSED += [(name, 400, data) for name, data in UNREADABLE.items()]


@pytest.mark.parametrize(("status", "data"), [case[1:] for case in REFUSED], ids=[name for name, *_ in REFUSED])
def test_oversized_heads_and_unsafe_framing_are_rejected(server: Recorder, status: int, data: bytes) -> None:
    exchange = server.exchange(data, GET + b"\r\n", answers=2)
    assert server.seen == []
    # A client still sending when the connection closes may lose the answer; it never gets another.
    if len(data) > 100_000 and not exchange.statuses:
        assert exchange.closed
    else:
        assert_rejected(exchange, status)


def test_heads_within_the_limits_are_accepted(server: Recorder) -> None:
    """A head just below both limits is read, also in pieces."""
    many = GET + b"".join(b"X-%d: 1\r\n" % i for i in range(MAX_HEADERS - 1)) + b"\r\n"
    long = GET + b"X: " + b"a" * (MAX_HEAD_BYTES - 100) + b"\r\n\r\n"
    pieces = [long[i : i + 1000] for i in range(0, len(long), 1000)]
    assert [server.exchange(*request).statuses for request in ([many], [long], pieces)] == [[200]] * 3
    assert [len(request.headers) for request in server.seen] == [MAX_HEADERS, 2, 2]


def test_limits_apply_to_each_request_of_a_connection(server: Recorder) -> None:
    large = b"a" * 100_000
    bodies = [post(b"Content-Length: 100000\r\n", large), post(CHUNKED, b"186a0\r\n" + large + b"\r\n0\r\n\r\n")]
    with server.connect() as client:
        for request in [*[GET + b"X: " + b"a" * 9000 + b"\r\n\r\n"] * 20, *bodies]:
            client.sendall(request)
            assert read_answers(client).statuses == [200]


def test_trailers_never_reach_the_application(server: Recorder) -> None:
    assert server.exchange(post(CHUNKED, b"3\r\nabc\r\n0\r\nX-Request-Id: late\r\n\r\n")).statuses == [200]
    [request] = server.seen
    assert (request.target, request.body) == ("POST /a", b"abc")
    assert b"x-request-id" not in dict(request.headers)


def test_request_before_a_malformed_one_is_answered(server: Recorder) -> None:
    exchange = server.exchange(GET + b"\r\n" + b"\x00\r\n\r\n", answers=2)
    assert (exchange.statuses, exchange.closed) == ([200], True)


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket"])
@pytest.mark.parametrize("together", [True, False], ids=["at once", "body later"])
@pytest.mark.parametrize(
    ("headers", "body"), [(b"Content-Length: 21\r\n", b"GET /evil HTTP/1.1\r\n\r\n"[:21]), (CHUNKED, CHUNKS)]
)
def test_upgrade_request_is_answered_as_plain_http(
    server: Recorder, protocol: bytes, together: bool, headers: bytes, body: bytes
) -> None:
    switch = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: " + protocol + b"\r\nHTTP2-Settings: AA\r\n"
    head = post(switch + headers, b"")
    exchange = server.exchange(head + body) if together else server.exchange(head, body)
    assert exchange.statuses == [200]
    assert b"connection: close" in exchange.received.lower()
    assert [request[::2] for request in server.seen] == [("POST /a", b"abc" if headers == CHUNKED else body)]


UPGRADE = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
NOT_HTTP = {
    "no chunk": [b"CONNECT /a HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n", b"ion/x-ndjson\r\n\r\n"],
    "no chunk, at once": [post(UPGRADE + CHUNKED, b"zz\r\n")],
    "no chunk, after a good one": [post(UPGRADE + CHUNKED, b"3\r\nabc\r\n"), b"zz\r\n"],
    "no length": [post(UPGRADE + b"Content-Length: 1 1\r\n", b"a")],
    "no address": [b"GET /\xff HTTP/1.1\r\n" + HOST + UPGRADE + b"\r\n"],
}


@pytest.mark.parametrize("pieces", NOT_HTTP.values(), ids=NOT_HTTP)
def test_malformed_rest_of_an_upgrade_request_is_rejected(server: Recorder, pieces: list[bytes]) -> None:
    assert_rejected(server.exchange(*pieces, answers=2), 400)
    assert server.seen == []


def test_malformed_body_cuts_the_answer_under_way(server: Recorder) -> None:
    with server.connect() as client:
        client.sendall(post(UPGRADE + CHUNKED, b"3\r\nabc\r\n", path=b"/early"))
        begun = b""
        while not begun.endswith(b"ok"):
            begun += client.recv(65536)
        client.sendall(b"zz\r\n")
        assert client.recv(65536) == b""
    assert Exchange(begun, True).statuses == [200]
    assert server.seen == []


def test_pipelined_requests_get_one_answer_and_a_close(server: Recorder) -> None:
    with server.connect() as client:
        client.sendall(GET.replace(b"/a", b"/slow") + b"\r\n" + (GET + b"\r\n") * 1_000)
        until(lambda: server.started == ["/slow"])
        server.slow_may_end.set()
        exchange = read_answers(client, answers=2)
    assert (exchange.statuses, exchange.closed) == ([200], True)
    assert b"connection: close" in exchange.received
    assert server.targets == ["GET /slow"]


@pytest.mark.parametrize("flood", [(GET + b"\r\n") * 1_000, b"\0\r\n\r\n" + b"a" * 65_536], ids=["requests", "garbage"])
def test_nothing_is_read_behind_an_unanswered_request(server: Recorder, flood: bytes) -> None:
    with server.connect() as client:
        client.sendall(GET.replace(b"/a", b"/slow") + b"\r\n")
        until(lambda: server.started == ["/slow"])
        client.setblocking(False)
        sent = 0
        # The buffers of both ends are full when the socket does not become writable again.
        while sent < FLOOD_BYTES and select.select([], [client], [], 1)[1]:
            sent += client.send(flood[sent % len(flood) :])
        assert sent < FLOOD_BYTES
        until(lambda: all(connection.flow.read_paused for connection in server.connections))
        client.settimeout(TIMEOUT)
        server.slow_may_end.set()
        assert read_answers(client).received.startswith(b"HTTP/1.1 200 OK")
    assert server.targets == ["GET /slow"]


@pytest.mark.parametrize(
    ("head", "body"),
    [(b"Content-Length: 20000\r\n", b"a" * 20_000), (CHUNKED, CHUNKS)],
    ids=["length", "chunks"],
)
def test_connection_answered_before_its_body_is_reused(server: Recorder, head: bytes, body: bytes) -> None:
    """After the last body the keep-alive timeout runs."""
    with server.connect() as client:
        for path in (b"/unread/1", b"/unread/2"):
            client.sendall(post(head, b"", path))
            assert read_answers(client).statuses == [200]
            if path == b"/unread/2":
                [connection] = server.connections
                connection.timeout_keep_alive = 0
            client.sendall(body)
        assert client.recv(65536) == b""
    assert server.targets == ["POST /unread/1", "POST /unread/2"]


@pytest.mark.parametrize("together", [True, False])
def test_connection_close_in_a_trailer_is_obeyed(server: Recorder, together: bool) -> None:
    head = post(CHUNKED, b"", b"/unread")
    chunks = b"3\r\nabc\r\n0\r\nConnection: close\r\n\r\n"
    with server.connect() as client:
        for piece in [head + chunks + GET + b"\r\n"] if together else [head, chunks, GET + b"\r\n"]:
            client.sendall(piece)
            until(lambda: bool(server.started))
        exchange = read_answers(client, answers=2)
    assert (exchange.statuses, exchange.closed) == ([200], True)
    assert server.targets == ["POST /unread"]


def test_disconnect_reaches_the_request_being_answered(server: Recorder) -> None:
    with server.connect() as client:
        client.sendall(GET.replace(b"/a", b"/endless") + b"\r\n")
        client.recv(1000)
        # Closed with a reset: what is still written fails.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert server.disconnected.wait(TIMEOUT)
