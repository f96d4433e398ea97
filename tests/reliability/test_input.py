"""Hostile requests: bodies that are too large or too deep, invalid values, and errors that repeat nothing."""

import json
import math
import socket
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from app.responses import GenerateAnswer, NameDetail
from app.schemas import ALLOWED
from app.web.strict_json import MAX_DEPTH, read_json
from models.spelling import fold
from tests.harness.answers import Ask
from tests.harness.app_client import error_of, problem_of
from tests.harness.service import LIMIT, Service

JSON = {"content-type": "application/json"}
HEAD = b"POST /generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
HUGE = 200_000_000
BLOCK = b" " * 1_000_000
FRAMINGS = {
    "declared": (b"Content-Length: %d\r\n" % HUGE, BLOCK),
    "chunked": (b"Transfer-Encoding: chunked\r\n", b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK)),
}
UNREADABLE = {
    "arrays": b"[" * 5_000 + b"]" * 5_000,
    "objects": b'{"a":' * 2_500 + b"1" + b"}" * 2_500,
    "one too deep": b'{"names":' + b"[" * 20 + b"]" * 20 + b"}",
    "never closed": b"[" * 16_000,
    "a giant integer": b'{"count":' + b"9" * 5_000 + b"}",
    "a repeated key": b'{"count":1,"count":1}',
    "a repeated key inside": b'{"dataset":{"human":1,"human":1}}',
}
# All examples share the application, as clients do.
property_test = settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
NOT_NUMBERS = ("NaN", "-NaN", "Infinity", "-Infinity", "1e999", "-1e999", '"NaN"', '"1"', "true", "null", "[1]", "{}")
ODD = ("\ud800", "a\udfff", "\x00", "a\x00b", "\x1b[31m", "\r\n", "\u202e", "\u200b", "\ufeff", "\U0001f984", "\u0130")
WRONG_TYPES = {
    "true for a number": {"count": True},
    "text for a number": {"count": "7"},
    "a float for an integer": {"count": 3.0},
    "a number for a boolean": {"unique": 1},
    "text for a boolean": {"unique": "true"},
    "a number for text": {"prefix": 1},
    "a list for text": {"model": ["lstm"]},
    "an unknown field": {"colour": "red"},
    "a Python attribute": {"__class__": {}},
    "text for a weight": {"dataset": {"human": "1"}},
}
# No identifier: such a field is never repeated.
MARK = "zqx-jkvw"
MARKED = st.text(st.characters(codec="utf-8"), max_size=400).map(lambda text: MARK + text)
VALUES = st.one_of(MARKED, st.lists(MARKED, max_size=3), st.dictionaries(MARKED, MARKED, max_size=3))
BODIES = st.dictionaries(st.one_of(st.sampled_from(sorted(ALLOWED)), MARKED), VALUES, min_size=1, max_size=30)
KEYS = ",".join(f'"{k:x}":1' for k in range(50_000))
CROWDED = {
    "keys": "{" + KEYS + "}",
    "keys inside": '{"dataset":{' + KEYS + "}}",
    "objects": f'{{"names":[{"{}," * 100_000}1]}}',
    "arrays": f'{{"names":[{"[]," * 100_000}1]}}',
    "an endless string of quotes": "[" * 30 + '"' + '\\"' * 200_000,
}


