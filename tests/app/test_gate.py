"""The gate: what it refuses is what the doors refuse, byte for byte, and it takes nothing for a request that is not
one, whole.
"""

import asyncio
import json
import math
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from app.connection.protocol import HttpProtocol
from app.ledger import Ledger
from app.load.admission import Admission
from app.load.gate import LARGEST, Gate
from app.load.tally import Tally
from app.metrics import Metrics
from app.settings import Settings
from tests.app.running import Running, until

HOST = b"Host: x\r\n"
BODY = json.dumps({"dataset": "elves", "count": 500}).encode()
SMALL_BODY = json.dumps({"dataset": "elves", "count": 5}).encode()


def post(body: bytes = BODY, more: bytes = b"", path: bytes = b"/generate") -> bytes:
    """A plain request."""
    return b"POST %b HTTP/1.1\r\n%b%bContent-Length: %d\r\n\r\n%b" % (path, HOST, more, len(body), body)


def get(address: bytes, more: bytes = b"") -> bytes:
    """A plain link."""
    return b"GET %b HTTP/1.1\r\n%b%b\r\n" % (address, HOST, more)


def fill(admission: Admission) -> None:
    """Leave no room, not even for small requests."""
    admission.add(100.0)
    admission._calm -= 10
    admission._small_from = math.inf


class Quiet(Ledger):
    """A ledger that only counts."""

    entries = 0

    def enter_soon(self, *entry: Any) -> None:
        self.entries += 1


@pytest.fixture(scope="module")
def gate() -> Gate:
    """The gate of a service that is full."""
    admission = Admission(1, 1.0, Tally())
    fill(admission)
    return Gate(admission, Quiet(Metrics("1")))


PLAIN = {
    "body": post(),
    "no body": get(b"/generate?count=5"),
    "no query": get(b"/next"),
    "names to judge": post(b'{"names":["a"]}', path=b"/score"),
    "no JSON": post(b"\0\xff"),
    "an id": post(more=b"X-Request-ID: a.b-C_1\r\n"),
    "a harmful id": post(more=b"X-Request-ID: a b\r\n"),
    "an address": post(more=b"X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n"),
    "kept alive": post(more=b"Connection: Keep-Alive\r\n"),
    "an empty header": post(more=b"Accept:\r\n"),
}
UNUSUAL = {
    "another method": b"PUT" + post()[4:],
    "head": b"HEAD" + get(b"/generate")[3:],
    "another address": post(path=b"/generate/"),
    "an address that is spelled otherwise": post(path=b"/gener%61te"),
    "a whole address": post(path=b"http://x/generate"),
    "health": get(b"/health/live"),
    "HTTP/1.0": post().replace(b"HTTP/1.1", b"HTTP/1.0"),
    "no host": post().replace(HOST, b""),
    "two hosts": post(more=HOST),
    "two lengths": post(more=b"Content-Length: 1\r\n"),
    "no headers": b"GET /next HTTP/1.1\r\n\r\n",
    "a signed length": post().replace(b"Length: ", b"Length: +"),
    "chunks": post(more=b"Transfer-Encoding: chunked\r\n"),
    "to be closed": post(more=b"Connection: close\r\n"),
    "another protocol": post(more=b"Upgrade: h2c\r\nConnection: upgrade\r\n"),
    "what waits to go on": post(more=b"Expect: 100-continue\r\n"),
    "a page of another origin": post(more=b"Origin: http://y\r\n"),
    "a folded header": post(more=b"A: b\r\n c\r\n"),
    "a blank in a name": post(more=b"A : b\r\n"),
    "a bare line feed": post().replace(b"\r\n", b"\n"),
    "a control character": post(more=b"A: \x0b\r\n"),
    "less than all": post()[:-1],
    "only a head": post()[: -len(BODY)],
    "half a head": post()[:30],
    "more than one": post() + post(),
    "one and a line": post() + b"\r\n",
    "a line and one": b"\r\n" + post(),
    "nothing": b"",
    "too large": post(b"a" * LARGEST),
}


@pytest.mark.parametrize("data", PLAIN.values(), ids=PLAIN)
def test_row_13_the_gate_refuses_what_is_plain(gate: Gate, data: bytes) -> None:
    """A plain request to draw is refused by a service that is full."""
    answer = gate.refusal(data)
    assert answer is not None
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\nretry-after: " in b"\r\n" + head
    assert json.loads(body)["status"] == 503


@pytest.mark.parametrize("data", UNUSUAL.values(), ids=UNUSUAL)
def test_row_13_the_gate_leaves_the_rest_to_be_understood(gate: Gate, data: bytes) -> None:
    """What is unusual, not whole or not to draw passes the gate, however full the service is."""
    assert gate.refusal(data) is None


