"""Methods and streams of both clients return the answers of the real service."""

import dataclasses
import json
from collections.abc import Callable
from itertools import islice
from typing import Any

import httpx
import pytest

from app.schemas import GenerateRequest
from namewave_client import GenerateOptions, InvalidRequest, NameDetail, NotFound, StreamNotThere

REQUESTS: list[dict[str, Any]] = [
    {"count": 3},
    {"dataset": "animal", "model": "mlp", "temperature": 0.7, "top_k": 9, "top_p": 0.9, "offset": 5},
    {"dataset": {"human": 0.6, "animal": 0.4}, "model": {"human": "lstm@4"}, "prefix": "ma", "count": 4},
    {"ends_with": "a", "contains": "r", "pattern": "?*", "excludes": "z", "min_length": 4, "max_length": 9},
    {"unique": False, "novel": True, "case": "lower", "sort": "likelihood", "max_attempts": 500},
]


@pytest.mark.parametrize("options", REQUESTS, ids=repr)
def test_batch_equals_plain_http(client: Any, address: str, options: dict[str, Any]) -> None:
    plain = httpx.post(f"{address}/generate", json=options | {"seed": 11}).json()
    batch = client.generate(seed=11, **options)
    fields = dataclasses.asdict(batch) | {"names": list(batch.names)}
    assert fields.pop("details") == ()
    # Absent where nothing is missing.
    plain.setdefault("note", None)
    assert {name: plain[name] for name in fields} == fields
    assert plain["names"]


def test_generate_keywords_are_the_request_fields_and_safe() -> None:
    assert set(GenerateOptions.__annotations__) == set(GenerateRequest.model_fields) | {"safe"}


def test_log_probability_of_details_is_the_sum_of_characters(client: Any, address: str) -> None:
    plain = httpx.post(f"{address}/generate", json={"seed": 3, "count": 4, "details": True}).json()["names"]
    batch = client.generate(seed=3, count=4, details=True)
    assert list(batch.names) == [name["name"] for name in plain]
    assert [name.in_training for name in batch.details] == [name["in_training"] for name in plain]
    for name in batch.details:
        assert name.log_prob == pytest.approx(sum(step.log_prob for step in name.characters), abs=1e-4)


@pytest.mark.parametrize("dataset", [None, "animal", {"human": 3, "animal": 7}, {"human": 1}], ids=repr)
def test_pages_equal_one_batch(client: Any, dataset: Any) -> None:
    options = {"dataset": dataset, "seed": 5, "unique": False, "max_length": 6}
    whole = client.generate(count=30, **options)
    pages = list(islice(client.pages(count=10, **options), 3))
    assert [name for page in pages for name in page.names] == list(whole.names)
    assert [page.model for page in pages] == [whole.model] * 3
    assert pages[-1].next_offset == whole.next_offset


def test_pages_end_at_candidate_2_to_the_53(client: Any) -> None:
    pages = list(client.pages(count=5, seed=1, offset=2**53 - 12, unique=False, max_length=40))
    assert sum(page.attempts for page in pages) == 12
    assert len(pages) == 3


def test_random_seed_reproduces_a_batch_or_stream(client: Any) -> None:
    first, second, stream = client.generate(count=5), client.generate(count=5), client.stream(count=5)
    names = tuple(stream)
    assert len({first.seed, second.seed, stream.head.seed}) == 3
    assert client.generate(count=5, seed=first.seed).names == first.names
    assert client.generate(count=5, seed=stream.head.seed).names == names


@pytest.mark.parametrize("nearest", [False, True])
def test_scores_equal_plain_http(client: Any, address: str, nearest: bool) -> None:
    names = ["Marnabella", "Anna", "Þór"]
    plain = httpx.post(f"{address}/score", json={"names": names, "model": "wavenet", "nearest": nearest}).json()
    answer = client.score(names, model="wavenet", nearest=nearest)
    assert answer.model == plain["model"]
    for score, expected in zip(answer.scores, plain["scores"], strict=True):
        assert dataclasses.asdict(score) == expected | {"characters": tuple(expected["characters"])}
    assert answer.scores[2].log_prob is None
    assert answer.scores[2].reason


@pytest.mark.parametrize(
    "source",
    [{}, {"dataset": "animal", "model": "mlp@3"}, {"dataset": {"human": 0.00025, "animal": 5e-05}},
     {"dataset": {"human": 1, "animal": 2}, "model": {"human": "lstm@3", "animal": "animal/mlp"}}],
    ids=repr,
)  # fmt: skip
def test_next_characters_are_a_distribution(client: Any, source: dict[str, Any]) -> None:
    answer = client.next_characters("ma", temperature=0.5, **source)
    assert sum(c.probability for c in answer.characters) == pytest.approx(1, abs=1e-4)
    assert answer.characters[0].probability == max(c.probability for c in answer.characters)
    assert (answer.prefix, answer.temperature) == ("ma", 0.5)
    wanted = client.generate(count=1, seed=1, **source)
    assert (answer.dataset, answer.model) == (wanted.dataset, wanted.model)


