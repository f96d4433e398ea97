"""Every method of both clients says what the real service says."""

import dataclasses
from itertools import islice
from typing import Any

import httpx
import pytest

from app.schemas import GenerateRequest
from namewave_client import GenerateOptions, InvalidRequest, NotFound

REQUESTS: list[dict[str, Any]] = [
    {"count": 3},
    {"dataset": "animal", "model": "mlp", "temperature": 0.7, "top_k": 9, "top_p": 0.9, "offset": 5},
    {"dataset": {"human": 0.6, "animal": 0.4}, "model": {"human": "lstm@4"}, "prefix": "ma", "count": 4},
    {"ends_with": "a", "contains": "r", "pattern": "?*", "excludes": "z", "min_length": 4, "max_length": 9},
    {"unique": False, "novel": True, "case": "lower", "sort": "likelihood", "max_attempts": 500},
]


@pytest.mark.parametrize("options", REQUESTS, ids=repr)
def test_names_are_those_of_plain_http(client: Any, address: str, options: dict[str, Any]) -> None:
    """Whatever the options, a batch has all that the service answers to the same fields."""
    plain = httpx.post(f"{address}/generate", json=options | {"seed": 11}).json()
    batch = client.generate(seed=11, **options)
    told = dataclasses.asdict(batch) | {"names": list(batch.names)}
    assert told.pop("details") == ()
    assert {name: plain[name] for name in told} == told
    assert plain["names"]


def test_every_option_has_a_keyword() -> None:
    """The keywords of `generate` are the fields of the service's contract, and `safe`."""
    from_schema = set(GenerateRequest.model_fields) | {"safe"}
    assert set(GenerateOptions.__annotations__) == from_schema


def test_a_batch_has_details_beside_names(client: Any, address: str) -> None:
    """With details the names are there, too, and each name's log-probability is the sum of its characters'."""
    plain = httpx.post(f"{address}/generate", json={"seed": 3, "count": 4, "details": True}).json()["names"]
    batch = client.generate(seed=3, count=4, details=True)
    assert list(batch.names) == [name["name"] for name in plain]
    assert [name.in_training for name in batch.details] == [name["in_training"] for name in plain]
    for name in batch.details:
        assert name.log_prob == pytest.approx(sum(step.log_prob for step in name.characters), abs=1e-4)


def test_pages_go_on_without_gap(client: Any) -> None:
    """Three pages have the names of one answer, from one seed and one version by number, blends included."""
    for source in ({}, {"dataset": "animal"}, {"dataset": {"human": 3, "animal": 7}}, {"dataset": {"human": 1}}):
        whole = client.generate(count=30, seed=5, unique=False, max_length=6, **source)
        pages = list(islice(client.pages(count=10, seed=5, unique=False, max_length=6, **source), 3))
        assert [name for page in pages for name in page.names] == list(whole.names)
        assert [page.model for page in pages] == [whole.model] * 3
        assert pages[-1].next_offset == whole.next_offset


def test_pages_end_with_the_last_candidate(client: Any) -> None:
    """After candidate 2^53-1 there is no further page."""
    pages = list(client.pages(count=5, seed=1, offset=2**53 - 12, unique=False, max_length=40))
    assert sum(page.attempts for page in pages) == 12
    assert len(pages) == 3


def test_without_a_seed_names_differ_and_the_seed_is_told(client: Any) -> None:
    """Two requests without a seed have other seeds; asked again with the seed that was told, the names are the same."""
    first, second = client.generate(count=5), client.generate(count=5)
    assert first.seed != second.seed
    assert client.generate(count=5, seed=first.seed).names == first.names


def test_scores(client: Any, address: str) -> None:
    """Scores are the service's, and say why a name has none."""
    names = ["Marnabella", "Anna", "Þór"]
    plain = httpx.post(f"{address}/score", json={"names": names, "model": "wavenet"}).json()
    answer = client.score(names, model="wavenet")
    assert answer.model == plain["model"]
    for score, told in zip(answer.scores, plain["scores"], strict=True):
        assert dataclasses.asdict(score) == told | {"characters": tuple(told["characters"])}
    assert answer.scores[2].log_prob is None
    assert answer.scores[2].reason


