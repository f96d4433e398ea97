"""Rows 3 and 4: heads without end, clients that send or take next to nothing, and how the service stops beside them."""

import asyncio
import json
import re
import socket
import time
from contextlib import ExitStack

import pytest

from tests.harness.answers import ask
from tests.harness.service import Service, served
from tests.harness.slow_sockets import besiege

STREAM = b"GET /generate?count=1000000&unique=false&seed=1 HTTP/1.1\r\nHost: x\r\nAccept: text/plain\r\n\r\n"
POST = b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
HEADS = {
    "a header of 5 MB": b"X: " + b"a" * 5_000_000 + b"\r\n\r\n",
    "2,000 headers": b"".join(b"X-%d: 1\r\n" % k for k in range(2_000)) + b"\r\n",
    "a header that never ends": b"X: " + b"a" * 20_000,
}


@pytest.mark.parametrize("rest", HEADS.values(), ids=HEADS)
def test_row_03_heads_without_end_are_refused(attacked: Service, rest: bytes) -> None:
    """5 MB of a header, and 2,000 headers, are 431 or a closed connection, never read by the application."""
    answer = asyncio.run(ask(attacked.port, [b"GET /info HTTP/1.1\r\nHost: x\r\n" + rest], 20))
    assert answer.status in (431, 0)


def test_row_04_slow_clients_are_cut_off_and_others_never_notice(attacked: Service) -> None:
    """Fifty silent and fifty trickling clients: each is cut off when its time is over, and every probe meanwhile is
    answered with names.
    """
    told = asyncio.run(besiege(attacked.port, 50))
    assert len(told.held) == 100
    assert max(told.held) < 10
    assert [answer.status for answer in told.probes] == [200] * len(told.probes)
    assert len(told.probes) >= 10


CUT = {
    "half a request line": (b"GET /info HT", 408),
    "half a head": (b"GET /info HTTP/1.1\r\nHost: x\r\n", 408),
    "half a body": (POST + b"Content-Length: 10\r\n\r\n{", 408),
    "half a chunk": (POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", 408),
    "no second request": (b"\r\n", 408),
    "half a body and a wish for HTTP/2": (
        POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 9\r\n\r\n{",
        408,
    ),
    "nothing": (b"", 0),
}


@pytest.mark.parametrize(("data", "status"), CUT.values(), ids=CUT)
def test_row_04_what_does_not_arrive_is_told_and_closed(attacked: Service, data: bytes, status: int) -> None:
    """A request that stops half-way is 408 and a closed connection; one that never began is only closed."""
    answer = asyncio.run(ask(attacked.port, [data] if data else [], 10))
    assert answer.status == status
    if status:
        assert b"connection: close" in answer.head


def test_row_04_an_idle_connection_may_stay(attacked: Service) -> None:
    """Between two requests a connection may be idle for longer than a request may take to arrive."""
    with socket.create_connection(("127.0.0.1", attacked.port), timeout=20) as client:
        for _ in range(2):
            client.sendall(b"GET /info HTTP/1.1\r\nHost: x\r\n\r\n")
            got = b""
            while not got.endswith(b"}}"):
                got += client.recv(65_536)
            assert got.startswith(b"HTTP/1.1 200 ")
            time.sleep(4)


def test_row_04_an_answer_that_is_not_taken_is_given_up(attacked: Service) -> None:
    """A client that asks for a million names and does not read them is cut off, with one line in the log and no
    traceback.
    """
    before = len(attacked.lines())
    with socket.create_connection(("127.0.0.1", attacked.port), timeout=20) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(STREAM)
        for _ in range(600):
            if len(attacked.lines()) > before:
                break
            time.sleep(0.1)
        lines = attacked.lines()[before:]
        assert len(lines) == 1
        assert '"status":200' in lines[0]


def test_row_04_a_slow_reader_gets_everything(attacked: Service) -> None:
    """A client that rests for a second again and again, but takes its answer, is not cut off."""
    with socket.create_connection(("127.0.0.1", attacked.port), timeout=20) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.sendall(STREAM.replace(b"1000000", b"200000"))
        got = bytearray()
        for rest in (1, 1, 1, 1, 0):
            time.sleep(rest)
            enough = len(got) + 100_000
            while (len(got) < enough or not rest) and not got.endswith(b"\r\n0\r\n\r\n"):
                data = client.recv(65_536)
                assert data
                got += data
    assert len(re.findall(rb"[^\r]\n", got)) >= 200_000


def test_row_05_sockets_without_work_use_up_no_admission(attacked: Service) -> None:
    """Beside a hundred idle connections, a hundred that sent half a request and forty streams of a million names that
    nobody reads, every ordinary request is answered: none is 503.
    """
    with ExitStack() as held:
        for data in [b""] * 100 + [POST] * 100 + [STREAM] * 40:
            client = held.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", attacked.port))
            client.sendall(data)
        small, large = (b"GET /generate?count=%d&seed=1 HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in (20, 2_000))
        answers = [asyncio.run(ask(attacked.port, [data], 20)) for data in [small, large] * 10]
    assert [answer.status for answer in answers] == [200] * 20


def test_row_04_the_service_stops_beside_clients_that_do_nothing() -> None:
    """SIGTERM beside an unread stream, half a request and an idle connection: status 0 in the time of grace, and every
    line of the log is an event, none an error.
    """
    with served() as service:
        clients = [socket.create_connection(("127.0.0.1", service.port), timeout=20) for _ in range(3)]
        clients[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        clients[0].sendall(STREAM)
        clients[1].sendall(POST + b"Content-Length: 10\r\n\r\n{")
        time.sleep(1)
        status, seconds = service.stop()
        lines = service.lines()
        for client in clients:
            client.close()
    assert status == 0
    assert seconds < 10
    assert [line for line in lines if '"error"' in line or not line.startswith("{")] == []


@pytest.mark.row(4)
def test_http_1_0_stream_is_505_and_json_is_answered(attacked: Service) -> None:
    """Over HTTP/1.0 the end of a stream cannot be told from a cut."""
    head = b"GET /generate?count=300&seed=5 HTTP/1.0\r\nAccept: %s\r\n\r\n"
    stream, whole = (asyncio.run(ask(attacked.port, [head % accept], 60)) for accept in (b"text/plain", b"*/*"))
    assert stream.status == 505
    assert b"proxy_http_version 1.1" in stream.body
    assert whole.status == 200
    assert len(json.loads(whole.body)["names"]) == 300