def send(port: int, head: bytes, piece: bytes, times: int) -> bytes:
    """Send as much as the server takes; return its answer, empty if it was lost with the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as client:
        with suppress(ConnectionError):
            client.sendall(head + b"\r\n")
            for _ in range(times):
                client.sendall(piece)
        with suppress(ConnectionError):
            return client.recv(65_536)
    return b""


def assert_refused(answer: httpx.Response, *statuses: int) -> None:
    """Check that the answer is a small problem document with one of the statuses."""
    assert answer.status_code in statuses
    assert problem_of(answer, answer.status_code)["status"] == answer.status_code


@pytest.mark.row(1)
@pytest.mark.parametrize(("framing", "piece"), FRAMINGS.values(), ids=FRAMINGS)
def test_huge_body_is_refused_without_being_read(service: Service, framing: bytes, piece: bytes) -> None:
    before = service.memory()
    answer = send(service.port, HEAD + framing, piece, HUGE // len(BLOCK))
    assert answer == b"" or answer.startswith(b"HTTP/1.1 413 ")
    assert service.memory() - before < 5
    assert service.is_ready()


@pytest.mark.row(1)
def test_declared_length_is_refused_before_the_body(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=LIMIT) as client:
        client.sendall(HEAD + b"Content-Length: 20000\r\n\r\n")
        # A server that waited for the body would answer 408.
        assert client.recv(65_536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.row(1)
@pytest.mark.parametrize("path", ["/generate", "/next", "/health/live", "/models", "/openapi.json"])
def test_every_route_refuses_a_body_above_16_kib(service: Service, path: str) -> None:
    for size, statuses in ((16_385, {413}), (16_384, {400, 405})):
        assert httpx.post(service.address + path, content=b" " * size, headers=JSON).status_code in statuses


@pytest.mark.row(1)
@pytest.mark.parametrize(("size", "status"), [(524_288, 200), (524_289, 413)])
def test_score_takes_a_body_of_512_kib(service: Service, size: int, status: int) -> None:
    body = json.dumps({"names": ["anna"]}).encode().ljust(size)
    assert httpx.post(f"{service.address}/score", content=body, headers=JSON, timeout=LIMIT).status_code == status


@pytest.mark.row(2)
def test_many_tiny_chunks_leave_no_memory_behind(service: Service) -> None:
    chunks = b"1\r\n \r\n" * 65_536
    for attack in range(30):
        if attack == 10:
            before = service.memory()
        answer = send(service.port, HEAD + b"Transfer-Encoding: chunked\r\n", chunks, 1)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 413 ")
    assert service.memory() - before < 1


@pytest.mark.row(9)
@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_deep_giant_or_repeated_json_is_400(ask: Ask, body: bytes) -> None:
    assert ask("POST", "/generate", content=body, headers=JSON).status_code == 400
    assert "400" in ask("GET", "/openapi.json").json()["paths"]["/generate"]["post"]["responses"]


@pytest.mark.row(9)
@pytest.mark.parametrize("depth", [1, MAX_DEPTH, MAX_DEPTH + 1, 900, 100_000])
@pytest.mark.parametrize("text", [b"", b'"' + b"[{" * 50 + b'",'])
def test_json_nests_at_most_20_deep_beside_any_text(depth: int, text: bytes) -> None:
    body = b"[" + text + (b"[" * (depth - 1) + b"]" * depth if depth > 1 else b"1]")
    if depth <= MAX_DEPTH:
        assert isinstance(read_json(body), list)
        return
    with pytest.raises(HTTPException) as caught:
        read_json(body)
    assert caught.value.status_code == 400


@pytest.mark.row(9)
def test_brackets_in_names_do_not_count_as_depth(ask: Ask) -> None:
    names = ["[{" * 10, "]}", *[f"[{k}]" for k in range(100)]]
    answer = ask("POST", "/score", json={"names": names})
    assert answer.status_code == 200
    assert len(answer.json()["scores"]) == 102


def test_details_equal_the_answer_model_serialized(ask: Ask) -> None:
    body = {"count": 300, "details": True, "seed": 3, "sort": "likelihood", "min_length": 4}
    content = ask("POST", "/generate", json=body).content
    answer = GenerateAnswer.model_validate_json(content)
    assert len(answer.names) == 300
    assert answer.model_dump_json().encode() == content
    likelihoods = [name.log_prob for name in answer.names if isinstance(name, NameDetail)]
    assert likelihoods == sorted(likelihoods, reverse=True)
    assert len(likelihoods) == 300


@pytest.mark.row(6)
@pytest.mark.parametrize("number", NOT_NUMBERS)
@pytest.mark.parametrize("field", ["temperature", "top_p", "count", "seed", "dataset"])
def test_invalid_number_is_refused_in_body_and_query(ask: Ask, field: str, number: str) -> None:
    value = f'{{"human": {number}}}' if field == "dataset" else number
    answer = ask("POST", "/generate", content=f'{{"{field}": {value}}}', headers=JSON)
    if number == "null" and field in ("top_p", "seed"):
        assert answer.status_code == 200
        return
    assert_refused(answer, 400, 422)
    linked = ask("GET", f"/generate?{field}={number if field != 'dataset' else 'human:' + number}")
    assert linked.status_code == 422


@pytest.mark.row(6)
@pytest.mark.parametrize("body", ['{"temperature": %s}', '{"dataset": {"human": %s}}', "%s"])
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_nan_and_infinity_are_not_json(ask: Ask, body: str, number: str) -> None:
    assert ask("POST", "/generate", content=body % number, headers=JSON).status_code == 400


@pytest.mark.row(7)
@property_test
@given(temperature=st.floats(0.05, 5), top_p=st.floats(0, 1, exclude_min=True), prefix=st.sampled_from(["", "mar"]))
def test_probabilities_are_finite_at_every_temperature(ask: Ask, temperature: float, top_p: float, prefix: str) -> None:
    answer = ask("GET", "/next", params={"temperature": f"{temperature:.17f}"[:20], "prefix": prefix})
    assert answer.status_code == 200
    probabilities = [entry["probability"] for entry in answer.json()["characters"]]
    assert all(math.isfinite(p) and p >= 0 for p in probabilities)
    assert math.isclose(sum(probabilities), 1, abs_tol=1e-3)
    body = {"temperature": temperature, "top_p": top_p, "prefix": prefix, "count": 2, "max_attempts": 100}
    assert ask("POST", "/generate", json=body).status_code == 200


@pytest.mark.row(7)
@pytest.mark.parametrize("temperature", [0, 0.0499999, 5.000001, -1, 5e-324, 1e308, 10**30])
def test_temperature_out_of_range_is_422(ask: Ask, temperature: float) -> None:
    answer = ask("POST", "/generate", json={"temperature": temperature})
    assert error_of(answer)["allowed"].startswith("a number between 0.05 and 5")


@pytest.mark.row(8)
@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("field", ["prefix", "contains", "ends_with", "excludes", "pattern", "dataset", "model"])
def test_odd_characters_are_refused_or_match_no_name(ask: Ask, field: str, text: str) -> None:
    """Surrogates, NUL, control, bidi and foreign characters. What shows nothing is dropped, as from names of a list."""
    body = json.dumps({field: text, "count": 1, "max_attempts": 20}).encode()
    answer = ask("POST", "/generate", content=body, headers=JSON)
    if answer.status_code == 200:
        # İ is i in an alphabet without the dot that it has in lower case.
        is_known = field == "prefix" and fold(text) in ("", "i\u0307")
        assert field in ("contains", "ends_with", "excludes", "pattern") or is_known
        assert not any(text in name for name in answer.json()["names"])
    else:
        assert_refused(answer, 400, 422, *([404] if field != "prefix" else []))


@pytest.mark.row(8)
@pytest.mark.parametrize("dataset", ["human", "animal"])
def test_names_consist_of_the_models_vocabulary(ask: Ask, dataset: str) -> None:
    answer = ask("POST", "/generate", json={"dataset": dataset, "temperature": 5, "count": 2000, "case": "lower"})
    reference, _, version = answer.json()["model"].partition("@")
    vocabulary = set(ask("GET", f"/models/{reference}/{version}").json()["vocabulary"])
    characters = set("".join(answer.json()["names"]))
    assert len(characters) > 20
    assert characters <= vocabulary


@pytest.mark.row(10)
@pytest.mark.parametrize("body", WRONG_TYPES.values(), ids=WRONG_TYPES)
def test_wrong_type_and_unknown_field_are_422(ask: Ask, body: dict[str, Any]) -> None:
    assert_refused(ask("POST", "/generate", json=body), 422)


@pytest.mark.row(11)
@property_test
@given(body=BODIES, path=st.sampled_from(["/generate", "/score"]), query=MARKED)
def test_error_is_small_and_never_repeats_its_input(ask: Ask, body: dict[str, Any], path: str, query: str) -> None:
    answers = [
        ask("POST", path, json=body),
        ask("GET", "/generate", params={"dataset": query, query: query}),
        ask("GET", "/generate", params={"model": query, "prefix": query}),
        ask("GET", "/next", params={"prefix": query}),
        ask("GET", "/" + quote(query, safe="")),
        ask("GET", f"/models/{MARK}/lstm/{MARK}"),
        ask("GET", "/generate", headers={"accept": MARK}),
        ask("POST", path, content=b"{}", headers={"content-type": MARK}),
        ask("POST", path, content=b"{}", headers={"x-request-id": f"{MARK}!"}, params={query: "1"}),
    ]
    refused = [answer for answer in answers if answer.status_code >= 400]
    assert len(refused) >= 7
    for answer in refused:
        assert_refused(answer, answer.status_code)
        assert MARK not in answer.text.lower()
        assert MARK not in str(answer.headers).lower()


@pytest.mark.row(11)
@pytest.mark.parametrize("body", [{key: [] for key in ALLOWED}, {f"{MARK}{k}": k for k in range(800)}])
def test_error_about_many_fields_is_small(ask: Ask, body: dict[str, Any]) -> None:
    answer = ask("POST", "/generate", json=body)
    assert_refused(answer, 422)
    assert MARK not in answer.text


@pytest.mark.row(17)
@pytest.mark.parametrize("body", CROWDED.values(), ids=CROWDED)
def test_body_with_too_many_values_is_400(ask: Ask, body: str) -> None:
    assert_refused(ask("POST", "/score", content=body.encode(), headers=JSON), 400)


@pytest.mark.row(17)
def test_braces_in_names_are_not_counted_as_objects(ask: Ask) -> None:
    answer = ask("POST", "/score", json={"names": ['{["\\' * 15] * 30})
    assert (answer.status_code, len(answer.json()["scores"])) == (200, 30)


@pytest.mark.row(17)
@pytest.mark.parametrize(("parameters", "field"), [(100, "x0"), (101, "(query)")])
def test_link_with_over_100_parameters_is_refused_unread(ask: Ask, parameters: int, field: str) -> None:
    link = "&".join(f"x{k}=1" for k in range(parameters))
    assert [error["field"] for error in ask("GET", f"/generate?{link}").json()["errors"]] == [field]


@pytest.mark.row(17)
def test_nearest_field_is_searched_once(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[str] = []
    monkeypatch.setattr("difflib.get_close_matches", lambda word, *_, **__: searched.append(word) or [])
    assert ask("POST", "/generate", json={f"x{k}": k for k in range(800)}).status_code == 422
    assert len(searched) == 1
