"""Streams come whole, tell their end, close what they opened, and say when they broke."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from namewave_client import InvalidRequest, NameDetail, StreamBroken, StreamNotThere, TimedOut, UnreadableAnswer
from namewave_client.name_lines import LONGEST_LINE, NameLines, name_of

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n"
    b"Namewave-Model: human/lstm@4\r\nNamewave-Seed: 7\r\nNamewave-Offset: 30\r\nNamewave-Dataset: human\r\n\r\n"
)
TWO = '{"name":"Anna"}\n{"name":"Élodie\u2028\u0085"}\n'.encode()
END = b'{"end":{"complete":true,"attempts":3,"next_offset":33,"refused":{"novel":1},"news":[1]},"more":0}\n'


def chunk(content: bytes) -> bytes:
    """A piece of a body, as chunked transfer writes it."""
    return b"%x\r\n%s\r\n" % (len(content), content)


class Speaker:
    """A server of one connection that says what it was given. `closed` is set once its client has gone."""

    def __init__(self, said: bytes, stays: bool) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.closed = threading.Event()
        self.thread = threading.Thread(target=self._speak, args=(said, stays))
        self.thread.start()

    def _speak(self, said: bytes, stays: bool) -> None:
        connection, _ = self.listener.accept()
        with connection:
            asked = b""
            while not (found := re.search(rb"(?i)content-length: (\d+)(?s:.*?)\r\n\r\n(?s:(.*))", asked)) or len(
                found[2]
            ) < int(found[1]):
                asked += connection.recv(65536)
            connection.sendall(said)
            connection.settimeout(30)
            if stays and connection.recv(1) == b"":
                self.closed.set()


@pytest.fixture
def speaker() -> Iterator[Callable[..., Speaker]]:
    """Start such a server."""
    made: list[Speaker] = []

    def start(said: bytes, stays: bool = False) -> Speaker:
        made.append(Speaker(said, stays))
        return made[-1]

    yield start
    for one in made:
        one.thread.join(60)
        one.listener.close()
        assert not one.thread.is_alive()


def test_two_hundred_thousand_names(client: Any, address: str) -> None:
    """A long stream has the names of plain HTTP, holds a piece of them at a time, and tells head and end."""
    options = {"count": 200_000, "unique": False, "seed": 5, "offset": 9, "model": "bigram", "max_length": 8}
    plain = httpx.post(
        f"{address}/generate", json=options, headers={"accept": "application/x-ndjson"}, timeout=60
    ).text.splitlines()
    names, most = [], 0
    with client.stream(**options) as stream:
        for name in stream:
            names.append(name)
            most = max(most, len(lines_of(stream).waiting))
    assert names == [json.loads(line)["name"] for line in plain[:-1]]
    assert len(names) == 200_000
    assert most < 20_000
    end = json.loads(plain[-1])["end"]
    assert (stream.head.model, stream.head.seed, stream.head.offset) == ("human/bigram@3", 5, 9)
    assert stream.head.dataset == "human"
    assert {name: getattr(stream.end, name) for name in end} == end
    assert stream.end.attempts > 200_000


def lines_of(stream: Any) -> NameLines[Any]:
    """The part of a stream that holds names; of an async one, that of the stream behind its face."""
    lines = stream._lines
    assert isinstance(lines, NameLines)
    return lines


def test_details_stream(client: Any) -> None:
    """With details the items are those of a batch."""
    options = {"count": 20, "seed": 5, "dataset": {"human": 0.6, "animal": 0.4}}
    items = list(client.stream(details=True, **options))
    assert all(isinstance(item, NameDetail) for item in items)
    assert tuple(items) == client.generate(details=True, **options).details


def test_a_shortfall_is_no_error(client: Any) -> None:
    """A stream that ran out of attempts ends, and says so."""
    stream = client.stream(count=1000, max_attempts=50, max_length=3, seed=1)
    names = list(stream)
    assert not stream.end.complete
    assert stream.end.attempts == 50
    assert stream.end.refused["max_length"] + stream.end.refused["unique"] == 50 - len(names)
    assert list(stream) == []


def test_a_stream_without_a_seed_tells_one(client: Any) -> None:
    """The seed that was drawn is in the head, and gives the same names again."""
    stream = client.stream(count=5)
    names = list(stream)
    assert client.generate(count=5, seed=stream.head.seed).names == tuple(names)


def test_head_and_end_have_their_time(client: Any) -> None:
    """Head and end are refused before they came; a refusal of the service comes with the first name."""
    with client.stream(count=2, seed=1) as stream:
        with pytest.raises(StreamNotThere, match="not begun"):
            _ = stream.head
        next(stream)
        assert stream.head.seed == 1
    with client.stream(count=50_000, seed=1) as stream, pytest.raises(InvalidRequest, match="unique"):
        next(stream)


def test_leaving_early_closes(client: Any, connect: Callable[..., Any], speaker: Callable[..., Speaker]) -> None:
    """Leaving `with`, and `close`, close the connection; names after that are refused, and the client goes on."""
    for leave in (lambda stream: stream.close(), lambda stream: stream.__exit__(None, None, None)):
        server = speaker(HEAD + chunk(TWO[:-1]), stays=True)
        stream = connect(server.address).stream()
        assert next(stream) == "Anna"
        assert not server.closed.is_set()
        leave(stream)
        assert server.closed.wait(30)
        with pytest.raises(StreamNotThere, match="closed before its end"):
            next(stream)
        with pytest.raises(StreamNotThere, match="not ended"):
            _ = stream.end
    with client.stream(count=1_000_000, unique=False, seed=3) as stream:
        first = [next(stream) for _ in range(3)]
    assert client.generate(count=3, seed=3, unique=False).names == tuple(first)


@pytest.mark.parametrize("said", [chunk(TWO), chunk(TWO) + b"ff\r\n{", chunk(TWO) + b"0\r\n\r\n"], ids=repr)
def test_a_broken_stream_is_told(connect: Callable[..., Any], speaker: Callable[..., Speaker], said: bytes) -> None:
    """Cut off, or ended without its end record, a stream raises once its names are out, and says how to go on."""
    server = speaker(HEAD + said)
    waits: list[float] = []
    stream = connect(server.address, waits=waits).stream()
    names = [next(stream), next(stream)]
    with pytest.raises(StreamBroken, match=r"after 2 names.*seed=7, offset=30 and model='human/lstm@4'") as broken:
        next(stream)
    assert names == ["Anna", "Élodie\u2028\u0085"]
    assert broken.value.received == 2
    # Which candidate came last is not known: nothing is asked again.
    assert waits == []


def test_a_stream_that_falls_silent_is_broken(connect: Callable[..., Any], speaker: Callable[..., Speaker]) -> None:
    """After `timeout` seconds without a byte a stream counts as broken, before its head as timed out; both close."""
    server = speaker(HEAD + chunk(TWO), stays=True)
    stream = connect(server.address, timeout=0.2).stream()
    assert [next(stream), next(stream)][0] == "Anna"
    with pytest.raises(StreamBroken, match=r"timed out|ReadTimeout"):
        next(stream)
    assert server.closed.wait(30)
    server = speaker(b"", stays=True)
    with pytest.raises(TimedOut):
        next(connect(server.address, timeout=0.2).stream())
    assert server.closed.wait(30)


def test_the_end_is_enough(connect: Callable[..., Any], speaker: Callable[..., Speaker]) -> None:
    """A connection that breaks after the end record took nothing away; fields that nobody knows are passed over."""
    stream = connect(speaker(HEAD + chunk(TWO) + chunk(END)).address).stream()
    assert len(list(stream)) == 2
    assert (stream.end.complete, stream.end.next_offset, stream.end.refused) == (True, 33, {"novel": 1})


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        HEAD + chunk(b"<html>\n"),
        HEAD + chunk(b'{"nom":"Anna"}\n'),
        HEAD + chunk(END + TWO),
        HEAD + chunk(b"[]\n"),
    ],
    ids=repr,
)
def test_what_is_no_stream_is_told(connect: Callable[..., Any], speaker: Callable[..., Speaker], said: bytes) -> None:
    """Other answers than a stream of names are unreadable, and are not asked for again."""
    with pytest.raises(UnreadableAnswer):
        list(connect(speaker(said, stays=True).address).stream())


def test_lines_are_cut_anywhere() -> None:
    """However the bytes are cut, the names are the same."""
    whole = TWO + END
    for cut in range(len(whole) + 1):
        lines = NameLines(name_of)
        lines.feed(whole[:cut])
        lines.feed(whole[cut:])
        assert list(lines.waiting) == ["Anna", "Élodie\u2028\u0085"]
        assert lines.end.attempts == 3


def test_a_line_without_end_is_refused() -> None:
    """Bytes without an end of a line do not gather for ever."""
    lines = NameLines(name_of)
    for _ in range(4):
        lines.feed(b"x" * (LONGEST_LINE // 4))
    with pytest.raises(UnreadableAnswer, match="longer"):
        lines.feed(b"x")
