"""What is tried again, after which waits, and what never is. The waits are noted, not waited."""

import json
from collections.abc import Callable
from email.utils import formatdate
from random import Random
from typing import Any

import httpx
import pytest

from namewave_client import (
    Forbidden,
    InvalidRequest,
    NoAnswer,
    NotFound,
    Refused,
    Retries,
    ServerFault,
    TimedOut,
    TooManyRequests,
    Unavailable,
    UnreadableAnswer,
)
from namewave_client.retries import retry_after

NOW = 1_800_000_000.0
BATCH = {
    "dataset": "human",
    "model": "human/lstm@4",
    "seed": 1,
    "offset": 0,
    "next_offset": 1,
    "temperature": 1.0,
    "complete": True,
    "attempts": 1,
    "names": ["Anna"],
    "of_a_newer_service": {"x": [1]},
}
LINES = b'{"name":"Anna"}\n{"end":{"complete":true,"attempts":1,"next_offset":1}}\n'
STREAM_HEADERS = {"namewave-model": "human/lstm@4", "namewave-seed": "1", "namewave-offset": "0"}
Answer = httpx.Response | Exception


def answer() -> httpx.Response:
    """A batch of a newer service, which says more than we know and leaves out what need not be said."""
    return httpx.Response(200, json=BATCH)


def stream() -> httpx.Response:
    """A stream of one name."""
    return httpx.Response(200, content=LINES, headers=STREAM_HEADERS)


def failure(status: int, **headers: str) -> httpx.Response:
    """A problem document."""
    problem = {"type": "about:blank", "title": "T", "status": status, "detail": "D.", "errors": [], "more": 1}
    return httpx.Response(status, json=problem, headers={"content-type": "application/problem+json"} | headers)


