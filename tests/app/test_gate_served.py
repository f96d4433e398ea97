"""The gate behind a real connection: what it refuses is what the doors refuse, byte for byte."""

import math
import re
import socket
import time
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from app.connection.protocol import HttpProtocol
from app.settings import Settings
from tests.app.plain_requests import PLAIN, fill, get, post
from tests.app.running import Running, until


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


def test_row_13_the_gate_tells_caches_of_other_origins(settings: Settings) -> None:
    """Where pages of other origins may ask, the gate's answer says that others depend on that, as the door's does."""
    with Served(settings.model_copy(update={"cors_origins": ["https://a.example"]})) as made:
        fill(made.state["service"].admission)
        [quick], [slow] = made.answers(post()), made.answers(post()[:20], post()[20:])
    assert b"\r\nvary: Origin\r\n" in quick
    assert told(quick) == told(slow)


def test_row_13_judging_and_looking_ahead_keep_a_share(settings: Settings) -> None:
    """While there is more to do than can be done, and many names are refused, a name to judge or a prefix to go on with
    is answered; not when such requests have used up their share.
    """
    judge = post(b'{"dataset":"elves","names":["Aria"]}', b"Content-Type: application/json\r\n", b"/score")
    for small in (get(b"/next?dataset=elves&prefix=a"), judge):
        with Served(settings) as made:
            fill(made.state["service"].admission)
            made.state["service"].admission._small_from = -math.inf
            answers = made.answers(get(b"/generate?dataset=elves&count=500"), small, number=2)
            made.state["service"].admission._small_from = math.inf
            answers += made.answers(small)
            assert [int(answer[9:12]) for answer in answers] == [503, 200, 503]


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
