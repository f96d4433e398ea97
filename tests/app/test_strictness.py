"""Nothing is guessed, nothing is swallowed: how /generate reads links and bodies, and how small its errors are."""

import threading
from typing import Any

import httpx
import pytest

from app.naming import drawing
from app.naming.name_batch import NameBatch

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("count=1_0", "count"),
        ("count=%205", "count"),
        ("count=5.0", "count"),
        ("count=%D9%A5", "count"),
        ("count=", "count"),
        ("seed=+1", "seed"),
        ("temperature=1_0", "temperature"),
        ("temperature=inf", "temperature"),
        ("temperature=1e999", "temperature"),
        ("unique=yes", "unique"),
        ("details=1", "details"),
        ("dataset=", "dataset"),
        ("model=", "model"),
        ("count=1&count=2", "count"),
        ("secret=1&secret=2", "(unknown field)"),
    ],
)
async def test_links_are_read_to_the_letter(client: httpx.AsyncClient, query: str, field: str) -> None:
    """A number or a word that is not written plainly, and a field given twice, is 422 with the field's name."""
    answer = await client.get(f"/generate?dataset=elves&{query}" if "dataset" not in query else f"/generate?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "query", ["temperature=.8", "temperature=1", "temperature=8e-1", "unique=false", "details=true"]
)
async def test_plain_writing_is_understood(client: httpx.AsyncClient, query: str) -> None:
    """The usual ways to write a number or a truth value in a link are taken."""
    assert (await client.get(f"/generate?dataset=elves&count=2&{query}")).status_code == 200


async def test_a_query_beside_a_body_is_refused(client: httpx.AsyncClient) -> None:
    """POST with fields in the query is 422, where ignoring them would give other names than were asked for."""
    answer = await client.post("/generate?count=3", json={"dataset": "elves"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "(query)"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
async def test_json_is_utf8(client: httpx.AsyncClient, encoding: str) -> None:
    """JSON in another encoding, or behind a byte order mark, is 400."""
    body = '{"dataset": "elves"}'.encode(encoding)
    answer = await client.post("/generate", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400


async def test_a_misspelt_field_is_met_with_ours(client: httpx.AsyncClient) -> None:
    """An unknown field gets the nearest of ours, in the sentence, too, and is not repeated; one that is like none of
    ours gets none.
    """
    answer = await client.post("/generate", json={"dataset": "elves", "tempreature": 1})
    assert answer.json()["errors"][0]["nearest"] == ["temperature"]
    assert answer.json()["detail"].endswith(", max_attempts. Nearest: temperature.")
    assert "tempreature" not in answer.text
    assert (await client.get("/generate?cuont=3")).json()["detail"].endswith(", max_attempts. Nearest: count.")
    assert "Nearest" not in (await client.get("/generate?zzzz=3")).json()["detail"]


async def test_an_unknown_field_is_met_with_those_of_its_route(client: httpx.AsyncClient) -> None:
    """What is allowed in the place of an unknown field is what this very route takes, nearest names included."""
    asked = {"/generate?names=a": "names", "/next?count=3": "count", "/lab/wavenet?seed=1&name=a": "seed"}
    for address, stranger in asked.items():
        [error] = (await client.get(address)).json()["errors"]
        assert "dataset" in error["allowed"].split(", ")
        assert stranger not in error["allowed"].split(", ")
        assert stranger not in error["nearest"]
    [error] = (await client.post("/lab/graph", json={"expression": "1", "count": 1})).json()["errors"]
    assert error["allowed"] == "expression"


async def test_errors_stay_small(client: httpx.AsyncClient) -> None:
    """However many fields are wrong, the answer fits in a kilobyte and says that there are more."""
    names = ("dataset", "model", "count", "min_length", "max_attempts", "prefix", "case", "seed", "top_k", "novel")
    everything: dict[str, Any] = {name: [] for name in names}
    # The longest list of what is allowed is told twice where the only wrong field is an unknown one.
    answer = await client.post("/generate", json={"max_atempts": 1})
    assert answer.json()["detail"].endswith("Nearest: max_attempts.")
    assert len(answer.content) <= 1024
    for fields in (everything, {"zzz": 1, "model": [], "min_length": [], "max_attempts": []}):
        answer = await client.post("/generate", json=fields)
        assert answer.status_code == 422
        assert len(answer.content) <= 1024
        assert "more fields are wrong" in answer.json()["detail"]


async def test_allow_tells_every_method(client: httpx.AsyncClient) -> None:
    """A method that an address does not take is 405 with all that it does take."""
    for path, methods in {"/generate": {"GET", "HEAD", "POST"}, "/info": {"GET", "HEAD"}, "/score": {"POST"}}.items():
        answer = await client.put(path)
        assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) == methods, path


async def test_no_long_work_on_the_event_loop(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request for one name that may need very many candidates goes to a thread after the first few, and gets the
    answer that it would have got in place.
    """
    seen: list[tuple[str, bool]] = []
    real, piece = drawing.draw, NameBatch.piece

    def watched(request, source, most, *others):  # type: ignore[no-untyped-def]
        seen.append((f"at most {most}", threading.current_thread() is threading.main_thread()))
        return real(request, source, most, *others)

    def watched_piece(batch: NameBatch) -> None:
        seen.append(("piece", threading.current_thread() is threading.main_thread()))
        piece(batch)

    monkeypatch.setattr(drawing, "draw", watched)
    monkeypatch.setattr(NameBatch, "piece", watched_piece)
    fields = {"dataset": "elves", "count": 20, "max_length": 2, "prefix": "ka", "seed": 1, "max_attempts": 5000}
    answer = (await client.post("/generate", json=fields)).json()
    assert seen[0] == (f"at most {drawing.MOST}", True)
    assert len(seen) > 1
    assert set(seen[1:]) == {("piece", False)}
    assert answer["attempts"] == 5000
    seen.clear()
    quick = (await client.post("/generate", json={"dataset": "elves", "count": 20, "seed": 1})).json()
    assert seen == [(f"at most {drawing.MOST}", True)]
    assert len(quick["names"]) == 20


async def test_the_stream_has_an_end(client: httpx.AsyncClient) -> None:
    """The last candidate is 2^53-1: a page that reaches it is told to be incomplete, and no index passes it."""
    fields = {"dataset": "elves", "count": 50, "seed": 1, "unique": False, "offset": 2**53 - 3}
    answer = (await client.post("/generate", json=fields)).json()
    assert (answer["attempts"], answer["next_offset"], answer["complete"]) == (3, 2**53, False)