@pytest.mark.parametrize(
    "source",
    [{}, {"dataset": "animal", "model": "mlp@3"}, {"dataset": {"human": 0.00025, "animal": 5e-05}},
     {"dataset": {"human": 1, "animal": 2}, "model": {"human": "lstm@3", "animal": "animal/mlp"}}],
    ids=repr,
)  # fmt: skip
def test_next_characters(client: Any, source: dict[str, Any]) -> None:
    """What may follow adds up to 1, is sorted, and is of the source that was asked for."""
    answer = client.next_characters("ma", temperature=0.5, **source)
    assert sum(c.probability for c in answer.characters) == pytest.approx(1, abs=1e-4)
    assert answer.characters[0].probability == max(c.probability for c in answer.characters)
    assert (answer.prefix, answer.temperature) == ("ma", 0.5)
    wanted = client.generate(count=1, seed=1, **source)
    assert (answer.dataset, answer.model) == (wanted.dataset, wanted.model)


def test_what_there_is(client: Any, address: str) -> None:
    """Data sets, models, one model, limits and health are the service's."""
    asked = {path: httpx.get(f"{address}{path}").json() for path in ("/datasets", "/models", "/info", "/health/ready")}
    for dataset, told in zip(client.datasets(), asked["/datasets"], strict=True):
        assert dataclasses.asdict(dataset) == told | {"models": tuple(told["models"])}
    models = client.models()
    for model, told in zip(models.models, asked["/models"]["models"], strict=True):
        assert dataclasses.asdict(model) == told
    assert models.aliases == asked["/models"]["aliases"]
    assert [dataclasses.asdict(move) for move in models.reasons] == asked["/models"]["reasons"]
    assert dataclasses.asdict(client.info()) == asked["/info"]
    assert client.ready().ok
    assert client.ready().refused == asked["/health/ready"]["refused"]


@pytest.mark.parametrize("reference", ["human/lstm@4", "human/lstm@stable", "human/lstm"])
def test_one_model(client: Any, address: str, reference: str) -> None:
    """A version's page is the service's, by number, by alias, and by neither, which is the latest."""
    architecture, _, version = reference.removeprefix("human/").partition("@")
    told = httpx.get(f"{address}/models/human/{architecture}/{version or 'latest'}").json()
    lists = {name: tuple(told[name]) for name in ("vocabulary", "golden")}
    assert dataclasses.asdict(client.model(reference)) == told | lists


@pytest.mark.parametrize("reference", ["lstm@4", "human/../x", "human/lstm@", "human/lstm@4/files", "", "a/b?c=d"])
def test_a_reference_is_no_path(client: Any, reference: str) -> None:
    """What is no reference never becomes an address."""
    with pytest.raises(ValueError, match="dataset/architecture@version"):
        client.model(reference)


def test_errors_are_what_the_service_says(client: Any) -> None:
    """A refusal has the fields of the problem, what is allowed and what is nearest."""
    with pytest.raises(InvalidRequest, match=r"temperature: allowed is") as invalid:
        client.generate(temperature=9)
    assert invalid.value.problem.status == 422
    assert [field.field for field in invalid.value.problem.errors] == ["temperature"]
    with pytest.raises(NotFound) as missing:
        client.score(["Anna"], dataset="humen")
    assert missing.value.problem.errors[0].nearest == ("human",)
    with pytest.raises(InvalidRequest):
        next(client.stream(count=20_000))


def test_wrong_arguments_never_leave(client: Any) -> None:
    """A misspelled option, one text for a list, and a number that JSON has not are told before anything is sent."""
    with pytest.raises(TypeError, match="is 'temperature' meant"):
        client.generate(temprature=1)
    with pytest.raises(TypeError, match="not one text"):
        client.score("Anna")
    with pytest.raises(ValueError, match="JSON"):
        client.generate(temperature=float("nan"))
