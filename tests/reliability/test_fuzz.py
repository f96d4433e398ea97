"""Fuzzing with raw bytes for some seconds; for hours: `python -m benchmarks.reliability fuzz`."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.answers import Answer, ask, parse
from tests.harness.clock import until
from tests.harness.fuzzing import LARGE_REQUEST, FuzzResult, decode_request, find_fault, fuzz, read_manifest
from tests.harness.raw_requests import JSON_TOKENS, request
from tests.harness.service import Service, served

pytestmark = pytest.mark.row(37)
REQUESTS = 3_000
BYTES = st.one_of(st.binary(max_size=300), st.lists(st.sampled_from(JSON_TOKENS), max_size=8).map(b"".join))
PROBLEM = b"\r\ncontent-type: application/problem+json"


def test_arbitrary_bytes_never_break_the_service(service: Service) -> None:
    result = FuzzResult()
    asyncio.run(fuzz(service.port, 11, 0, 96, lambda so_far: so_far.requests < REQUESTS, result))
    assert result.requests >= REQUESTS
    assert result.wrong == []
    assert {200, 400, 404, 405, 408, 422, 431} <= set(result.statuses)
    assert service.process.poll() is None
    assert service.is_ready()


def test_arbitrary_bytes_are_handled_under_overload() -> None:
    def goes_on(result: FuzzResult) -> bool:
        return result.requests < 1_500 or (result.statuses[503] < 20 and result.requests < 50_000)

    result = FuzzResult()
    with served(NAMEWAVE_LIMIT="0", NAMEWAVE_QUEUE_SECONDS="0.01", NAMEWAVE_RECEIVE_SECONDS="2") as service:
        asyncio.run(fuzz(service.port, 12, 0, 32, goes_on, result, flooders=12))
        assert result.wrong == []
        assert result.statuses[503] >= 20
        assert {400, 404, 405, 422} <= set(result.statuses)
        until(lambda: asyncio.run(ask(service.port, [LARGE_REQUEST])).status == 200)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (Answer(500), "status 500"),
        (Answer(503), "status 503"),
        (Answer(503, b"\r\nRetry-After: 1" + PROBLEM, b'{"status":503}'), None),
        (Answer(-1), "no answer"),
        (Answer(400, b"content-type: text/plain", b"no"), "no problem"),
        (Answer(400, PROBLEM, b"no"), "a wrong problem"),
        (Answer(400, PROBLEM, b'{"status":400}'.ljust(2000)), "a large error"),
        (Answer(400, PROBLEM, b'{"status":400}'), None),
        (Answer(200, b"", b""), None),
    ],
)
def test_fuzzer_finds_faults_in_answers(answer: Answer, fault: str | None) -> None:
    assert find_fault(answer) == fault


def test_raw_requests_are_reproducible_and_differ() -> None:
    assert request(1, 7) == request(1, 7)
    assert len({b"".join(request(seed, number)) for seed in (1, 2) for number in range(100)}) > 150


LENGTH_2 = b"HTTP/1.1 200 OK\r\ncontent-length: 2"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked"
ERROR = b"HTTP/1.1 422 X\r\ncontent-length: 2"


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-len", None),
        (LENGTH_2 + b"\r\n\r\na", Answer(200, LENGTH_2, b"a", complete=False)),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + ERROR + b"\r\n\r\nab", Answer(422, ERROR, b"ab")),
        (CHUNKED + b"\r\n\r\n1\r\na\r\n0\r\n\r\n", Answer(200, CHUNKED, b"1\r\na\r\n0\r\n\r\n")),
    ],
)
def test_answers_are_parsed_by_their_framing(data: bytes, answer: Answer | None) -> None:
    assert parse(data) == answer


@settings(max_examples=500)
@given(data=BYTES)
def test_request_decoder_reads_or_refuses_any_bytes(data: bytes) -> None:
    decode_request(data)


@settings(max_examples=500)
@given(data=BYTES)
def test_manifest_parser_reads_or_refuses_any_bytes(data: bytes) -> None:
    read_manifest(data)
