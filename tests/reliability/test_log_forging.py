"""Row 31: whatever clients send, the log is one valid JSON object a line, one for each request."""

import asyncio
import json
import random
from urllib.parse import quote_from_bytes

import pytest

from tests.harness.answers import Answer, ask
from tests.harness.clock import until
from tests.harness.service import served

STRINGS, PER_REQUEST = 10_000, 4
REQUESTS = STRINGS // PER_REQUEST
BITS = (
    b"\n", b"\r\n", b"%0a", b"%0d%0a", b"\x1b[2J", b"\x00", b'"', b"\\", b"{", b"}", b'"level":"error"', b"\xff",
    b"\xe2\x80\xa8", b"\x85", b"%s%n", b"{}", b"${jndi:x}", b"\t", b"forged", b"a", b"1", b"\xc3\xa9", b"=", b"&", b"/",
    b"<b>",
)  # fmt: skip


def forged(number: int) -> bytes:
    """A string that could break out of a log line."""
    chance = random.Random(number)
    return b"forged" + b"".join(chance.choices(BITS, k=chance.randrange(1, 12)))


def request(number: int) -> bytes:
    """A request with four such strings: a raw one in a header, the path, the query or as the method; three encoded."""
    raw, *others = [forged(PER_REQUEST * number + k) for k in range(PER_REQUEST)]
    path, query, header = (quote_from_bytes(text).encode() for text in others)
    target = (b"/%b", b"/models/human/%b/1", b"/generate?model=%b", b"/docs/assets/%b")[number % 4] % path
    target += b"&" if b"?" in target else b"?"
    target += b"dataset=" + query
    forms = (
        b"GET %b HTTP/1.1\r\nHost: x\r\nUser-Agent: %b\r\nX-Request-ID: %b\r\n\r\n" % (target, header, raw),
        b"GET %b%b HTTP/1.1\r\nHost: x\r\nAccept: %b\r\n\r\n" % (target, raw, header),
        b"GET %b HTTP/1.1\r\nHost: x\r\nX-Request-ID: %b\r\n\r\n" % (target, header),
        b"GET %b HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: %b\r\n\r\n" % (target, header),
        b"%b %b HTTP/1.1\r\nHost: x\r\nReferer: %b\r\n\r\n" % (raw, target, header),
    )
    return forms[number % len(forms)]


async def send_all(port: int) -> list[Answer]:
    slots = asyncio.Semaphore(100)

    async def send(number: int) -> Answer:
        async with slots:
            return await ask(port, [request(number)])

    return await asyncio.gather(*map(send, range(REQUESTS)))


@pytest.mark.row(31)
def test_no_request_forges_a_log_line() -> None:
    with served(NAMEWAVE_RECEIVE_SECONDS="0.5") as service:
        before = len(service.lines())
        answers = asyncio.run(send_all(service.port))
        answered = sum(answer.status > 0 for answer in answers)
        # The last lines may be written after their answers are sent.
        until(lambda: len(service.lines()) >= before + answered)
        lines = [json.loads(line) for line in service.lines()[before:]]
    assert all(isinstance(line, dict) for line in lines)
    events = [line["event"] for line in lines if line.get("route") != "/health/ready"]
    assert set(events) == {"request", "refused"}
    assert answered > REQUESTS * 0.9
    # A string with two line feeds may be two requests, of which the second is refused or cut.
    assert answered <= len(events) <= answered * 1.2
    logged = sum(line["event"] == "request" for line in lines)
    assert sum(b"x-request-id:" in answer.head.lower() for answer in answers) <= logged
    assert not any("jndi" in json.dumps(line) or "<b>" in json.dumps(line) for line in lines)
    # A harmless id of a client is kept, and may be used twice.
    ids = [line["request_id"] for line in lines if "request_id" in line]
    generated = [name for name in ids if not name.startswith("forged")]
    assert len(ids) == logged
    assert len(set(generated)) == len(generated)
