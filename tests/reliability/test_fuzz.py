"""Row 37: bytes that no schema would think of, some seconds of them; hours: python -m benchmarks.reliability fuzz."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from starlette.requests import Request

from app.bodies import MAX_DEPTH, StrictRequest
from tests.app.running import until
from tests.harness.answers import Answer, ask, parse
from tests.harness.fuzzing import MUCH, FuzzResult, decode_request, fault, read_manifest, report, throw
from tests.harness.raw_requests import JSON_TOKENS, request
from tests.harness.service import Service, served

REQUESTS = 3_000
BYTES = st.one_of(st.binary(max_size=300), st.lists(st.sampled_from(JSON_TOKENS), max_size=8).map(b"".join))


def test_row_37_no_bytes_break_the_service(attacked: Service) -> None:
    """3,000 made-up requests of one seed: an answer or a closed connection to each, no 5xx, no error that is large or
    no problem; the service is there as before.
    """
    result, before = FuzzResult(), attacked.memory()
    asyncio.run(throw(attacked.port, 11, 0, 96, lambda it: it.requests < REQUESTS, result))
    print(report(result, attacked, before, 1))  # noqa: T201
    assert result.requests >= REQUESTS
    assert result.wrong == []
    assert {200, 400, 404, 405, 408, 422, 431} <= set(result.statuses)
    assert attacked.process.poll() is None
    assert attacked.is_ready()


@pytest.mark.row(37)
def test_arbitrary_bytes_are_handled_under_overload() -> None:
    def goes_on(result: FuzzResult) -> bool:
        return result.requests < 1_500 or (result.statuses[503] < 20 and result.requests < 50_000)

    result = FuzzResult()
    with served(NAMEWAVE_LIMIT="0", NAMEWAVE_QUEUE_SECONDS="0.01", NAMEWAVE_RECEIVE_SECONDS="2") as service:
        asyncio.run(throw(service.port, 12, 0, 32, goes_on, result, flooders=12))
        assert result.wrong == []
        assert result.statuses[503] >= 20
        assert {400, 404, 405, 422} <= set(result.statuses)
        until(lambda: asyncio.run(ask(service.port, [MUCH], 60)).status == 200)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(500), "status 500"),
        (Answer(503), "status 503"),
        (Answer(503, b"\r\nRetry-After: 1\r\ncontent-type: application/problem+json", b'{"status":503}'), None),
        (Answer(-1), "no answer"),
        (Answer(400, b"content-type: text/plain", b"no"), "no problem"),
        (Answer(400, b"content-type: application/problem+json", b"no"), "not the problem that it should be"),
        (Answer(400, b"content-type: application/problem+json", b'{"status":400}'.ljust(2000)), "a large error"),
        (Answer(400, b"content-type: application/problem+json", b'{"status":400}'), None),
        (Answer(200, b"", b""), None),
    ],
)
def test_row_37_the_fuzzer_would_notice(answer: Answer, reason: str | None) -> None:
    """What is wrong with an answer is told, and nothing of one that is right."""
    assert fault(answer) == reason


def test_row_37_a_request_can_be_made_again() -> None:
    """The same seed and number give the same bytes, others others."""
    assert request(1, 7) == request(1, 7)
    assert len({b"".join(request(seed, number)) for seed in (1, 2) for number in range(100)}) > 150


def test_row_37_answers_are_read_as_they_are_framed() -> None:
    """An answer is whole when its length or its last chunk is there; interim answers are passed over."""
    assert parse(b"HTTP/1.1 200 OK\r\ncontent-len", False) is None
    assert parse(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na", False) == Answer(
        200, b"HTTP/1.1 200 OK\r\ncontent-length: 2", b"a", False
    )
    found = parse(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 422 X\r\ncontent-length: 2\r\n\r\nab", False)
    assert found is not None
    assert (found.status, found.body, found.whole) == (422, b"ab", True)
    chunked = parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", False)
    assert chunked is not None
    assert chunked.whole


@settings(max_examples=500, deadline=None)
@given(data=BYTES)
def test_row_37_the_decoder_of_requests_refuses_or_reads(data: bytes) -> None:
    """Any bytes as a body are a request or one of the refusals that are foreseen."""
    decode_request(data)


@settings(max_examples=500, deadline=None)
@given(data=BYTES)
def test_row_37_the_manifest_parser_refuses_or_reads(data: bytes) -> None:
    """Any bytes as a manifest are one or one of the errors that are foreseen."""
    read_manifest(data)


@pytest.mark.anyio
@pytest.mark.parametrize("depth", [1, MAX_DEPTH, MAX_DEPTH + 1, 900, 100_000])
@pytest.mark.parametrize("around", [b"", b'"' + b"[{" * 50 + b'",'])
async def test_row_09_depth_is_counted(depth: int, around: bytes) -> None:
    """Arrays nest twenty deep at most, whatever brackets stand in texts beside them."""
    body = b"[" + around + b"[" * (depth - 1) + b"]" * depth if depth > 1 else b"[" + around + b"1]"

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body}

    asked: Request = StrictRequest({"type": "http", "headers": []}, receive)
    if depth <= MAX_DEPTH:
        assert isinstance(await asked.json(), list)
        return
    with pytest.raises(HTTPException) as caught:
        await asked.json()
    assert caught.value.status_code == 400


@pytest.fixture
def anyio_backend() -> str:
    """One event loop is enough: uvicorn's."""
    return "asyncio"