class Service:
    """Gives one answer after the other, and keeps what was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.asked = list(answers), list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        given = self.answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    @property
    def bodies(self) -> list[Any]:
        """What the requests said."""
        return [json.loads(request.content) for request in self.asked if request.content]


class Even(Random):
    """Chance that always takes the upper end."""

    def uniform(self, a: float, b: float) -> float:
        """The upper end."""
        return b


@pytest.fixture
def over(connect: Callable[..., Any]) -> Callable[..., Any]:
    """Make a client over a `Service`, with fixed chance and clocks."""

    def made(service: Service, waits: list[float], **arguments: Any) -> Any:
        fixed = {"random": Even(1), "monotonic": lambda: sum(waits), "now": lambda: NOW}
        return connect(waits=waits, transport=httpx.MockTransport(service), **(fixed | arguments))

    return made


PASSING: list[Callable[[], Answer]] = [
    lambda: failure(429),
    lambda: failure(503),
    lambda: httpx.ConnectError("refused"),
    lambda: httpx.ConnectTimeout("slow"),
    lambda: httpx.ReadError("reset"),
    lambda: httpx.RemoteProtocolError("cut"),
]


@pytest.mark.parametrize("passing", PASSING)
def test_what_passes_is_tried_again(over: Callable[..., Any], passing: Callable[[], Answer]) -> None:
    """Refusals for a while and broken connections are tried again, batch and stream, with doubling waits."""
    waits: list[float] = []
    service = Service(passing(), passing(), passing(), answer())
    assert over(service, waits).generate().names == ("Anna",)
    assert waits == [0.25, 0.5, 1.0]
    waits.clear()
    service = Service(passing(), stream())
    assert list(over(service, waits).stream()) == ["Anna"]
    assert waits == [0.25]


def test_every_try_has_the_same_seed(over: Callable[..., Any]) -> None:
    """A request without a seed gets one before its first try; all tries say the same, another request another."""
    for ask in (lambda client: client.generate(count=3), lambda client: list(client.stream(count=3))):
        service = Service(failure(503), httpx.ReadError("reset"), failure(503), failure(404), failure(404))
        client = over(service, [])
        for _ in range(2):
            with pytest.raises(NotFound):
                ask(client)
        first, *same, other = service.bodies
        assert same == [first] * 3
        assert 0 <= first["seed"] < 2**53
        assert first["seed"] != other["seed"]


def test_tries_are_bounded(over: Callable[..., Any]) -> None:
    """After `most` further tries the last error is raised; waits stay under the longest one; 0 tries once."""
    waits: list[float] = []
    service = Service(*[failure(503) for _ in range(9)])
    with pytest.raises(Unavailable) as last:
        over(service, waits, retries=Retries(most=5, first_wait=1, longest_wait=3)).generate()
    assert waits == [1, 2, 3, 3, 3]
    assert len(service.asked) == 6
    assert last.value.problem.detail == "D."
    service = Service(httpx.ConnectError("refused"))
    with pytest.raises(NoAnswer, match="refused"):
        over(service, waits, retries=Retries(most=0)).info()


def test_no_try_begins_after_the_deadline(over: Callable[..., Any]) -> None:
    """Waits that would pass the deadline are not begun; the clock is that of the first try."""
    waits: list[float] = []
    service = Service(*[failure(503) for _ in range(99)])
    with pytest.raises(Unavailable):
        over(service, waits, retries=Retries(most=99, first_wait=1, longest_wait=99, deadline=10)).generate()
    assert waits == [1, 2, 4]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        (formatdate(NOW + 7, usegmt=True), 7.0),
        (formatdate(NOW + 7), 7.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0.0),
        ("Sun Nov  6 08:49:37 1994", 0.0),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("1e3", None),
        ("٣", None),
        ("9" * 400, None),
        ("Fri, 99 Foo 2026 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_read(header: str, seconds: float | None) -> None:
    """Seconds and all three forms of an HTTP date are read, what has passed is 0, all else says nothing."""
    assert retry_after(header, NOW) == seconds


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("header", ["7", formatdate(NOW + 7, usegmt=True)])
def test_retry_after_is_obeyed(over: Callable[..., Any], status: int, header: str) -> None:
    """The wait is what was asked for, and the jittered one on top, so that not all come back at once."""
    waits: list[float] = []
    service = Service(failure(status, **{"retry-after": header}), answer())
    over(service, waits).generate()
    assert waits == [7.25]


def test_a_long_retry_after_is_told_at_once(over: Callable[..., Any]) -> None:
    """Where the service wants more time than is left, nothing is waited for, and the error says how long."""
    waits: list[float] = []
    with pytest.raises(TooManyRequests) as refused:
        over(Service(failure(429, **{"retry-after": "3600"})), waits).generate()
    assert waits == []
    assert refused.value.retry_after == 3600


def test_waits_are_drawn_from_zero() -> None:
    """Jitter is full: waits are spread over the whole range, also after very many tries."""
    drawn = [Retries(first_wait=1, longest_wait=64).wait(3, chance) for chance in [Random(5)] for _ in range(2000)]
    assert 0 <= min(drawn) < 0.1
    assert 7.9 < max(drawn) <= 8
    assert sum(drawn) / 2000 == pytest.approx(4, abs=0.3)
    assert Retries().wait(10_000, Even()) == Retries().longest_wait
    with pytest.raises(ValueError, match="negative"):
        Retries(deadline=-1)


LASTING: list[tuple[Callable[[], Answer], type[Exception]]] = [
    (lambda: failure(400), InvalidRequest),
    (lambda: failure(401), Forbidden),
    (lambda: failure(404), NotFound),
    (lambda: failure(413), InvalidRequest),
    (lambda: failure(422), InvalidRequest),
    (lambda: failure(500), ServerFault),
    (lambda: httpx.Response(502, html="<h1>Bad</h1>"), ServerFault),
    (lambda: httpx.Response(302, headers={"location": "http://elsewhere/"}), Refused),
    (lambda: httpx.Response(599), ServerFault),
    (lambda: httpx.ReadTimeout("slow"), TimedOut),
    (lambda: httpx.PoolTimeout("full"), TimedOut),
    (lambda: httpx.UnsupportedProtocol("odd"), NoAnswer),
    (lambda: httpx.Response(200, html="<h1>Welcome</h1>"), UnreadableAnswer),
    (lambda: httpx.Response(200, json=[]), UnreadableAnswer),
    (lambda: httpx.Response(200, json=BATCH | {"seed": "one"}), UnreadableAnswer),
    (lambda: httpx.Response(200, json={name: BATCH[name] for name in BATCH if name != "seed"}), UnreadableAnswer),
    (lambda: httpx.Response(200, content=b"[" * 100_000), UnreadableAnswer),
]


@pytest.mark.parametrize(("lasting", "kind"), LASTING)
def test_what_lasts_is_not_tried_again(
    over: Callable[..., Any], lasting: Callable[[], Answer], kind: type[Exception]
) -> None:
    """Other errors are raised at once, as the kind that they are, whatever the body is."""
    waits: list[float] = []
    service = Service(lasting())
    with pytest.raises(kind) as error:
        over(service, waits).generate()
    assert error.type is kind
    assert waits == []
    assert len(service.asked) == 1


def test_not_ready_is_an_answer(over: Callable[..., Any]) -> None:
    """A 503 of /health/ready is read, not tried again; that of a proxy is."""
    waits: list[float] = []
    health = {"status": "unavailable", "problems": ["human: no default"], "refused": {}, "since": 5}
    told = over(Service(httpx.Response(503, json=health)), waits).ready()
    assert (told.ok, told.problems, waits) == (False, ("human: no default",), [])
    over(Service(httpx.Response(503, html="busy"), httpx.Response(200, json={"status": "ok"})), waits).ready()
    assert waits == [0.25]


def test_what_a_request_carries(over: Callable[..., Any]) -> None:
    """The key goes along as a bearer token, the address may have a path, options that are None are not sent."""
    service = Service(answer(), httpx.Response(200, json={"version": "1"}))
    client = over(service, [], api_key="a-key", base_url="http://test/names/")
    client.generate(seed=1, prefix=None, safe=False, count=2)
    client.info()
    assert [str(request.url) for request in service.asked] == [
        "http://test/names/generate",
        "http://test/names/info",
    ]
    assert {request.headers["authorization"] for request in service.asked} == {"Bearer a-key"}
    assert all(request.headers["user-agent"].startswith("namewave-client/") for request in service.asked)
    assert service.bodies[0] == {"seed": 1, "safe": False, "count": 2}


@pytest.mark.parametrize("address", ["localhost:8000", "ftp://names", "http://", "", "http://x:y"])
def test_an_address_is_judged_at_once(connect: Callable[..., Any], address: str) -> None:
    """What is no address is told when the client is made."""
    with pytest.raises(ValueError, match="base_url"):
        connect(address)
