"""Both clients over mock transports: streams, closing, retries, waits and deadlines. No test sleeps."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from email.utils import formatdate
from random import Random
from typing import Any

import httpx
import pytest

from namewave_client import Retries, errors
from namewave_client.name_lines import LONGEST_LINE, LineParser, name_of
from namewave_client.retries import retry_after

NOW = 1_800_000_000.0
# An answer of a newer service: with unknown fields and without optional ones.
BATCH = json.loads(
    '{"dataset": "human", "model": "human/lstm@4", "seed": 1, "offset": 0, "next_offset": 1, "temperature": 1.0,'
    ' "complete": true, "attempts": 1, "names": ["Anna"], "of_a_newer_service": {"x": [1]}}'
)
SEEDLESS = {key: BATCH[key] for key in BATCH if key != "seed"}
HEADERS = {"namewave-model": "human/lstm@4", "namewave-seed": "7", "namewave-offset": "30"}
NAMES = ["Anna", "Élodie\u2028\u0085"]
TWO = '{"name":"Anna"}\n{"name":"Élodie\u2028\u0085"}\n'.encode()
END = b'{"end":{"complete":true,"attempts":3,"next_offset":33,"refused":{"novel":1},"news":[1]},"more":0}\n'
BATCH_AND_STREAM = pytest.mark.parametrize(
    "ask", [lambda client: client.generate(), lambda client: list(client.stream())], ids=["batch", "stream"]
)
Factory = Callable[..., Any]


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A response body of given pieces that counts the sent ones; an exception among them is raised."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces, self.sent, self.closed = pieces, 0, False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            self.sent += 1
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


Answer = httpx.Response | Exception | Body


def failure(status: int, **headers: str) -> httpx.Response:
    problem = {"type": "about:blank", "title": "T", "status": status, "detail": "D.", "errors": [], "more": 1}
    return httpx.Response(status, json=problem, headers={"content-type": "application/problem+json"} | headers)


class Service:
    """A transport handler that gives one answer after the other and records the requests."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.asked = list(answers), list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        given = self.answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return httpx.Response(200, headers=HEADERS, stream=given) if isinstance(given, Body) else given


class Upper(Random):
    """Draws the longest wait that the jitter allows."""

    def uniform(self, a: float, b: float) -> float:
        return b


@pytest.fixture
def over(connect: Factory, waits: list[float]) -> Factory:
    """Return a factory of clients over a `Service`, with fixed randomness and clocks."""
    fixed = {"random": Upper(1), "monotonic": lambda: sum(waits), "now": lambda: NOW}
    return lambda service, **arguments: connect(transport=httpx.MockTransport(service), **(fixed | arguments))


@pytest.mark.parametrize(
    "failed",
    [
        lambda: failure(429),
        lambda: failure(503),
        lambda: httpx.ConnectError("refused"),
        lambda: httpx.ConnectTimeout("slow"),
        lambda: httpx.ReadError("reset"),
        lambda: httpx.RemoteProtocolError("cut"),
    ],
)
def test_transient_errors_are_retried_with_doubling_waits(over: Factory, waits: list[float], failed: Factory) -> None:
    assert over(Service(failed(), failed(), failed(), httpx.Response(200, json=BATCH))).generate().names == ("Anna",)
    assert waits == [0.25, 0.5, 1.0]
    waits.clear()
    assert list(over(Service(failed(), Body(TWO, END))).stream()) == NAMES
    assert waits == [0.25]


@BATCH_AND_STREAM
def test_every_attempt_of_a_request_has_the_same_seed(over: Factory, ask: Factory) -> None:
    service = Service(failure(503), httpx.ReadError("reset"), failure(503), failure(404), failure(404))
    client = over(service)
    for _ in range(2):
        with pytest.raises(errors.NotFound):
            ask(client)
    first, *same, other = [json.loads(request.content) for request in service.asked]
    assert same == [first] * 3
    assert 0 <= first["seed"] < 2**53
    assert first["seed"] != other["seed"]


def test_retries_are_bounded_in_number_and_wait(over: Factory, waits: list[float]) -> None:
    service = Service(*[failure(503) for _ in range(9)])
    with pytest.raises(errors.Unavailable) as last:
        over(service, retries=Retries(most=5, first_wait=1, longest_wait=3)).generate()
    assert waits == [1, 2, 3, 3, 3]
    assert len(service.asked) == 6
    assert last.value.problem.detail == "D."
    with pytest.raises(errors.NoAnswer, match="refused"):
        over(Service(httpx.ConnectError("refused")), retries=Retries(most=0)).info()


