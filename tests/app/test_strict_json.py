"""Links and bodies are read strictly, and errors are small."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.schemas import ALLOWED, SYNONYMS, GenerateRequest
from app.settings import Settings
from tests.harness.app_client import AppClient, app_client, error_of, problem_of

pytestmark = pytest.mark.anyio
JSON_HEADERS = {"content-type": "application/json"}
FIELDS = ("dataset", "model", "count", "min_length", "max_attempts", "prefix", "case", "seed", "top_k", "novel")
LARGE_BODY = b'{"prefix": "' + b"a" * 20_000 + b'"}'
NUMBERS = (b"NaN", b"Infinity", b"-Infinity", b"1e999", b'"NaN"')
LOOSE = {
    "count": ["1_0", "%205", "5.0", "%D9%A5", "", "1&count=2"],
    "seed": ["+1"],
    "temperature": ["1_0", "inf", "nan", "1e999"],
    "unique": ["yes"],
    "details": ["1"],
    "dataset": [""],
    "model": [""],
}
BAD_BODIES = [
    *(b"", b"{", b"[]", b"3", b"null", b'"x"', b"\x00", b"\xff\xfe{}", b"[" * 5000),
    *(b'{"temperature": %b}' % number for number in NUMBERS),
    b'{"prefix": "\\ud800"}',
    b'{"prefix": "\x00"}',
    b'{"prefix": "\xed\xa0\x80"}',
    b'{"dataset": "\\udfff"}',
    b'{"\\ud800": 1}',
    b'{"count": 1, "count": 2}',
    b'{"count": 1e400}',
    b'{"seed": ' + b"9" * 5000 + b"}",
    b'{"a":' * 3000 + b"1" + b"}" * 3000,
]


@pytest.fixture(scope="module")
async def client(elf_store: Path) -> AsyncIterator[AppClient]:
    """A client of one service for all tests here, none of which changes it. Its loop stands still between tests."""
    stores = Settings(store=elf_store / "user", shipped_store=elf_store / "shipped", watchdog=0)
    async with app_client(stores) as client:
        yield client


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda b: repr(b[:40]))
async def test_bad_body_is_a_client_error(client: AppClient, body: bytes) -> None:
    response = await client.post("/generate", content=body, headers=JSON_HEADERS)
    assert response.is_client_error
    assert problem_of(response, response.status_code)


@settings(max_examples=100)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=5,
    ),
    st.sampled_from(["dataset", "model", "count", "temperature", "seed", "prefix", "novel", "case", "top_p", "x"]),
)
def test_any_json_value_is_valid_or_a_validation_error(value: object, field: str) -> None:
    from_json = json.loads(json.dumps({field: value}))
    try:
        GenerateRequest.model_validate(from_json)
    except ValidationError:
        return
    assert field != "x"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
async def test_json_that_is_not_utf8_is_400(client: AppClient, encoding: str) -> None:
    body = '{"dataset": "elves"}'.encode(encoding)
    assert (await client.post("/generate", content=body, headers=JSON_HEADERS)).status_code == 400


async def test_body_of_another_content_type_is_415(client: AppClient) -> None:
    response = await client.post("/generate", content=b"{}", headers={"content-type": "text/plain"})
    assert response.status_code == 415


@pytest.mark.parametrize("chunked", [False, True])
async def test_body_above_the_limit_is_413(client: AppClient, chunked: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for i in range(0, len(LARGE_BODY), 1000):
            yield LARGE_BODY[i : i + 1000]

    body = chunks() if chunked else LARGE_BODY
    assert (await client.post("/generate", content=body, headers=JSON_HEADERS)).status_code == 413


@pytest.mark.parametrize(("field", "value"), [(field, value) for field in LOOSE for value in LOOSE[field]])
async def test_loose_notation_in_a_link_is_422(client: AppClient, field: str, value: str) -> None:
    prefix = "" if field == "dataset" else "dataset=elves&"
    assert error_of(await client.get(f"/generate?{prefix}{field}={value}"))["field"] == field


@pytest.mark.parametrize("name", ["secret-1", "s" * 33, "sécret", "secret.x"])
async def test_unknown_field_is_not_repeated_if_it_is_no_identifier(client: AppClient, name: str) -> None:
    for response in (
        await client.get("/generate", params={"dataset": "elves", name: "1"}),
        await client.get("/generate", params=[("dataset", "elves"), (name, "1"), (name, "2")]),
        await client.post("/generate", json={name: 1}),
    ):
        assert error_of(response)["field"] == "(unknown field)"
        assert name not in response.text


@pytest.mark.parametrize(
    "query", ["temperature=.8", "temperature=1", "temperature=8e-1", "unique=false", "details=true"]
)
async def test_plain_notation_in_a_link_is_accepted(client: AppClient, query: str) -> None:
    assert (await client.get(f"/generate?dataset=elves&count=2&{query}")).status_code == 200


async def test_query_beside_a_body_is_422(client: AppClient) -> None:
    response = await client.post("/generate?count=3", json={"dataset": "elves"})
    assert error_of(response)["field"] == "(query)"


async def test_unknown_field_gets_the_nearest_known_one(client: AppClient) -> None:
    response = await client.post("/generate", json={"dataset": "elves", "tempreature": 1})
    assert error_of(response)["nearest"] == ["temperature"]
    assert response.json()["detail"] == "unknown field `tempreature`; did you mean `temperature`?"
    assert response.json()["code"] == "unknown_field"
    assert problem_of(await client.get("/generate?n=3"))["detail"] == "unknown field `n`; did you mean `count`?"
    unlike = problem_of(await client.get("/generate?zzzz=3"))
    assert unlike["detail"].startswith("unknown field `zzzz`; the fields are dataset, model, style, count, ")


async def test_synonyms_are_known_fields_and_no_fields_themselves() -> None:
    assert set(SYNONYMS.values()) <= set(ALLOWED)
    assert not set(SYNONYMS) & set(ALLOWED)


@pytest.mark.parametrize("temperature", ["0", "0.0"])
async def test_temperature_zero_points_to_top_k(client: AppClient, temperature: str) -> None:
    expected = "temperature must be a number between 0.05 and 5; top_k=1 gives the likeliest name."
    assert problem_of(await client.get(f"/generate?temperature={temperature}"))["detail"] == expected
    sent = await client.post("/generate", json={"temperature": float(temperature)})
    assert problem_of(sent)["detail"] == expected
    assert "top_k" not in problem_of(await client.get("/generate?temperature=9"))["detail"]


@pytest.mark.parametrize(
    ("address", "field"),
    [("/generate?names=a", "names"), ("/next?count=3", "count"), ("/lab/wavenet?seed=1&name=a", "seed")],
)
async def test_allowed_fields_are_those_of_the_route(client: AppClient, address: str, field: str) -> None:
    error = error_of(await client.get(address))
    allowed = error["allowed"].removeprefix("one of ").split(", ")
    assert "dataset" in allowed
    assert field not in allowed
    assert field not in error["nearest"]


async def test_allowed_fields_are_those_of_the_body(client: AppClient) -> None:
    error = error_of(await client.post("/lab/graph", json={"expression": "1", "count": 1}))
    assert error["allowed"] == "one of expression"


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        # The longest list of allowed fields appears twice where the only wrong field is an unknown one.
        ({"max_atempts": 1}, "did you mean `max_attempts`?"),
        ({name: [] for name in FIELDS}, "more fields are wrong"),
        ({"zzz": 1, "model": [], "min_length": [], "max_attempts": []}, "more fields are wrong"),
    ],
)
async def test_error_with_many_fields_is_small(client: AppClient, fields: dict[str, Any], detail: str) -> None:
    response = await client.post("/generate", json=fields)
    assert detail in problem_of(response)["detail"]


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/generate", {"GET", "HEAD", "POST"}), ("/info", {"GET", "HEAD"}), ("/score", {"POST"})],
)
async def test_405_lists_every_allowed_method(client: AppClient, path: str, methods: set[str]) -> None:
    response = await client.put(path)
    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == methods