class Read:
    """What a parser finds in some bytes."""

    def __init__(self, data: bytes) -> None:
        self.begun = self.ended = 0
        self.url = self.body = b""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        """Count it."""
        self.begun += 1

    def on_url(self, url: bytes) -> None:
        """Keep it."""
        self.url += url

    def on_body(self, body: bytes) -> None:
        """Keep it."""
        self.body += body

    def on_message_complete(self) -> None:
        """Count it."""
        self.ended += 1


HEADERS = [
    HOST,
    b"host:y\r\n",
    b"Accept: */*\r\n",
    b"A:\r\n",
    b"A_B: 1\r\n",
    b"A: \xff\r\n",
    b"\r\n",
    b" b\r\n",
    b"A\r\n",
]
HEADERS += [b"Content-Length: 5\r\n", b"content-length:0\r\n", b"Content-Length: 4 \r\n", b"Content-Length: 5\n"]
HEADERS += [b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Upgrade: h2c\r\n", b"TE: x\r\n"]
REQUESTS = st.builds(
    lambda start, headers, *rest: b"".join([start, HOST, *headers, *rest]),
    st.sampled_from([b"POST /generate HTTP/1.1\r\n", b"GET /next?a=1 HTTP/1.1\r\n", b"POST /score HTTP/1.1\n"]),
    st.lists(st.sampled_from(HEADERS), max_size=3),
    st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b""]),
    st.sampled_from([b"", b"12345", b"1234", b"0\r\n\r\n", b"\r\n"]),
    st.sampled_from([b"", b"", b"\r\n", b"GET", b"POST /generate HTTP/1.1\r\nHost: x\r\n\r\n"]),
)


SPOILT = st.builds(lambda at, more: post()[:at] + more + post()[at:], st.integers(0, 99), st.binary(max_size=3))


@settings(max_examples=500)
@given(REQUESTS | SPOILT | st.binary(max_size=60))
def test_row_6_the_gate_reads_as_the_parser_does(gate: Gate, data: bytes) -> None:
    """Whatever bytes come: what the gate refuses is to the parser one request, whole, with nothing behind it, on a
    connection that stays open.
    """
    if gate.refusal(data) is None:
        return
    read = Read(data)
    assert (read.begun, read.ended) == (1, 1)
    assert data.endswith(b"\r\n\r\n" + read.body)
    assert read.url.split(b"?")[0] in (b"/generate", b"/next", b"/score")
    assert read.parser.should_keep_alive()
    assert not read.parser.should_upgrade()


@pytest.mark.anyio
async def test_row_13_the_gate_is_open_while_there_is_room() -> None:
    """Without a queue nothing is refused; with one, who asks for many, and all small ones but one in each turn of the
    loop; these, too, once their share is spent.
    """
    admission = Admission(1, 1.0, Tally())
    ledger = Quiet(Metrics("1"))
    gate = Gate(admission, ledger)
    assert gate.refusal(post()) is None
    admission.add(100.0)
    admission._calm -= 10
    for many in (post(), get(b"/generate?count=500")):
        assert gate.refusal(many) is not None
    for few in (post(SMALL_BODY), get(b"/generate?count=5"), post(path=b"/score"), get(b"/next?count=500")):
        assert gate.refusal(few) is None
        assert gate.refusal(few) is not None
        await asyncio.sleep(0)
    admission._small_from = math.inf
    assert gate.refusal(post(SMALL_BODY)) is not None
    assert (ledger.entries, admission.tally.refused["queue"]) == (7, 7)


