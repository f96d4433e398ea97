"""Rows 6, 7, 8, 10, 11: values that are no numbers or no letters, and answers that never repeat them."""

import json
import math
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.schemas import ALLOWED

Ask = Callable[..., httpx.Response]
JSON = {"content-type": "application/json"}
# The application is the same for all examples, as it would be for all clients.
property_test = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def is_small_problem(answer: httpx.Response) -> bool:
    """Whether it is an RFC 9457 problem of a kilobyte at most."""
    problem = answer.headers["content-type"] == "application/problem+json"
    return problem and answer.json()["status"] == answer.status_code and len(answer.content) <= 1024


NO_NUMBERS = ("NaN", "-NaN", "Infinity", "-Infinity", "1e999", "-1e999", '"NaN"', '"1"', "true", "null", "[1]", "{}")


@pytest.mark.parametrize("number", NO_NUMBERS)
@pytest.mark.parametrize("field", ["temperature", "top_p", "count", "seed", "dataset"])
def test_row_06_no_number_is_a_small_refusal(ask: Ask, field: str, number: str) -> None:
    """NaN, infinities and what is no number at all are 400 or 422 with a small problem, wherever a number may stand."""
    value = f'{{"human": {number}}}' if field == "dataset" else number
    answer = ask("POST", "/generate", content=f'{{"{field}": {value}}}', headers=JSON)
    if number == "null" and field in ("top_p", "seed"):
        assert answer.status_code == 200
        return
    assert answer.status_code in (400, 422)
    assert is_small_problem(answer)
    linked = ask("GET", f"/generate?{field}={number if field != 'dataset' else 'human:' + number}")
    assert linked.status_code == 422


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_row_06_no_number_is_refused_as_json(ask: Ask, number: str) -> None:
    """What JSON has no number for is no JSON: 400, wherever it stands."""
    for body in (f'{{"temperature": {number}}}', f'{{"dataset": {{"human": {number}}}}}', number):
        assert ask("POST", "/generate", content=body, headers=JSON).status_code == 400


@property_test
@given(temperature=st.floats(0.05, 5), top_p=st.floats(0, 1, exclude_min=True), prefix=st.sampled_from(["", "mar"]))
def test_row_07_every_accepted_temperature_gives_probabilities(
    ask: Ask, temperature: float, top_p: float, prefix: str
) -> None:
    """Over the whole closed range the next character's probabilities are finite, none negative, and add up to 1; names
    can be drawn.
    """
    query = {"temperature": f"{temperature:.17f}"[:20], "prefix": prefix}
    answer = ask("GET", "/next", params=query)
    assert answer.status_code == 200
    chances = [entry["probability"] for entry in answer.json()["characters"]]
    assert all(math.isfinite(p) and p >= 0 for p in chances)
    assert math.isclose(sum(chances), 1, abs_tol=1e-3)
    body = {"temperature": temperature, "top_p": top_p, "prefix": prefix, "count": 2, "max_attempts": 100}
    assert ask("POST", "/generate", json=body).status_code == 200


@pytest.mark.parametrize("temperature", [0, 0.0499999, 5.000001, -1, 5e-324, 1e308, 10**30])
def test_row_07_no_other_temperature_is_taken(ask: Ask, temperature: float) -> None:
    """Beside the range, 0 too, a temperature is 422 with the range."""
    answer = ask("POST", "/generate", json={"temperature": temperature})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["allowed"] == "a number, 0.05 to 5"


ODD = ("\ud800", "a\udfff", "\x00", "a\x00b", "\x1b[31m", "\r\n", "\u202e", "\u200b", "\ufeff", "\U0001f984", "\u0130")


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("field", ["prefix", "contains", "ends_with", "excludes", "pattern", "dataset", "model"])
def test_row_08_no_odd_character_passes(ask: Ask, field: str, text: str) -> None:
    """Halves of surrogate pairs, NUL, control, bidi and foreign characters are refused, or match no name; never 5xx."""
    body = json.dumps({field: text, "count": 1, "max_attempts": 20}).encode()
    answer = ask("POST", "/generate", content=body, headers=JSON)
    if answer.status_code == 200:
        names = answer.json()["names"]
        assert field in ("contains", "ends_with", "excludes", "pattern")
        assert not any(text in name for name in names)
    else:
        assert answer.status_code in (400, 404, 422)
        assert is_small_problem(answer)
    if field == "prefix":
        assert answer.status_code in (400, 422)


