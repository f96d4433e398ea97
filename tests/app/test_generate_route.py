"""POST and GET /generate: the contract of DESIGN, and what becomes of requests that break it."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.schemas import GenerateRequest
from models import Constraints, Draft, Kernels, SamplingOptions
from models.publication import draft_generator

pytestmark = pytest.mark.anyio

ELVES = {"dataset": "elves"}


async def ask(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post("/generate", json=ELVES | fields)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_the_answer_is_the_generators(client: httpx.AsyncClient, elf_draft: Draft, kernels: Kernels) -> None:
    """The names are those that the generator draws, and the answer tells what led to them."""
    answer = await ask(client, count=20, seed=3, temperature=0.7, case="lower", max_length=20)
    generator = draft_generator(elf_draft, kernels)
    from_models = generator.generate(20, seed=3, options=SamplingOptions(0.7), constraints=Constraints(20))
    assert answer["names"] == from_models.names
    assert answer["model"] == "elves/wavenet@1"
    assert {k: answer[k] for k in ("dataset", "seed", "offset", "temperature")} == {
        "dataset": "elves",
        "seed": 3,
        "offset": 0,
        "temperature": 0.7,
    }
    assert answer["next_offset"] == answer["offset"] + answer["attempts"] == from_models.next_offset


async def test_pages_join(client: httpx.AsyncClient) -> None:
    """Pages that go on at next_offset are, together, one large answer."""
    whole = await ask(client, count=40, seed=5, unique=False)
    offset, names = 0, []
    for count in (3, 30, 7):
        page = await ask(client, count=count, seed=5, offset=offset, unique=False)
        names += page["names"]
        offset = page["next_offset"]
    assert names == whole["names"]
    assert offset == whole["next_offset"]


async def test_get_equals_post(client: httpx.AsyncClient) -> None:
    """The same fields in the query and in the body give the same answer."""
    fields = {"dataset": "elves", "count": 6, "seed": 9, "prefix": "ka", "min_length": 3, "top_k": 5, "top_p": 0.9}
    posted = await client.post("/generate", json=fields)
    got = await client.get("/generate", params=fields)
    assert got.status_code == 200
    assert got.json() == posted.json()
    assert got.headers["cache-control"] == "no-cache"


async def test_without_a_seed_one_is_made_and_told(client: httpx.AsyncClient) -> None:
    """A request without a seed gets a fresh one, echoed; as a link it is not to be cached."""
    assert (await ask(client, count=1))["seed"] == 4711
    got = await client.get("/generate", params=ELVES)
    assert got.json()["seed"] == 4711
    assert got.headers["cache-control"] == "no-store"


async def test_large_requests_are_drawn_in_a_thread_alike(client: httpx.AsyncClient) -> None:
    """A count above the limit for work in place gives the names that small pages give."""
    large = await ask(client, count=500, seed=1, unique=False)
    small = await ask(client, count=20, seed=1, unique=False)
    assert large["names"][:20] == small["names"]
    assert len(large["names"]) == 500


async def test_details_tell_how_likely(client: httpx.AsyncClient) -> None:
    """details gives each name with its characters' log-probabilities, which sum to the name's."""
    answer = await ask(client, count=5, seed=2, details=True)
    plain = await ask(client, count=5, seed=2)
    assert [name["name"] for name in answer["names"]] == plain["names"]
    for name in answer["names"]:
        assert sum(c["log_prob"] for c in name["characters"]) == pytest.approx(name["log_prob"], abs=1e-5)
        assert "".join(c["character"] for c in name["characters"]) == name["name"].lower() + "."


async def test_a_shortfall_is_told(client: httpx.AsyncClient) -> None:
    """A budget that runs out gives fewer names, complete false, and the count of refusals by constraint."""
    answer = await ask(client, count=100, seed=2, max_attempts=40, max_length=4)
    assert answer["complete"] is False
    assert answer["attempts"] == 40
    assert sum(answer["refused"].values()) == 40 - len(answer["names"])
    assert answer["refused"]["max_length"] > 0


async def test_capitals_come_last(client: httpx.AsyncClient) -> None:
    """case is title by default, and lower gives the same names without capitals."""
    title = await ask(client, count=10, seed=2)
    lower = await ask(client, count=10, seed=2, case="lower")
    assert [name.lower() for name in title["names"]] == lower["names"]
    assert all(name[0].isupper() for name in title["names"])


BAD_FIELDS: list[tuple[dict[str, Any], int, str]] = [
    ({"dataset": "elfs"}, 404, "dataset"),
    ({"model": "wavnet"}, 404, "model"),
    ({"model": "wavenet@99"}, 404, "model"),
    ({"model": "human/wavenet@1"}, 422, "model"),
    ({"count": 0}, 422, "count"),
    ({"count": 10001, "unique": False}, 422, "count"),
    ({"count": "7"}, 422, "count"),
    ({"count": True}, 422, "count"),
    ({"count": 3.5}, 422, "count"),
    ({"temperature": 0}, 422, "temperature"),
    ({"temperature": 5.01}, 422, "temperature"),
    ({"temperature": "1"}, 422, "temperature"),
    ({"top_k": 0}, 422, "top_k"),
    ({"top_p": 0}, 422, "top_p"),
    ({"seed": -1}, 422, "seed"),
    ({"seed": 2**53}, 422, "seed"),
    ({"offset": 2**53}, 422, "offset"),
    ({"prefix": "þþþ"}, 422, "prefix"),
    ({"prefix": "\x00"}, 422, "prefix"),
    ({"prefix": "k" * 65}, 422, "prefix"),
    ({"prefix": "kalomi", "max_length": 3}, 422, "prefix"),
    ({"min_length": 30, "max_length": 20}, 422, "min_length"),
    ({"max_length": 65}, 422, "max_length"),
    ({"case": "UPPER"}, 422, "case"),
    ({"unique": 1}, 422, "unique"),
    ({"max_attempts": 10**7}, 422, "max_attempts"),
    ({"secretword": 1}, 422, "(unknown field)"),
]


@pytest.mark.parametrize(("fields", "status", "field"), BAD_FIELDS, ids=repr)
async def test_bad_fields_are_named_and_not_repeated(
    client: httpx.AsyncClient, fields: dict[str, Any], status: int, field: str
) -> None:
    """A field out of range is a small problem document that names field and range and never what was given."""
    answer = await client.post("/generate", json=ELVES | fields)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["errors"][0]["field"] == field
    assert body["errors"][0]["allowed"]
    assert len(answer.content) <= 1024
    for value in ("secretword", *fields.values()):
        if isinstance(value, str) and value != field and len(value) > 3:
            assert value not in answer.text


BAD_BODIES = [
    b"",
    b"{",
    b"[]",
    b"3",
    b"null",
    b'"x"',
    b'{"temperature": NaN}',
    b'{"temperature": Infinity}',
    b'{"temperature": -Infinity}',
    b'{"temperature": 1e999}',
    b'{"temperature": "NaN"}',
    b'{"prefix": "\\ud800"}',
    b'{"dataset": "\\udfff"}',
    b'{"\\ud800": 1}',
    b'{"count": 1, "count": 2}',
    b'{"seed": ' + b"9" * 5000 + b"}",
    b'{"count": 1e400}',
    b"[" * 5000,
    b'{"a":' * 3000 + b"1" + b"}" * 3000,
    b"\xff\xfe{}",
    b"\x00",
    b'{"prefix": "\x00"}',
    b'{"prefix": "\xed\xa0\x80"}',
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda b: repr(b[:40]))
async def test_bad_bodies_are_client_errors(client: httpx.AsyncClient, body: bytes) -> None:
    """Whatever bytes come as JSON, the answer is a small 4xx problem."""
    answer = await client.post("/generate", content=body, headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) <= 1024


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=5,
    ),
    st.sampled_from(["dataset", "model", "count", "temperature", "seed", "prefix", "novel", "case", "top_p", "x"]),
)
def test_no_value_is_a_server_error(value: object, field: str) -> None:
    """Parsing any JSON value in any field ends in a request or in a validation error, never otherwise."""
    from_json = json.loads(json.dumps({field: value}))
    try:
        GenerateRequest.model_validate(from_json)
    except ValidationError:
        return
    assert field != "x"


async def test_other_types_are_refused(client: httpx.AsyncClient) -> None:
    """A body that is not called JSON is 415; an Accept that we cannot meet is 406; a wrong method is 405 with Allow."""
    wrong = await client.post("/generate", content=b"{}", headers={"content-type": "text/plain"})
    assert wrong.status_code == 415
    for accept in ("text/html", "image/*", "application/json;q=0"):
        assert (await client.get("/generate", params=ELVES, headers={"accept": accept})).status_code == 406
    for accept in ("*/*", "application/*", "text/html, application/json;q=0.1"):
        assert (await client.get("/generate", params=ELVES, headers={"accept": accept})).status_code == 200
    method = await client.delete("/generate")
    assert method.status_code == 405
    assert set(method.headers["allow"].replace(" ", "").split(",")) & {"GET", "POST"}


async def test_large_bodies_are_refused(client: httpx.AsyncClient) -> None:
    """A body above the limit is 413, whether it says its length or comes in chunks."""
    large = b'{"prefix": "' + b"a" * 20_000 + b'"}'
    headers = {"content-type": "application/json"}
    assert (await client.post("/generate", content=large, headers=headers)).status_code == 413

    async def chunks():  # type: ignore[no-untyped-def]
        for i in range(0, len(large), 1000):
            yield large[i : i + 1000]

    assert (await client.post("/generate", content=chunks(), headers=headers)).status_code == 413


async def test_repeated_and_unknown_parameters_are_refused(client: httpx.AsyncClient) -> None:
    """In a link, a parameter that comes twice and one that does not exist are 422; values are not repeated."""
    for query in ("dataset=elves&count=1&count=2", "dataset=elves&tempreature=1", "dataset=elves&temperature=nan"):
        answer = await client.get(f"/generate?{query}")
        assert answer.status_code == 422
        assert "tempreature" not in answer.text
