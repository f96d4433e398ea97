"""Content negotiation by Accept (RFC 9110, 12.5.1), and the OpenAPI document."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.main import create_app
from app.settings import Settings
from app.web.negotiation import CSV, JSON, NDJSON, TEXT, chosen
from tests.harness.app_client import AppClient, problem_of

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("headers", "media"),
    [
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
        (["text/html, application/json;q=0.1"], JSON),
        (["text/html, text/plain;q=0.1"], TEXT),
        (["text/plain;q=0.5", "text/csv; q=0.7"], CSV),
        (["*/*;q=0.5, application/json;q=0.1"], NDJSON),
        (["*/*, application/json;q=0"], NDJSON),
        (["text/*;q=0.3, text/csv;q=0.2, */*;q=0.1"], TEXT),
        (["application/*;q=0, */*"], TEXT),
        (["application/json;q=0"], None),
        (["application/json;q=0.000"], None),
        (["text/html"], None),
        (["image/*"], None),
        (["application/json;q=2"], None),
        (["application/json;q=x, text/csv;q=0.1"], CSV),
    ],
    ids=repr,
)
def test_accept_header_chooses_the_media_type(headers: list[str], media: str | None) -> None:
    assert chosen(headers) == media


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (JSON, "application/json"),
        (NDJSON, "application/x-ndjson"),
        (TEXT, "text/plain; charset=utf-8"),
        (CSV, "text/csv; charset=utf-8; header=present"),
    ],
)
async def test_get_and_post_answer_in_the_media_type(client: AppClient, accept: str, content_type: str) -> None:
    fields: dict[str, Any] = {"dataset": "elves", "count": 2, "seed": 1}
    posted = await client.post("/generate", json=fields, headers={"accept": accept})
    linked = await client.get("/generate", params=fields, headers={"accept": accept})
    for response in (posted, linked):
        assert response.status_code == 200
        assert response.headers["content-type"] == content_type
        assert response.headers["vary"] == "Accept"
        assert response.headers["x-content-type-options"] == "nosniff"
    assert posted.content == linked.content


async def test_406_names_the_four_media_types(client: AppClient) -> None:
    response = await client.get("/generate?dataset=elves", headers={"accept": "image/png"})
    assert response.headers["vary"] == "Accept"
    assert all(media in problem_of(response, 406)["detail"] for media in (JSON, NDJSON, TEXT, CSV))


async def test_openapi_has_an_example_of_each_media_type(client: AppClient) -> None:
    document = (await client.get("/openapi.json")).json()
    for method in ("get", "post"):
        content = document["paths"]["/generate"][method]["responses"]["200"]["content"]
        assert set(content) == {JSON}
        assert content[JSON]["example"]
        assert content[JSON]["schema"] == {"$ref": "#/components/schemas/GenerateAnswer"}
    streams = document["components"]["responses"]["NameStream"]["content"]
    assert set(streams) == {NDJSON, TEXT, CSV}
    assert all(form["example"] for form in streams.values())


async def test_openapi_requires_no_field_with_a_default(client: AppClient) -> None:
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    request = schemas["GenerateRequest"]
    assert "required" not in request
    assert not [name for name, field in request["properties"].items() if "default" in field]
    assert {"DatasetSelection", "ModelSelection", "Dataset", "ModelVersion", "Names"} <= set(schemas)


def test_openapi_document_is_checked_in() -> None:
    """`python -m app openapi > docs/openapi.json` writes it, so that a change of the contract shows in its diff."""
    written = json.loads((ROOT / "docs/openapi.json").read_text("utf-8"))
    assert written == json.loads(json.dumps(create_app(Settings()).openapi()))