class Served(Running):
    """The service, with its own way to read HTTP."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, HttpProtocol)

    def answers(self, *pieces: bytes, number: int = 1) -> list[bytes]:
        """What comes for these pieces, each sent by itself: so many answers, of one connection."""
        got: list[bytes] = []
        with socket.create_connection(self.listener.getsockname(), timeout=20) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream = client.makefile("rb")
            for piece in pieces:
                client.sendall(piece)
                time.sleep(0.02)
            for _ in range(number):
                head = b"".join(iter(stream.readline, b"\r\n"))
                length = re.search(rb"content-length: (\d+)", head)
                assert length is not None
                got.append(head + stream.read(int(length[1])))
        return got


@pytest.fixture
def served(settings: Settings) -> Iterator[Served]:
    """A service that is full."""
    with Served(settings) as made:
        fill(made.state["service"].admission)
        yield made


def told(answer: bytes) -> bytes:
    """An answer without what no two have in common."""
    return re.sub(rb"(date|x-request-id): [^\r]*", rb"\1", answer)


@pytest.mark.parametrize("data", PLAIN.values(), ids=PLAIN)
def test_row_13_the_gate_answers_as_the_door_does(served: Served, data: bytes) -> None:
    """Whole, a request is refused at the gate, without a task; in two pieces it is understood, and refused at the door:
    the answers are the same but for their ids, and so is what is logged and counted.
    """
    with capture_logs() as log:
        [quick] = served.answers(data)
        until(lambda: bool(log))
        [slow] = served.answers(data[:20], data[20:])
        until(lambda: len(log) == 2)
    assert told(quick) == told(slow)
    assert quick.startswith(b"HTTP/1.1 503 ")
    first, second = log
    assert first["request_id"].encode() in quick
    for line in log:
        assert line.pop("request_id")
        assert line.pop("milliseconds") >= 0
    assert first == second
    written = served.state["service"].metrics.exposition("")[0].decode()
    assert 'namewave_requests_refused_total{reason="overload"} 2.0' in written
    assert f'namewave_requests_total{{route="{first["route"]}",status="503"}} 2.0' in written


def test_row_13_a_connection_outlives_its_refusals(served: Served) -> None:
    """On one connection: refused at the gate, answered, refused in two pieces, refused at the gate twice at once,
    answered; whatever was before does not change what comes.
    """
    health = get(b"/health/live")
    pieces = [post(), health, post()[:9], post()[9:], post(), post() + post(), health]
    answers = served.answers(*pieces, number=7)
    assert [int(answer[9:12]) for answer in answers] == [503, 200, 503, 503, 503, 503, 200]
    assert len({told(answer) for answer in answers if answer.startswith(b"HTTP/1.1 503")}) == 1


def test_row_13_the_gate_makes_no_task(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal at the gate starts nothing that the application would have to do."""
    started: list[object] = []
    monkeypatch.setattr(HttpProtocol, "_start_asgi_task", lambda *arguments: started.append(arguments))
    [answer] = served.answers(post())
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert started == []


def test_row_6_no_body_is_taken_for_a_request(served: Served) -> None:
    """A body that is itself a plain request, and comes by itself, is a body: it gets no answer of its own."""
    inner = post()
    outer = post(inner)
    answers = served.answers(outer.removesuffix(inner), inner, get(b"/health/live"), number=2)
    assert [int(answer[9:12]) for answer in answers] == [503, 200]


def test_row_13_who_does_not_read_is_not_written_to_without_end(served: Served) -> None:
    """While a client's answers wait because it does not read, it gets no more from the gate; later it is answered."""
    with socket.create_connection(served.listener.getsockname(), timeout=20) as client:
        client.sendall(post())
        assert client.recv(65536).startswith(b"HTTP/1.1 503 ")
        [protocol] = served.server.server_state.connections
        assert isinstance(protocol, HttpProtocol)
        before, refused = protocol.packing.written, served.state["service"].admission.tally.refused
        protocol.loop.call_soon_threadsafe(protocol.flow.pause_writing)
        until(lambda: protocol.flow.write_paused)
        client.sendall(post())
        until(lambda: refused["queue"] == 2)
        assert protocol.packing.written == before
        protocol.loop.call_soon_threadsafe(protocol.flow.resume_writing)
        assert client.recv(65536).startswith(b"HTTP/1.1 503 ")


def test_row_13_a_refusal_keeps_the_connection_as_an_answer_does(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time without requests after which a connection is closed begins anew with each refusal."""
    with socket.create_connection(served.listener.getsockname(), timeout=20) as client:
        client.sendall(post())
        client.recv(65536)
        [protocol] = served.server.server_state.connections
        assert isinstance(protocol, HttpProtocol)
        timer = protocol.timeout_keep_alive_task
        assert timer is not None
        assert protocol.turned_away == -math.inf
        client.sendall(post())
        client.recv(65536)
        until(lambda: protocol.turned_away > 0)
        assert protocol.timeout_keep_alive_task is timer
        protocol.loop.call_soon_threadsafe(protocol.timeout_keep_alive_handler)
        until(lambda: protocol.timeout_keep_alive_task is not timer)
        timer.cancel()
        later = protocol.timeout_keep_alive_task
        assert later is not None
        assert later.when() == pytest.approx(protocol.turned_away + protocol.timeout_keep_alive, abs=0.1)
        monkeypatch.setattr(protocol, "timeout_keep_alive", 0)
        protocol.loop.call_soon_threadsafe(protocol.timeout_keep_alive_handler)
        assert client.recv(65536) == b""


def test_row_24_traces_go_past_the_gate(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each request is a span, none is refused before there is one."""
    monkeypatch.setattr("app.main.telemetry_of", lambda settings: {})
    with Served(settings.model_copy(update={"telemetry": True})) as made:
        assert made.state["gate"] is None
