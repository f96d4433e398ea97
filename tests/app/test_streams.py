"""Streams give the names of the JSON answer, in forms that the standard library reads, and say how they ended."""

import csv
import io
import json
import threading
from typing import Any

import httpx
import pytest

from app.connection import streaming
from app.naming.name_lines import NameLines
from app.negotiation import CSV, NDJSON, TEXT

pytestmark = pytest.mark.anyio
REQUESTS: list[dict[str, Any]] = [
    {"count": 1},
    {"count": 700, "unique": False},
    {"count": 300, "temperature": 0.7, "top_k": 9},
    {"count": 60, "novel": True, "prefix": "ka", "min_length": 4, "case": "lower"},
    {"count": 50, "offset": 2**53 - 900, "max_length": 9},
]


async def ask(client: httpx.AsyncClient, accept: str, **fields: Any) -> httpx.Response:
    return await client.post("/generate", json={"dataset": "elves", "seed": 3} | fields, headers={"accept": accept})


@pytest.mark.parametrize("fields", REQUESTS, ids=repr)
async def test_all_forms_have_the_same_names(client: httpx.AsyncClient, fields: dict[str, Any]) -> None:
    """For one request JSON, NDJSON, text and CSV have the same names; NDJSON ends as JSON tells."""
    answer = (await ask(client, "application/json", **fields)).json()
    assert answer["complete"]
    text = await ask(client, TEXT, **fields)
    assert text.text.splitlines() == answer["names"]
    assert text.text.endswith("\n")
    table = await ask(client, CSV, **fields)
    assert list(csv.DictReader(io.StringIO(table.text, newline=""), strict=True)) == [
        {"name": name} for name in answer["names"]
    ]
    *records, last = map(json.loads, (await ask(client, NDJSON, **fields)).text.splitlines())
    assert records == [{"name": name} for name in answer["names"]]
    assert last == {
        "end": {key: answer[key] for key in ("complete", "attempts", "next_offset", "acceptance_rate", "refused")}
    }


async def test_details_are_the_objects_of_json(client: httpx.AsyncClient) -> None:
    """With details, NDJSON's objects are those of the JSON answer."""
    fields = {"count": 40, "details": True, "prefix": "lo"}
    answer = (await ask(client, "application/json", **fields)).json()
    *records, last = map(json.loads, (await ask(client, NDJSON, **fields)).text.splitlines())
    assert records == answer["names"]
    assert last["end"]["attempts"] == answer["attempts"]


async def test_headers_tell_what_led_to_the_names(client: httpx.AsyncClient) -> None:
    """A stream's headers have model, seed and offset; as a link without a seed it is not to be cached."""
    answer = await ask(client, TEXT, model="wavenet@2", seed=8, offset=5)
    assert {name: answer.headers[f"namewave-{name}"] for name in ("model", "seed", "offset")} == {
        "model": "elves/wavenet@2",
        "seed": "8",
        "offset": "5",
    }
    assert "content-length" not in answer.headers
    link = await client.get("/generate?dataset=elves", headers={"accept": TEXT})
    assert link.headers["namewave-seed"] == "4711"
    assert link.headers["cache-control"] == "no-store"
    assert link.headers["vary"] == "Accept"


async def test_ndjson_tells_a_shortfall(client: httpx.AsyncClient) -> None:
    """Where the budget runs out, NDJSON ends as it should, with complete false."""
    answer = await ask(client, NDJSON, count=100, max_attempts=40, max_length=4)
    last = json.loads(answer.text.splitlines()[-1])
    assert not last["end"]["complete"]
    assert last["end"]["attempts"] == last["end"]["next_offset"] == 40
    names = len(answer.text.splitlines()) - 1
    assert last["end"]["acceptance_rate"] == names / 40
    assert sum(last["end"]["refused"].values()) == 40 - names


@pytest.mark.parametrize(
    ("accept", "fields", "field", "words"),
    [
        ("application/json", {"count": 10_001, "unique": False}, "count", ["10000 as JSON", "1000000 as a stream"]),
        (NDJSON, {"count": 1_000_001, "unique": False}, "count", ["10000 as JSON", "1000000 as a stream"]),
        (TEXT, {"count": 10_001}, "unique", ["false where count is above 10000"]),
        (CSV, {"details": True}, "details", ["text/csv"]),
        (TEXT, {"details": True}, "details", ["text/plain"]),
        (NDJSON, {"prefix": "þ"}, "prefix", []),
        (NDJSON, {"max_attempts": 10**8}, "max_attempts", ["10000000"]),
        (NDJSON, {"min_length": 9, "max_length": 4}, "min_length", []),
    ],
    ids=repr,
)
async def test_bad_requests_fail_before_the_stream(
    client: httpx.AsyncClient, accept: str, fields: dict[str, Any], field: str, words: list[str]
) -> None:
    """What cannot be streamed is a problem document with status 422, whatever form was asked for."""
    answer = await ask(client, accept, **fields)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    error = answer.json()["errors"][0]
    assert error["field"] == field
    assert all(word in error["allowed"] for word in words)


async def test_an_unforeseen_error_in_the_first_piece_is_a_500(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that breaks before its first byte is a problem document, not a broken answer."""

    def broken(lines: NameLines) -> bytes:
        raise RuntimeError("a secret")

    monkeypatch.setattr(streaming.NameLines, "piece", broken)
    answer = await ask(client, TEXT)
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text


async def test_few_names_are_written_in_place(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of the first few candidates are drawn without a thread, all others in one, with the same names."""
    # For each piece: whether it was to be quick, whether it was drawn in place. How large pieces are depends on the
    # machine, so that nothing is said of how many there are.
    seen: list[tuple[bool, bool]] = []
    real = NameLines.piece

    def watched(lines: NameLines) -> bytes:
        seen.append((lines.quick, threading.current_thread() is threading.main_thread()))
        return real(lines)

    monkeypatch.setattr(streaming.NameLines, "piece", watched)
    small = await ask(client, TEXT, count=20, unique=False, max_length=40)
    assert seen[0] == (True, True)
    assert all(quick == in_place for quick, in_place in seen)
    seen.clear()
    rare = await ask(client, NDJSON, count=20, max_length=2, prefix="ka", max_attempts=5000)
    assert json.loads(rare.text.splitlines()[-1])["end"]["attempts"] == 5000
    assert seen[0] == (True, True)
    assert seen[-1] == (False, False)
    assert all(quick == in_place for quick, in_place in seen)
    seen.clear()
    large = await ask(client, TEXT, count=500, unique=False, max_length=40)
    assert all(piece == (False, False) for piece in seen)
    assert large.text.startswith(small.text)
