"""Accept is read as RFC 9110 says, and the routes answer in the form that it chose."""

from typing import Any

import httpx
import pytest

from app.negotiation import CSV, JSON, NDJSON, TEXT, chosen

CASES = [
    ([], JSON),
    ([""], JSON),
    (["*/*"], JSON),
    (["application/*"], JSON),
    (["text/*"], TEXT),
    (["text/csv"], CSV),
    (["Text/CSV; header=present"], CSV),
    (["application/x-ndjson, application/json"], JSON),
    (["application/json;q=0.9, application/x-ndjson"], NDJSON),
    (["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], JSON),
    (["text/html, text/plain;q=0.1"], TEXT),
    (["text/plain;q=0.5", "text/csv; q=0.7"], CSV),
    (["*/*;q=0.5, application/json;q=0.1"], NDJSON),
    (["*/*, application/json;q=0"], NDJSON),
    (["text/*;q=0.3, text/csv;q=0.2, */*;q=0.1"], TEXT),
    (["application/*;q=0, */*"], TEXT),
    (["application/json;q=0"], None),
    (["application/json;q=0.000"], None),
    (["text/html"], None),
    (["application/json;q=2"], None),
    (["application/json;q=x, text/csv;q=0.1"], CSV),
]


@pytest.mark.parametrize(("headers", "media"), CASES, ids=repr)
def test_the_best_liked_form_is_chosen(headers: list[str], media: str | None) -> None:
    """The most specific range weighs; the highest wins, JSON where they are equal; q=0 and bad weights refuse."""
    assert chosen(headers) == media


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (JSON, "application/json"),
        (NDJSON, "application/x-ndjson"),
        (TEXT, "text/plain; charset=utf-8"),
        (CSV, "text/csv; charset=utf-8; header=present"),
    ],
)
async def test_each_form_has_its_type(client: httpx.AsyncClient, accept: str, content_type: str) -> None:
    """Links and bodies get the form asked for, under its media type, and caches are told that Accept decides."""
    fields: dict[str, Any] = {"dataset": "elves", "count": 2, "seed": 1}
    posted = await client.post("/generate", json=fields, headers={"accept": accept})
    got = await client.get("/generate", params=fields, headers={"accept": accept})
    for answer in (posted, got):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == content_type
        assert answer.headers["vary"] == "Accept"
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert posted.content == got.content


@pytest.mark.anyio
async def test_no_form_is_a_problem_that_names_ours(client: httpx.AsyncClient) -> None:
    """406 names the four forms."""
    answer = await client.get("/generate?dataset=elves", headers={"accept": "image/png"})
    assert answer.status_code == 406
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["vary"] == "Accept"
    assert all(media in answer.json()["detail"] for media in (JSON, NDJSON, TEXT, CSV))


@pytest.mark.anyio
async def test_the_documentation_shows_every_form(client: httpx.AsyncClient) -> None:
    """OpenAPI has the four forms of both operations, each with an example, and JSON's schema."""
    document = (await client.get("/openapi.json")).json()
    for method in ("get", "post"):
        content = document["paths"]["/generate"][method]["responses"]["200"]["content"]
        assert set(content) == {JSON, NDJSON, TEXT, CSV}
        assert all(form["example"] for form in content.values())
        assert content[JSON]["schema"] == {"$ref": "#/components/schemas/GenerateAnswer"}