def plain_of(found: Any) -> Any:
    """A dataclass as JSON has it: lists instead of tuples."""
    return json.loads(json.dumps(dataclasses.asdict(found)))


def test_catalogue_and_health_equal_plain_http(client: Any, address: str) -> None:
    asked = {path: httpx.get(f"{address}{path}").json() for path in ("/datasets", "/models", "/info", "/health/ready")}
    assert list(map(plain_of, client.datasets())) == asked["/datasets"]
    models = client.models()
    assert list(map(plain_of, models.models)) == asked["/models"]["models"]
    assert models.aliases == asked["/models"]["aliases"]
    assert list(map(dataclasses.asdict, models.reasons)) == asked["/models"]["reasons"]
    assert dataclasses.asdict(client.info()) == asked["/info"]
    assert client.ready().ok
    assert client.ready().refused == asked["/health/ready"]["refused"]


@pytest.mark.parametrize("reference", ["human/lstm@4", "human/lstm@stable", "human/lstm"])
def test_model_reference_selects_a_version_or_the_latest(client: Any, address: str, reference: str) -> None:
    architecture, _, version = reference.removeprefix("human/").partition("@")
    plain = httpx.get(f"{address}/models/human/{architecture}/{version or 'latest'}").json()
    assert plain_of(client.model(reference)) == plain


@pytest.mark.parametrize("reference", ["lstm@4", "human/../x", "human/lstm@", "human/lstm@4/files", "", "a/b?c=d"])
def test_invalid_model_reference_never_becomes_a_path(client: Any, reference: str) -> None:
    with pytest.raises(ValueError, match="dataset/architecture@version"):
        client.model(reference)


def test_errors_carry_the_problem_details_of_the_service(client: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"temperature must be") as invalid:
        client.generate(temperature=9)
    assert invalid.value.problem.status == 422
    assert [field.field for field in invalid.value.problem.errors] == ["temperature"]
    with pytest.raises(NotFound) as missing:
        client.score(["Anna"], dataset="humen")
    assert missing.value.problem.errors[0].nearest[0] == "human"


def test_invalid_arguments_are_refused_before_sending(connect: Callable[..., Any]) -> None:
    unused = connect(transport=httpx.MockTransport(lambda request: pytest.fail("a request is sent")))
    with pytest.raises(TypeError, match="did you mean 'temperature'"):
        unused.generate(temprature=1)
    with pytest.raises(TypeError, match="not one string"):
        unused.score("Anna")
    with pytest.raises(ValueError, match="JSON"):
        unused.generate(temperature=float("nan"))


def test_long_stream_equals_plain_http(client: Any, address: str) -> None:
    options = {"count": 200_000, "unique": False, "seed": 5, "offset": 9, "model": "bigram", "max_length": 8}
    headers = {"accept": "application/x-ndjson"}
    plain = httpx.post(f"{address}/generate", json=options, headers=headers, timeout=60).text.splitlines()
    with client.stream(**options) as stream:
        names = list(stream)
    assert names == [json.loads(line)["name"] for line in plain[:-1]]
    assert len(names) == 200_000
    end = json.loads(plain[-1])["end"]
    assert (stream.head.model, stream.head.seed, stream.head.offset) == ("human/bigram@4", 5, 9)
    assert stream.head.dataset == "human"
    assert {name: getattr(stream.end, name) for name in end} == end
    assert stream.end.attempts > 200_000


def test_stream_with_details_equals_a_batch(client: Any) -> None:
    options = {"count": 20, "seed": 5, "dataset": {"human": 0.6, "animal": 0.4}}
    items = list(client.stream(details=True, **options))
    assert all(isinstance(item, NameDetail) for item in items)
    assert tuple(items) == client.generate(details=True, **options).details


def test_exhausted_attempts_end_the_stream_without_error(client: Any) -> None:
    stream = client.stream(count=1000, max_attempts=50, max_length=3, seed=1)
    names = list(stream)
    assert not stream.end.complete
    assert stream.end.attempts == 50
    assert stream.end.refused["max_length"] + stream.end.refused["unique"] == 50 - len(names)
    assert list(stream) == []


def test_head_and_refusal_come_with_the_first_name(client: Any) -> None:
    with client.stream(count=2, seed=1) as stream:
        with pytest.raises(StreamNotThere, match="not begun"):
            _ = stream.head
        next(stream)
        assert stream.head.seed == 1
    with client.stream(count=50_000, seed=1) as stream, pytest.raises(InvalidRequest, match="unique"):
        next(stream)


def test_client_is_usable_after_leaving_a_stream_early(client: Any) -> None:
    with client.stream(count=1_000_000, unique=False, seed=3) as stream:
        first = [next(stream) for _ in range(3)]
    assert client.generate(count=3, seed=3, unique=False).names == tuple(first)
