"""The gate: it refuses what is plain, and takes nothing for a request that is not one, whole."""

import asyncio
import json
import math
from typing import Any

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.connection.framing import MAX_HEADERS
from app.ledger import Ledger
from app.load.admission import Admission
from app.load.gate import LARGEST, Gate
from app.load.tally import Tally
from app.load.wicket import MOST, Wicket
from app.metrics import Metrics
from tests.app.plain_requests import BODY, HOST, PLAIN, SMALL_BODY, fill, get, post


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
    "one header too many": post(more=b"".join(b"A-%d: 1\r\n" % k for k in range(MAX_HEADERS - 1))),
    "a fragment": get(b"/generate?a=1#count=500"),
    "to be closed, as proxies say": post(more=b"Proxy-Connection: close\r\n"),
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
    loop, as long as that one draws; these, too, once their share is spent.
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
        admission.small_done += 1
        await asyncio.sleep(0)
    admission._small_from = math.inf
    assert gate.refusal(post(SMALL_BODY)) is not None
    assert (ledger.entries, admission.tally.refused["queue"]) == (7, 7)


@pytest.mark.anyio
async def test_row_13_who_draws_nothing_takes_no_place() -> None:
    """Beside two dozen small requests at each turn that draw nothing, one that would draw and comes last is let in at
    nearly every turn; when they are gone, one is let in at a turn again.
    """
    admission = Admission(1, 1.0, Tally())
    admission.add(100.0)
    wicket = Wicket(admission)
    found = []
    for _ in range(300):
        idle = [wicket.lets_in() for _ in range(24)]
        found.append(wicket.lets_in())
        admission.small_done += found[-1]
        assert idle == sorted(idle, reverse=True)
        await asyncio.sleep(0)
    assert sum(found[5:]) > 0.85 * len(found[5:])
    for _ in range(100):
        let_in = [wicket.lets_in() for _ in range(24)]
        admission.small_done += 1
        await asyncio.sleep(0)
    assert let_in == [True] + [False] * 23


@pytest.mark.anyio
async def test_row_13_not_all_are_let_in_at_a_turn() -> None:
    """However long nobody draws, no more than so many are let in at a turn; without a share, nobody."""
    admission = Admission(1, 1.0, Tally())
    admission.add(100.0)
    wicket = Wicket(admission)
    for _ in range(50):
        let_in = sum(wicket.lets_in() for _ in range(200))
        await asyncio.sleep(0)
    assert let_in == MOST
    admission._small_from = math.inf
    assert not wicket.lets_in()
