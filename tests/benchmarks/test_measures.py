"""The benchmarks' measures: stream lines, multiply-adds, the output of wrk, and the soak test."""

import random
import socket
from pathlib import Path
from unittest.mock import AsyncMock

import numpy as np
import pytest
from fastapi import FastAPI

from benchmarks.measures.core import products
from benchmarks.measures.processes import NotMeasuredError
from benchmarks.measures.streaming import count_lines
from benchmarks.measures.wrk import parse, write_script
from benchmarks.reliability_measures.soak import MISTAKES, request, slope
from benchmarks.servers.leaky import LEAK, Leak, leaky
from models.store.checkpoint import load_checkpoint
from models.store.files import Key, Store
from models.store.registry import SHIPPED

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nAnna\nBob\n\r\n6\r\nCelia\n\r\n0\r\n\r\n"
NEWEST = {(key.dataset, key.architecture): key for key in sorted(Store(SHIPPED).present())}
# First layers that a character indexes instead of multiplying, because they directly follow the embedding.
INDEXED = {"mlp": "linear0.weight", "wavenet": "linear0.weight", "lstm": "lstm0.input"}
# Captured from a real run.
WRK_OUTPUT = """Running 1s test @ http://127.0.0.1:9312
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    20.13ms    2.65ms  36.84ms   72.07%
    Req/Sec   787.82     58.76     0.87k    72.73%
  863 requests in 1.10s, 269.48KB read
Requests/sec:    785.88
Transfer/sec:    245.40KB
measured: {"requests": 863, "microseconds": 1098130, "p50": 19989, "p99": 29486, "refused": 0, "broken": 0}
"""


class OneByte(socket.socket):
    """A socket that receives byte by byte, which separates each CR from its LF."""

    def recv(self, *_: int) -> bytes:
        return super().recv(1)


def counted(answer: bytes, reader: type[socket.socket] = socket.socket) -> int:
    here, there = socket.socketpair()
    with there, reader(fileno=here.detach()) as connection:
        there.sendall(answer)
        there.shutdown(socket.SHUT_WR)
        return count_lines(connection)


@pytest.mark.parametrize("reader", [socket.socket, OneByte])
def test_chunk_framing_does_not_count_as_stream_lines(reader: type[socket.socket]) -> None:
    assert counted(CHUNKED, reader) == 3


def test_service_without_streams_is_not_measured() -> None:
    with pytest.raises(NotMeasuredError, match="not there yet"):
        counted(b"HTTP/1.1 406 Not Acceptable\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("key", NEWEST.values(), ids=lambda key: key.reference)
def test_products_equal_the_matrix_sizes_of_shipped_models(key: Key) -> None:
    checkpoint = load_checkpoint(Store(SHIPPED).folder(key))
    tables = {"embedding.weight", INDEXED.get(key.architecture)}
    tables |= {"table", "styles", "lstm0.style"}
    matrices = [array for name, array in checkpoint.arrays.items() if array.ndim == 2 and name not in tables]
    assert matrices or key.architecture == "bigram"
    alphabet_size = len(checkpoint.manifest.alphabet)
    assert products(checkpoint.manifest.config, alphabet_size) == sum(array.size for array in matrices)


def test_parsed_figures_match_wrk_and_count_all_errors() -> None:
    requests, p50, p99, errors = parse(WRK_OUTPUT)
    assert requests == pytest.approx(785.88, abs=0.005)
    assert (p50, p99, errors) == (19.989, 29.486, 0)
    output = WRK_OUTPUT.replace('"refused": 0', '"refused": 3').replace('"broken": 0', '"broken": 4')
    assert parse(output)[3] == 7


def test_wrk_failure_is_reported_with_its_output() -> None:
    with pytest.raises(NotMeasuredError, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:9 Connection refused\n")


def test_wrk_script_contains_body_and_first_seed(tmp_path: Path) -> None:
    script = write_script(tmp_path, '{"count":20,"seed":SEED}', 41).read_text("utf-8")
    assert '{"count":20,"seed":SEED}' in script
    assert "math.randomseed(41)" in script
    assert "{{" not in script


def test_slope_and_its_error_match_a_noisy_line() -> None:
    """The oracle is memory that grows by 3 MiB an hour, and the standard error of a regression slope."""
    hours = np.arange(2_000) * 2 / 3600
    memory = 300 + 3 * hours + np.random.default_rng(1).normal(0, 0.5, 2_000)
    found = slope(list(zip((3600 * hours).tolist(), memory.tolist(), strict=True)))
    assert abs(found.growth - 3) < 3 * found.error
    assert found.error == pytest.approx(0.5 / (np.std(hours) * np.sqrt(2_000)), rel=0.1)


def test_requests_are_reproducible_and_cover_every_kind() -> None:
    asked = [request(random.Random(seed)) for seed in range(1_000)]
    assert asked == [request(random.Random(seed)) for seed in range(1_000)]
    assert {path for _, path, _, _ in asked} >= {"/generate", "/score", "/next", "/models", "/metrics", "/"}
    assert len({headers["accept"] for *_, headers in asked if headers}) == 4
    bodies = [sent["json"] for _, path, sent, _ in asked if path == "/generate"]
    assert any(isinstance(body.get("dataset"), dict) for body in bodies)
    assert all(mistake in bodies for mistake in MISTAKES)


def test_leaky_app_keeps_bytes_of_every_request() -> None:
    assert [entry.cls for entry in leaky(FastAPI)().user_middleware] == [Leak]
    nothing = AsyncMock()
    leak = Leak(nothing)
    for _ in range(3):
        with pytest.raises(StopIteration):
            leak({}, nothing, nothing).send(None)  # type: ignore[arg-type]
    assert sum(map(len, leak.kept)) == 3 * LEAK
