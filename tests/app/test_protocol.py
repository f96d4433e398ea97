"""Raw bytes over a socket: what is refused before the application sees it, and what is read as ever."""

import json
import re
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn

from app.connection.protocol import MAX_HEAD_BYTES, MAX_HEADERS, HttpProtocol

Server = tuple[int, list[tuple[str, list[tuple[bytes, bytes]], bytes]]]
HOST = b"Host: x\r\n"
GET = b"GET /a HTTP/1.1\r\n" + HOST
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"3\r\nabc\r\n0\r\n\r\n"


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    """A port, and what its application was asked: method and path, headers, body."""
    seen: list[tuple[str, list[tuple[bytes, bytes]], bytes]] = []

    async def app(scope, receive, send):  # type: ignore[no-untyped-def]
        body, more = b"", True
        if scope["path"] == "/early":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
            await send({"type": "http.response.body", "body": b"ok", "more_body": True})
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        seen.append((f"{scope['method']} {scope['path']}", list(scope["headers"]), body))
        headers = [(b"content-length", b"2"), (b"x-path", scope["path"].encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, http=HttpProtocol, lifespan="off", log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()[1], seen
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive()


def ask(port: int, *pieces: bytes, answers: int = 1) -> tuple[list[int], bytes, bool]:
    """Send the pieces; return the statuses of at most `answers` answers, all that came, and whether it was closed."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        try:
            for piece in pieces:
                client.sendall(piece)
            while len(statuses(got)) < answers or not got.endswith((b"ok", b"}")):
                data = client.recv(65536)
                if not data:
                    return statuses(got), got, True
                got += data
        except ConnectionError:
            return statuses(got), got, True
    return statuses(got), got, False


def statuses(got: bytes) -> list[int]:
    """The status of each answer."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", got)]


def post(headers: bytes, body: bytes) -> bytes:
    """A POST."""
    return b"POST /a HTTP/1.1\r\n" + HOST + headers + b"\r\n" + body


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
    "a chunk that is longer than told": post(CHUNKED, b"3\r\nabcXX0\r\n\r\n"),
    "a chunk's size with 0x": post(CHUNKED, b"0x3\r\nabc\r\n0\r\n\r\n"),
    "a chunk's size that overflows": post(CHUNKED, b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
}
REFUSED = [(name, 431, data) for name, data in TOO_LARGE.items()]
REFUSED += [(name, 400, data) for name, data in UNREADABLE.items()]


@pytest.mark.parametrize(("name", "status", "data"), REFUSED, ids=[name for name, _, _ in REFUSED])
def test_what_is_refused(running: Server, name: str, status: int, data: bytes) -> None:
    """A head beyond the limits, and framing that servers disagree on, is a problem and a closed connection; the
    application sees nothing, nor anything behind it.
    """
    port, seen = running
    seen.clear()
    given, got, closed = ask(port, data, GET + b"\r\n", answers=2)
    assert closed
    assert seen == []
    # A client still sending when the connection closes may lose the answer; it never gets another.
    assert given in ([status], []) if len(data) > 100_000 else given == [status]
    if given:
        head, _, body = got.partition(b"\r\n\r\n")
        assert b"content-type: application/problem+json" in head
        assert b"connection: close" in head
        assert json.loads(body)["status"] == status
        assert b"aaaa" not in body


def test_heads_within_the_limits_pass(running: Server) -> None:
    """A head just below both limits is read, also where it comes in pieces."""
    port, seen = running
    seen.clear()
    many = GET + b"".join(b"X-%d: 1\r\n" % i for i in range(MAX_HEADERS - 1)) + b"\r\n"
    long = GET + b"X: " + b"a" * (MAX_HEAD_BYTES - 100) + b"\r\n\r\n"
    pieces = [long[i : i + 1000] for i in range(0, len(long), 1000)]
    assert ask(port, many)[0] == ask(port, long)[0] == ask(port, *pieces)[0] == [200]
    assert [len(headers) for _, headers, _ in seen] == [MAX_HEADERS, 2, 2]