def test_no_wait_passes_the_deadline(over: Factory, waits: list[float]) -> None:
    service = Service(*[failure(503) for _ in range(99)])
    with pytest.raises(errors.Unavailable):
        over(service, retries=Retries(most=99, first_wait=1, longest_wait=99, deadline=10)).generate()
    assert waits == [1, 2, 4]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(header, 7.0) for header in ("7", " 7 ", formatdate(NOW + 7, usegmt=True), formatdate(NOW + 7))]
    + [(header, 0.0) for header in ("0", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994")]
    + [(header, None) for header in ("", "soon", "-3", "1e3", "٣", "9" * 400, "Fri, 99 Foo 2026 99:99:99 GMT")],
)
def test_retry_after_header_parsing(header: str, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("header", ["7", formatdate(NOW + 7, usegmt=True)])
def test_wait_is_retry_after_plus_jitter(over: Factory, waits: list[float], status: int, header: str) -> None:
    """The jitter keeps clients from returning all at once."""
    over(Service(failure(status, **{"retry-after": header}), httpx.Response(200, json=BATCH))).generate()
    assert waits == [7.25]


def test_retry_after_beyond_the_deadline_raises_at_once(over: Factory, waits: list[float]) -> None:
    with pytest.raises(errors.TooManyRequests) as refused:
        over(Service(failure(429, **{"retry-after": "3600"}))).generate()
    assert waits == []
    assert refused.value.retry_after == 3600


def test_jitter_is_uniform_from_zero() -> None:
    random = Random(5)
    drawn = [Retries(first_wait=1, longest_wait=64).wait(3, random) for _ in range(2000)]
    assert 0 <= min(drawn) < 0.1
    assert 7.9 < max(drawn) <= 8
    assert sum(drawn) / 2000 == pytest.approx(4, abs=0.3)
    assert Retries().wait(10_000, Upper()) == Retries().longest_wait


def test_negative_deadline_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        Retries(deadline=-1)


@BATCH_AND_STREAM
@pytest.mark.parametrize(
    ("failed", "kind"),
    [
        (lambda: failure(400), errors.InvalidRequest),
        (lambda: failure(401), errors.Forbidden),
        (lambda: failure(404), errors.NotFound),
        (lambda: failure(413), errors.InvalidRequest),
        (lambda: failure(422), errors.InvalidRequest),
        (lambda: failure(500), errors.ServerFault),
        (lambda: httpx.Response(502, html="<h1>Bad</h1>"), errors.ServerFault),
        (lambda: httpx.Response(302, headers={"location": "http://elsewhere/"}), errors.Refused),
        (lambda: httpx.Response(599), errors.ServerFault),
        (lambda: httpx.ReadTimeout("slow"), errors.TimedOut),
        (lambda: httpx.PoolTimeout("full"), errors.TimedOut),
        (lambda: httpx.UnsupportedProtocol("odd"), errors.NoAnswer),
        (lambda: httpx.Response(200, html="<h1>Welcome</h1>"), errors.UnreadableAnswer),
        (lambda: httpx.Response(200, json=[]), errors.UnreadableAnswer),
        (lambda: httpx.Response(200, json=BATCH | {"seed": "one"}), errors.UnreadableAnswer),
        (lambda: httpx.Response(200, json=SEEDLESS), errors.UnreadableAnswer),
        (lambda: httpx.Response(200, content=b"[" * 100_000), errors.UnreadableAnswer),
    ],
)
def test_permanent_errors_are_raised_without_retry(
    over: Factory, waits: list[float], ask: Factory, failed: Factory, kind: type[Exception]
) -> None:
    service = Service(failed())
    with pytest.raises(kind) as error:
        ask(over(service))
    assert error.type is kind
    assert waits == []
    assert len(service.asked) == 1


def test_503_of_readiness_is_retried_from_a_proxy_only(over: Factory, waits: list[float]) -> None:
    health = {"status": "unavailable", "problems": ["human: no default"], "refused": {}, "since": 5}
    ready = over(Service(httpx.Response(503, json=health))).ready()
    assert (ready.ok, ready.problems, waits) == (False, ("human: no default",), [])
    over(Service(httpx.Response(503, html="busy"), httpx.Response(200, json={"status": "ok"}))).ready()
    assert waits == [0.25]


def test_requests_carry_the_client_settings_and_given_options(over: Factory) -> None:
    service = Service(httpx.Response(200, json=BATCH), httpx.Response(200, json={"version": "1"}))
    client = over(service, api_key="a-key", timeout=7, base_url="http://test/names/")
    client.generate(seed=1, prefix=None, safe=False, count=2)
    client.info()
    urls = [str(request.url) for request in service.asked]
    assert urls == ["http://test/names/generate", "http://test/names/info"]
    assert all(request.extensions["timeout"]["read"] == 7 for request in service.asked)
    assert {request.headers["authorization"] for request in service.asked} == {"Bearer a-key"}
    assert all(request.headers["user-agent"].startswith("namewave-client/") for request in service.asked)
    assert json.loads(service.asked[0].content) == {"seed": 1, "safe": False, "count": 2}


@pytest.mark.parametrize("address", ["localhost:8000", "ftp://names", "http://", "", "http://x:y"])
def test_invalid_base_url_is_refused_by_the_constructor(connect: Factory, address: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        connect(address)


def test_stream_buffers_at_most_one_piece(over: Factory) -> None:
    body = Body(*[b'{"name":"Anna"}\n' * 100] * 50, END)
    for received, _ in enumerate(over(Service(body)).stream()):
        assert body.sent == received // 100 + 1
    assert received == 4_999


@pytest.mark.parametrize(
    "leave", [lambda stream: stream.close(), lambda stream: stream.__exit__(None, None, None)], ids=["close", "exit"]
)
def test_leaving_early_closes_the_connection(over: Factory, leave: Callable[[Any], None]) -> None:
    body = Body(b'{"name":"Anna"}\n', TWO, END)
    stream = over(Service(body)).stream()
    assert next(stream) == "Anna"
    assert not body.closed
    leave(stream)
    assert body.closed
    with pytest.raises(errors.StreamNotThere, match="closed before its end"):
        next(stream)
    with pytest.raises(errors.StreamNotThere, match="not ended"):
        _ = stream.end


@pytest.mark.parametrize(
    "rest", [[], [httpx.RemoteProtocolError("cut")], [b"{", httpx.ReadError("reset")], [httpx.ReadTimeout("silent")]]
)
def test_broken_stream_raises_after_its_names_without_retry(over: Factory, waits: list[float], rest: list[Any]) -> None:
    """A retry is impossible because the last candidate is unknown; the error says how to continue."""
    body = Body(TWO, *rest)
    stream = over(Service(body)).stream()
    assert [next(stream), next(stream)] == NAMES
    message = r"after 2 names.*seed=7, offset=30 and model='human/lstm@4'"
    with pytest.raises(errors.StreamBroken, match=message) as broken:
        next(stream)
    assert broken.value.received == 2
    assert body.closed
    assert waits == []


def test_break_after_the_end_record_is_no_error(over: Factory) -> None:
    stream = over(Service(Body(TWO, END, httpx.RemoteProtocolError("cut")))).stream()
    assert list(stream) == NAMES
    assert (stream.end.complete, stream.end.next_offset, stream.end.refused) == (True, 33, {"novel": 1})


@pytest.mark.parametrize("content", [b"<html>\n", b'{"nom":"Anna"}\n', END + TWO, b"[]\n"])
def test_invalid_line_of_a_stream_is_unreadable(over: Factory, content: bytes) -> None:
    with pytest.raises(errors.UnreadableAnswer):
        list(over(Service(Body(content))).stream())


def test_names_do_not_depend_on_piece_boundaries() -> None:
    whole = TWO + END
    for cut in range(len(whole) + 1):
        lines = LineParser(name_of)
        lines.feed(whole[:cut])
        lines.feed(whole[cut:])
        assert list(lines.waiting) == NAMES
        assert lines.end.attempts == 3


def test_endless_line_is_refused() -> None:
    lines = LineParser(name_of)
    for _ in range(4):
        lines.feed(b"x" * (LONGEST_LINE // 4))
    with pytest.raises(errors.UnreadableAnswer, match="longer"):
        lines.feed(b"x")
