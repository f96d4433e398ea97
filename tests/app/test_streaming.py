"""Streams as NDJSON, text and CSV: the names of the JSON answer, headers, and the end."""

import csv
import io
import json
import threading
from typing import Any
from unittest.mock import Mock

import httpx
import pytest

from app.names.jobs import StreamJob
from app.web.negotiation import CSV, JSON, NDJSON, TEXT
from tests.harness.app_client import AppClient, error_of, problem_of

pytestmark = pytest.mark.anyio


async def stream(client: AppClient, accept: str, **fields: Any) -> httpx.Response:
    """Return the answer about the elves in a media type."""
    return await client.post("/generate", json={"dataset": "elves", "seed": 3} | fields, headers={"accept": accept})


async def ndjson(client: AppClient, **fields: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the records of an NDJSON stream, and how it ended."""
    *records, last = map(json.loads, (await stream(client, NDJSON, **fields)).text.splitlines())
    return records, last["end"]


@pytest.mark.parametrize(
    "fields",
    [
        {"count": 1},
        {"count": 700, "unique": False},
        {"count": 300, "temperature": 0.7, "top_k": 9},
        {"count": 60, "novel": True, "prefix": "ka", "min_length": 4, "case": "lower"},
        {"count": 50, "offset": 2**53 - 900, "max_length": 9},
    ],
    ids=repr,
)
async def test_all_media_types_have_the_same_names(client: AppClient, fields: dict[str, Any]) -> None:
    answer = (await stream(client, JSON, **fields)).json()
    assert answer["complete"]
    rows = [{"name": name} for name in answer["names"]]
    text = (await stream(client, TEXT, **fields)).text
    assert text.splitlines() == answer["names"]
    assert text.endswith("\n")
    table = io.StringIO((await stream(client, CSV, **fields)).text, newline="")
    assert list(csv.DictReader(table, strict=True)) == rows
    figures = ("complete", "attempts", "next_offset", "acceptance_rate", "refused")
    assert await ndjson(client, **fields) == (rows, {key: answer[key] for key in figures})


async def test_ndjson_details_equal_json_details(client: AppClient) -> None:
    fields = {"count": 40, "details": True, "prefix": "lo"}
    answer = (await stream(client, JSON, **fields)).json()
    records, end = await ndjson(client, **fields)
    assert records == answer["names"]
    assert end["attempts"] == answer["attempts"]


async def test_stream_headers_hold_model_seed_and_offset(client: AppClient) -> None:
    response = await stream(client, TEXT, model="wavenet@2", seed=8, offset=5)
    expected = {"namewave-model": "elves/wavenet@2", "namewave-seed": "8", "namewave-offset": "5"}
    assert {name: response.headers[name] for name in expected} == expected
    assert "content-length" not in response.headers


async def test_stream_with_a_random_seed_is_not_cached(client: AppClient) -> None:
    response = await client.get("/generate?dataset=elves", headers={"accept": TEXT})
    expected = {"namewave-seed": "4711", "cache-control": "no-store", "vary": "Accept"}
    assert {name: response.headers[name] for name in expected} == expected


async def test_ndjson_and_json_with_spent_budget_are_incomplete(client: AppClient) -> None:
    fields = {"count": 100, "max_attempts": 40, "max_length": 4}
    records, end = await ndjson(client, **fields)
    answer = (await stream(client, JSON, **fields)).json()
    assert (records, end) == ([{"name": name} for name in answer["names"]], {key: answer[key] for key in end})
    assert end["complete"] is False
    assert end["refused"]["max_length"] > 0
    assert end["attempts"] == end["next_offset"] == 40
    assert end["acceptance_rate"] == len(records) / 40
    assert sum(end["refused"].values()) == 40 - len(records)


@pytest.mark.parametrize(
    ("accept", "fields", "field", "words"),
    [
        (JSON, {"count": 10_001, "unique": False}, "count", ["10000 in JSON", "1000000 in a stream"]),
        (NDJSON, {"count": 1_000_001, "unique": False}, "count", ["10000 in JSON", "1000000 in a stream"]),
        (TEXT, {"count": 10_001}, "unique", ["false if count is above 10000"]),
        (CSV, {"details": True}, "details", ["text/csv"]),
        (TEXT, {"details": True}, "details", ["text/plain"]),
        (CSV, {"sort": "likelihood"}, "sort", ["drawn in a stream"]),
        (NDJSON, {"prefix": "þ"}, "prefix", []),
        (NDJSON, {"max_attempts": 10**8}, "max_attempts", ["10000000"]),
        (NDJSON, {"min_length": 9, "max_length": 4}, "min_length", []),
    ],
    ids=repr,
)
async def test_invalid_stream_request_is_a_422_problem(
    client: AppClient, accept: str, fields: dict[str, Any], field: str, words: list[str]
) -> None:
    error = error_of(await stream(client, accept, **fields))
    assert error["field"] == field
    assert all(word in error["allowed"] for word in words)


async def test_error_in_the_first_chunk_is_a_500_problem(client: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StreamJob, "next_chunk", Mock(side_effect=RuntimeError("a secret")))
    response = await stream(client, TEXT)
    assert problem_of(response, 500)
    assert "secret" not in response.text


async def test_only_small_chunks_run_on_the_event_loop(client: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    # For each chunk: whether it is small, and whether it runs on the event loop. Their number depends on the machine.
    seen: list[tuple[bool, bool]] = []
    real = StreamJob.next_chunk

    def watched(job: StreamJob) -> bytes:
        seen.append((job.fits_inline, threading.current_thread() is threading.main_thread()))
        return real(job)

    monkeypatch.setattr(StreamJob, "next_chunk", watched)
    small = await stream(client, TEXT, count=20, unique=False, max_length=40)
    assert seen[0] == (True, True)
    assert all(fits == inline for fits, inline in seen)
    seen.clear()
    _, end = await ndjson(client, count=20, max_length=2, prefix="ka", max_attempts=5000)
    assert end["attempts"] == 5000
    assert (seen[0], seen[-1]) == ((True, True), (False, False))
    assert all(fits == inline for fits, inline in seen)
    seen.clear()
    large = await stream(client, TEXT, count=500, unique=False, max_length=40)
    assert set(seen) == {(False, False)}
    assert large.text.startswith(small.text)