def test_the_limits_are_each_requests(running: Server) -> None:
    """Many requests, and a large body, on one connection do not add up to a head that is too large."""
    port, _ = running
    large = b"a" * 100_000
    bodies = [post(b"Content-Length: 100000\r\n", large), post(CHUNKED, b"186a0\r\n" + large + b"\r\n0\r\n\r\n")]
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        for number, request in enumerate([*[GET + b"X: " + b"a" * 9000 + b"\r\n\r\n"] * 20, *bodies], 1):
            client.sendall(request)
            while len(statuses(got)) < number or not got.endswith(b"ok"):
                got += client.recv(65536)
    assert statuses(got) == [200] * 22


def test_trailers_are_left_out(running: Server) -> None:
    """Headers behind the body never reach the application: it has decided by those before."""
    port, seen = running
    seen.clear()
    assert ask(port, post(CHUNKED, b"3\r\nabc\r\n0\r\nX-Request-Id: late\r\n\r\n"))[0] == [200]
    assert [(path, body) for path, _, body in seen] == [("POST /a", b"abc")]
    assert b"x-request-id" not in dict(seen[0][1])


def test_good_requests_before_a_bad_one_are_answered(running: Server) -> None:
    """A bad request behind a good one takes no answer away from it, and closes the connection."""
    port, _ = running
    given, _, closed = ask(port, GET + b"\r\n" + b"\x00\r\n\r\n", answers=2)
    assert given == [200]
    assert closed


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket"])
@pytest.mark.parametrize("together", [True, False], ids=["at once", "body later"])
@pytest.mark.parametrize(
    ("headers", "body"), [(b"Content-Length: 21\r\n", b"GET /evil HTTP/1.1\r\n\r\n"[:21]), (CHUNKED, CHUNKS)]
)
def test_a_wish_for_another_protocol_changes_nothing(
    running: Server, protocol: bytes, together: bool, headers: bytes, body: bytes
) -> None:
    """A request with Upgrade is read with its body and answered; the body is never taken for a request."""
    port, seen = running
    seen.clear()
    switch = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: " + protocol + b"\r\nHTTP2-Settings: AA\r\n"
    head = post(switch + headers, b"")
    given, got, _ = ask(port, head + body) if together else ask(port, head, body)
    assert given == [200]
    assert b"connection: close" in got.lower()
    assert [path for path, _, _ in seen] == ["POST /a"]
    assert seen[0][2] == (b"abc" if headers == CHUNKED else body)


UPGRADE = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
NOT_HTTP = {
    "no chunk": [b"CONNECT /a HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n", b"ion/x-ndjson\r\n\r\n"],
    "no chunk, at once": [post(UPGRADE + CHUNKED, b"zz\r\n")],
    "no chunk, after a good one": [post(UPGRADE + CHUNKED, b"3\r\nabc\r\n"), b"zz\r\n"],
    "no length": [post(UPGRADE + b"Content-Length: 1 1\r\n", b"a")],
    "no address": [b"GET /\xff HTTP/1.1\r\n" + HOST + UPGRADE + b"\r\n"],
}


@pytest.mark.parametrize("pieces", NOT_HTTP.values(), ids=NOT_HTTP)
def test_what_is_no_http_behind_a_wish_for_another_protocol_is_a_problem(running: Server, pieces: list[bytes]) -> None:
    """Where the rest of such a request cannot be read, it is refused as elsewhere, once, and the connection closed; the
    application, which may wait for it, answers nothing.
    """
    port, seen = running
    seen.clear()
    given, got, closed = ask(port, *pieces, answers=2)
    head, _, body = got.partition(b"\r\n\r\n")
    assert (given, closed, seen) == ([400], True, [])
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    assert json.loads(body)["status"] == 400


def test_an_answer_under_way_is_cut_and_not_written_into(running: Server) -> None:
    """Where a body turns out to be no HTTP once its answer has begun, nothing follows what was answered so far."""
    port, seen = running
    seen.clear()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(post(UPGRADE + CHUNKED, b"3\r\nabc\r\n").replace(b"/a", b"/early"))
        got = b""
        while not got.endswith(b"ok"):
            got += client.recv(65536)
        client.sendall(b"zz\r\n")
        assert client.recv(65536) == b""
    assert statuses(got) == [200]
    assert seen == []
