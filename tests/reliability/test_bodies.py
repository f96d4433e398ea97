"""Rows 1, 2, 9: bodies that are too large, come in too many pieces, or nest too deeply."""

import json
import socket

import httpx
import pytest

from app.replies import GenerateAnswer, NameDetail
from tests.harness.service import Service

HEAD = b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
HUGE = 200_000_000


def send(port: int, head: bytes, piece: bytes, times: int) -> bytes:
    """Send the head and a piece so many times, as far as the server takes it; return what it answered, if that was
    not lost with the connection.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        try:
            client.sendall(head + b"\r\n")
            for _ in range(times):
                client.sendall(piece)
        except ConnectionError:
            pass
        try:
            return client.recv(65_536)
        except ConnectionError:
            return b""


@pytest.mark.parametrize("framing", ["declared", "chunked"])
def test_row_01_a_body_too_large_is_refused_before_it_is_taken_in(attacked: Service, framing: str) -> None:
    """200 MB, with and without a length that says so: 413 or a closed connection, and 5 MB of memory at most."""
    block = b" " * 1_000_000
    before = attacked.memory()
    if framing == "declared":
        got = send(attacked.port, HEAD + b"Content-Length: %d\r\n" % HUGE, block, HUGE // len(block))
    else:
        piece = b"%x\r\n%b\r\n" % (len(block), block)
        got = send(attacked.port, HEAD + b"Transfer-Encoding: chunked\r\n", piece, HUGE // len(block))
    assert got == b"" or got.startswith(b"HTTP/1.1 413 ")
    assert attacked.memory() - before < 5
    assert attacked.is_ready()


@pytest.mark.parametrize("path", ["/generate", "/next", "/health/live", "/models", "/openapi.json"])
def test_row_01_every_route_has_the_limit(attacked: Service, path: str) -> None:
    """A body above 16 KiB is 413 wherever it is sent to, also where no body is read, and 16 KiB are taken."""
    address = f"http://127.0.0.1:{attacked.port}{path}"
    headers = {"content-type": "application/json"}
    assert httpx.request("POST", address, content=b" " * 16_385, headers=headers).status_code == 413
    assert httpx.request("POST", address, content=b" " * 16_384, headers=headers).status_code in (400, 405)


def test_row_01_scores_may_be_larger(attacked: Service) -> None:
    """/score takes 512 KiB, and a byte more is 413."""
    address = f"http://127.0.0.1:{attacked.port}/score"
    body = json.dumps({"names": ["anna"]}).encode()
    for size, status in ((524_288, 200), (524_289, 413)):
        answer = httpx.post(address, content=body.ljust(size), headers={"content-type": "application/json"}, timeout=20)
        assert answer.status_code == status


def test_row_02_many_tiny_chunks_leave_no_memory_behind(attacked: Service) -> None:
    """65,536 chunks of one byte, again and again: 413 or a closed connection each time, less than 1 MiB in all."""
    chunks = b"1\r\n \r\n" * 65_536

    def attack() -> bytes:
        return send(attacked.port, HEAD + b"Transfer-Encoding: chunked\r\n", chunks, 1)

    for _ in range(10):
        attack()
    before = attacked.memory()
    for _ in range(20):
        got = attack()
        assert got == b"" or got.startswith(b"HTTP/1.1 413 ")
    assert attacked.memory() - before < 1


DEEP = {
    "arrays": b"[" * 5_000 + b"]" * 5_000,
    "objects": b'{"a":' * 2_500 + b"1" + b"}" * 2_500,
    "one too deep": b'{"names":' + b"[" * 20 + b"]" * 20 + b"}",
    "never closed": b"[" * 16_000,
    "a giant integer": b'{"count":' + b"9" * 5_000 + b"}",
    "a repeated key": b'{"count":1,"count":1}',
    "a repeated key inside": b'{"dataset":{"human":1,"human":1}}',
}


@pytest.mark.parametrize("body", DEEP.values(), ids=DEEP)
def test_row_09_deep_giant_and_repeated_things_are_400(attacked: Service, body: bytes) -> None:
    """What nests deeper than 20, has numbers of 5,000 digits or repeats a key is 400, which OpenAPI tells."""
    headers = {"content-type": "application/json"}
    answer = httpx.post(f"http://127.0.0.1:{attacked.port}/generate", content=body, headers=headers)
    assert answer.status_code == 400
    document = httpx.get(f"http://127.0.0.1:{attacked.port}/openapi.json").json()
    assert "400" in document["paths"]["/generate"]["post"]["responses"]


def test_row_09_brackets_in_names_are_no_depth(attacked: Service) -> None:
    """Names may have any number of brackets: depth is counted where JSON nests."""
    names = ["[{" * 10, "]}", *[f"[{k}]" for k in range(100)]]
    answer = httpx.post(f"http://127.0.0.1:{attacked.port}/score", json={"names": names})
    assert answer.status_code == 200
    assert len(answer.json()["scores"]) == 102


def test_row_01_a_declared_length_is_believed_at_once(attacked: Service) -> None:
    """A length that is too large is refused before any of the body came, whatever the wait for the rest."""
    with socket.create_connection(("127.0.0.1", attacked.port), timeout=1) as client:
        client.sendall(HEAD + b"Content-Length: 20000\r\n\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 413 ")


def test_details_of_many_names_are_what_they_were(attacked: Service) -> None:
    """Details are written as the classes of the answer would be: read by those and written again, the same bytes."""
    body = {"count": 300, "details": True, "seed": 3, "sort": "likelihood", "min_length": 4}
    answer = httpx.post(f"http://127.0.0.1:{attacked.port}/generate", json=body)
    read = GenerateAnswer.model_validate_json(answer.content)
    assert len(read.names) == 300
    assert read.model_dump_json().encode() == answer.content
    likelihoods = [name.log_prob for name in read.names if isinstance(name, NameDetail)]
    assert likelihoods == sorted(likelihoods, reverse=True)
    assert len(likelihoods) == 300