@pytest.mark.parametrize("dataset", ["human", "animal"])
def test_row_08_names_are_of_the_models_alphabet(ask: Ask, dataset: str) -> None:
    """At the wildest temperature, names have no character but those of the model's vocabulary."""
    answer = ask("POST", "/generate", json={"dataset": dataset, "temperature": 5, "count": 2000, "case": "lower"})
    reference, _, version = answer.json()["model"].partition("@")
    vocabulary = set(ask("GET", f"/models/{reference}/{version}").json()["vocabulary"])
    drawn = set("".join(answer.json()["names"]))
    assert len(drawn) > 20
    assert drawn <= vocabulary


COERCED = {
    "true for a number": {"count": True},
    "text for a number": {"count": "7"},
    "a float for a whole number": {"count": 3.0},
    "a number for a truth value": {"unique": 1},
    "text for a truth value": {"unique": "true"},
    "a number for text": {"prefix": 1},
    "a list for text": {"model": ["lstm"]},
    "an unknown field": {"colour": "red"},
    "an unknown field of Python's": {"__class__": {}},
    "text for a weight": {"dataset": {"human": "1"}},
}


@pytest.mark.parametrize("body", COERCED.values(), ids=COERCED)
def test_row_10_nothing_is_coerced_or_dropped(ask: Ask, body: dict[str, Any]) -> None:
    """A value of another type, and a field that there is not, are 422."""
    answer = ask("POST", "/generate", json=body)
    assert answer.status_code == 422
    assert is_small_problem(answer)


MARK = "zqxjkvw"
MARKED = st.text(st.characters(codec="utf-8"), max_size=400).map(lambda text: MARK + text)
VALUES = st.one_of(MARKED, st.lists(MARKED, max_size=3), st.dictionaries(MARKED, MARKED, max_size=3))
BODIES = st.dictionaries(st.one_of(st.sampled_from(sorted(ALLOWED)), MARKED), VALUES, min_size=1, max_size=30)


@property_test
@given(body=BODIES, path=st.sampled_from(["/generate", "/score"]), query=MARKED)
def test_row_11_errors_are_small_and_repeat_nothing(ask: Ask, body: dict[str, Any], path: str, query: str) -> None:
    """Whatever fields and values a body, a query, a path or a header has, an error is a kilobyte at most and has none
    of it, in its head neither.
    """
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
        assert is_small_problem(answer)
        assert MARK not in answer.text.lower()
        assert MARK not in str(answer.headers).lower()


def test_row_11_however_much_is_wrong_the_error_is_small(ask: Ask) -> None:
    """With every field wrong, and with hundreds of unknown ones, an error is a kilobyte at most and names none."""
    for body in ({key: [] for key in ALLOWED}, {f"{MARK}{k}": k for k in range(800)}):
        answer = ask("POST", "/generate", json=body)
        assert answer.status_code == 422
        assert is_small_problem(answer)
        assert MARK not in answer.text


def test_row_17_a_body_with_too_much_in_it_is_refused_at_once(ask: Ask) -> None:
    """Tens of thousands of keys, or of objects, in a body that is small enough are refused while they are read: each
    that is wrong would take its time. Braces in a name are no objects.
    """
    keys = ",".join(f'"{k:x}":1' for k in range(50_000))
    for body in (
        "{" + keys + "}",
        '{"dataset":{' + keys + "}}",
        f'{{"names":[{"{}," * 100_000}1]}}',
        f'{{"names":[{"[]," * 100_000}1]}}',
    ):
        answer = ask("POST", "/score", content=body.encode(), headers=JSON)
        assert answer.status_code == 400
        assert is_small_problem(answer)
    answer = ask("POST", "/score", json={"names": ['{["\\' * 15] * 30})
    assert (answer.status_code, len(answer.json()["scores"])) == (200, 30)
    # A string that never ends, full of marks that could begin one.
    assert ask("POST", "/score", content=b"[" * 30 + b'"' + b'\\"' * 200_000, headers=JSON).status_code == 400


def test_row_17_a_link_with_too_many_parameters_is_refused_at_once(ask: Ask) -> None:
    """A hundred parameters are looked at, more are not."""
    link = "&".join(f"x{k}=1" for k in range(100))
    seen = ask("GET", f"/generate?{link}").json()["errors"]
    assert [error["field"] for error in seen] == ["(unknown field)"]
    unseen = ask("GET", f"/generate?{link}&more=1").json()["errors"]
    assert [error["field"] for error in unseen] == ["(query)"]


def test_row_17_the_nearest_field_is_looked_for_once(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many fields are unknown, the costly search for the one that was meant is made once."""
    looked: list[str] = []
    monkeypatch.setattr("difflib.get_close_matches", lambda word, *_, **__: looked.append(word) or [])
    assert ask("POST", "/generate", json={f"x{k}": k for k in range(800)}).status_code == 422
    assert len(looked) == 1
