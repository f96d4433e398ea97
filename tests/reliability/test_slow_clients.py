"""Endless heads, clients that send or read next to nothing, and shutdown beside them."""

import asyncio
import json
import re
import socket
from contextlib import ExitStack

import httpx
import pytest

from tests.harness.answers import ask
from tests.harness.clock import until
from tests.harness.service import LIMIT, Service, served
from tests.harness.slow_sockets import attack_slowly

STREAM = b"GET /generate?count=1000000&unique=false&seed=1 HTTP/1.1\r\nHost: x\r\nAccept: text/plain\r\n\r\n"
POST = b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
HEADS = {
    "a header of 5 MB": b"X: " + b"a" * 5_000_000 + b"\r\n\r\n",
    "2,000 headers": b"".join(b"X-%d: 1\r\n" % k for k in range(2_000)) + b"\r\n",
    "a header that never ends": b"X: " + b"a" * 20_000,
}
UPGRADE = b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 9\r\n\r\n{"
INCOMPLETE = {
    "half a request line": (b"GET /info HT", 408),
    "half a head": (b"GET /info HTTP/1.1\r\nHost: x\r\n", 408),
    "half a body": (POST + b"Content-Length: 10\r\n\r\n{", 408),
    "half a chunk": (POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", 408),
    "an empty line": (b"\r\n", 408),
    "half a body with an upgrade to HTTP/2": (POST + UPGRADE, 408),
    "nothing": (b"", 0),
}


def connect(port: int, data: bytes, buffer: int = 4096) -> socket.socket:
    """Return a connection with a small receive buffer, on which `data` was sent."""
    client = socket.socket()
    client.settimeout(LIMIT)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.connect(("127.0.0.1", port))
    client.sendall(data)
    return client


@pytest.mark.row(3)
@pytest.mark.parametrize("rest", HEADS.values(), ids=HEADS)
def test_endless_head_is_431_or_closed(service: Service, rest: bytes) -> None:
    answer = asyncio.run(ask(service.port, [b"GET /info HTTP/1.1\r\nHost: x\r\n" + rest]))
    assert answer.status in (431, 0)


@pytest.mark.row(4)
def test_slow_clients_are_disconnected_and_others_served(service: Service) -> None:
    result = asyncio.run(attack_slowly(service.port, 50))
    assert len(result.held) == 100
    assert result.probes
    assert {answer.status for answer in result.probes} == {200}


@pytest.mark.row(4)
@pytest.mark.parametrize(("data", "status"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_incomplete_request_is_408_and_closed(service: Service, data: bytes, status: int) -> None:
    answer = asyncio.run(ask(service.port, [data]))
    assert answer.status == status
    assert not status or b"connection: close" in answer.head


@pytest.mark.row(4)
def test_unread_answer_is_cut_with_one_log_line(service: Service) -> None:
    before = len(service.lines())
    with connect(service.port, STREAM):
        service.until("a line of the log", lambda: len(service.lines()) > before)
        [line] = service.lines()[before:]
        assert '"status":200' in line


@pytest.mark.row(5)
def test_idle_connections_take_no_admission(service: Service) -> None:
    with ExitStack() as connections:
        for data in [b""] * 100 + [POST] * 100 + [STREAM] * 40:
            connections.enter_context(connect(service.port, data))
        small, large = (b"GET /generate?count=%d&seed=1 HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in (20, 2_000))
        answers = [asyncio.run(ask(service.port, [data])) for data in [small, large] * 10]
    assert [answer.status for answer in answers] == [200] * 20


def receive_until(client: socket.socket, end: bytes) -> bytes:
    data = bytearray()
    while not data.endswith(end):
        more = client.recv(65_536)
        assert more, "the connection was closed"
        data += more
    return bytes(data)


def is_open(client: socket.socket) -> bool:
    """Return whether a connection on which nothing arrives is still open, after a short wait."""
    client.settimeout(0.05)
    try:
        return client.recv(1) != b""
    except TimeoutError:
        return True


@pytest.mark.row(4)
def test_idle_connection_outlives_the_receive_timeout(service: Service) -> None:
    with connect(service.port, b"", 65_536) as client:
        for _ in range(2):
            client.sendall(b"GET /info HTTP/1.1\r\nHost: x\r\n\r\n")
            assert receive_until(client, b"}}").startswith(b"HTTP/1.1 200 ")
            # A connection without a request is closed after the receive timeout.
            with connect(service.port, b"") as silent:
                assert silent.recv(1) == b""


@pytest.mark.row(4)
def test_slow_reader_gets_the_whole_stream(service: Service) -> None:
    with connect(service.port, STREAM.replace(b"1000000", b"400000"), 65_536) as client:
        data = b""
        for _ in range(2):
            # A connection without a request is closed after two seconds, which is also the send timeout.
            with connect(service.port, b"") as silent:
                while is_open(silent):
                    data += client.recv(16_384)
        data += receive_until(client, b"\r\n0\r\n\r\n")
    assert len(re.findall(rb"[^\r]\n", data)) >= 400_000


@pytest.mark.row(4)
def test_service_stops_beside_idle_and_slow_clients() -> None:
    with served() as service, ExitStack() as connections:
        for data in (b"", POST + b"Content-Length: 10\r\n\r\n{", STREAM):
            connections.enter_context(connect(service.port, data))
        until(lambda: "\nnamewave_streams 1.0\n" in httpx.get(f"{service.address}/metrics", timeout=LIMIT).text)
        assert service.stop()[0] == 0
        assert [line for line in service.lines() if '"error"' in line or not line.startswith("{")] == []


@pytest.mark.row(4)
def test_http_1_0_stream_is_505_and_json_is_answered(service: Service) -> None:
    """Over HTTP/1.0 the end of a stream looks like a cut."""
    head = b"GET /generate?count=300&seed=5 HTTP/1.0\r\nAccept: %s\r\n\r\n"
    stream, whole = (asyncio.run(ask(service.port, [head % accept])) for accept in (b"text/plain", b"*/*"))
    assert stream.status == 505
    assert b"proxy_http_version 1.1" in stream.body
    assert whole.status == 200
    assert len(json.loads(whole.body)["names"]) == 300
