"""/score and /next: likelihood of names, and probabilities of the next character."""

import json
import math
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from app.names.scoring import BATCH_CHARACTERS, Scorer, next_batch
from models import Draft
from models.networks import build_model
from tests.harness.app_client import AppClient, error_of
from training.dataset import Examples
from training.evaluation import name_losses

pytestmark = pytest.mark.anyio
NAMES = ["Kalomi", "ka", "rentushavel", "dridri", "tukaka"]


async def scores_of(client: AppClient, names: list[str], **more: bool) -> list[dict[str, Any]]:
    """Return the scores by the elves' model."""
    response = await client.post("/score", json={"dataset": "elves", "names": names, **more})
    assert response.status_code == 200, response.text
    return list(response.json()["scores"])


def distance(a: str, b: str) -> int:
    """Return the Levenshtein distance, row by row."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


@given(st.lists(st.text("ab", max_size=64)))
def test_batches_partition_names_at_the_size_limit(names: list[str]) -> None:
    seen: list[str] = []
    while len(seen) < len(names):
        batch = next_batch(names, len(seen))
        assert batch
        assert sum(len(name) + 1 for name in batch[:-1]) < BATCH_CHARACTERS
        seen += batch
        assert len(seen) == len(names) or sum(len(name) + 1 for name in batch) >= BATCH_CHARACTERS
    assert seen == names


async def test_batched_scores_equal_single_scores(client: AppClient) -> None:
    names = [name * (1 + i % 4) for i, name in enumerate(NAMES * 20)]
    scores = await scores_of(client, names)
    for i in (0, 13, 40, 99):
        assert await scores_of(client, [names[i]]) == [scores[i]]
    assert [score["name"] for score in scores] == [name.lower() for name in names]


async def test_scores_are_those_of_the_torch_network(client: AppClient, elf_draft: Draft) -> None:
    network = build_model(elf_draft.config, len(elf_draft.vocabulary), torch.Generator())
    network.load_arrays(elf_draft.arrays)
    network.eval()
    losses = name_losses(network, Examples.of([name.lower() for name in NAMES], elf_draft.vocabulary))
    for name, loss, score in zip(NAMES, losses.tolist(), await scores_of(client, NAMES), strict=True):
        assert score["name"] == name.lower()
        steps = len(name) + 1
        assert score["log_prob"] == pytest.approx(-loss, abs=1e-4 * steps)
        assert score["log_prob"] == pytest.approx(math.fsum(c["log_prob"] for c in score["characters"]), abs=1e-6)
        assert [c["character"] for c in score["characters"]] == [*name.lower(), "."]
        assert score["perplexity"] == pytest.approx(math.exp(-score["log_prob"] / steps), rel=1e-5)
        assert score["in_training"] == (name.lower() in elf_draft.names)


async def test_nearest_name_has_least_levenshtein_distance(client: AppClient, elf_draft: Draft) -> None:
    names = ["kalom", "xyz", "shavelorne", "", "dridridri", "ångström"]
    for name, score in zip(names, await scores_of(client, names, nearest=True), strict=True):
        expected = min((distance(name, listed), listed) for listed in elf_draft.names)
        assert (score["nearest"]["distance"], score["nearest"]["name"]) == expected


async def test_nearest_name_is_searched_only_where_asked(client: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scorer, "_nearest", Mock(side_effect=AssertionError("nobody asked")))
    assert [score["nearest"] for score in await scores_of(client, NAMES)] == [None] * len(NAMES)


async def test_name_with_an_unknown_character_has_no_score(client: AppClient) -> None:
    strange, plain = await scores_of(client, ["kaþa", "kalo"])
    assert strange["log_prob"] is strange["perplexity"] is None
    assert "þ" not in strange["reason"]
    assert strange["characters"] == []
    assert plain["log_prob"] < 0
    assert plain["reason"] is None


async def test_score_takes_a_thousand_names(client: AppClient) -> None:
    assert len(await scores_of(client, ["ka"] * 1000)) == 1000


@pytest.mark.parametrize("names", [["ka"] * 1001, [], ["k" * 65], "ka", [1]], ids=lambda names: repr(names)[:9])
async def test_score_of_wrong_names_is_422(client: AppClient, names: object) -> None:
    response = await client.post("/score", json={"dataset": "elves", "names": names})
    assert error_of(response)["field"] == "names"


@pytest.mark.parametrize(("size", "status"), [(524_288, 200), (524_289, 413)])
async def test_score_body_limit_is_half_a_mebibyte(client: AppClient, size: int, status: int) -> None:
    body = json.dumps({"dataset": "elves", "names": ["ka"]}).encode().ljust(size)
    response = await client.post("/score", content=body, headers={"content-type": "application/json"})
    assert response.status_code == status


async def test_next_probabilities_match_scores(client: AppClient) -> None:
    """Temperature 0.5 squares the probabilities and normalizes them."""
    plain = (await client.get("/next", params={"dataset": "elves", "prefix": "Ka"})).json()
    chances = {c["character"]: c["probability"] for c in plain["characters"]}
    assert plain["prefix"] == "ka"
    assert sum(chances.values()) == pytest.approx(1, abs=1e-5)
    assert list(chances.values()) == sorted(chances.values(), reverse=True)
    likely = list(chances)[:5]
    scores = await scores_of(client, ["ka" + ("" if c == "." else c) for c in likely])
    for character, score in zip(likely, scores, strict=True):
        assert chances[character] == pytest.approx(math.exp(score["characters"][2]["log_prob"]), abs=2e-6)
    cold = (await client.get("/next", params={"dataset": "elves", "prefix": "ka", "temperature": 0.5})).json()
    total = sum(p**2 for p in chances.values())
    for entry in cold["characters"][:5]:
        assert entry["probability"] == pytest.approx(chances[entry["character"]] ** 2 / total, abs=2e-5)


@pytest.mark.parametrize("query", [{"temperature": "0"}, {"prefix": "k" * 65}, {"prefix": "þ"}, {"seed": "1"}])
async def test_next_with_a_wrong_query_is_422(client: AppClient, query: dict[str, str]) -> None:
    response = await client.get("/next", params={"dataset": "elves"} | query)
    assert response.status_code == 422
    assert "þ" not in response.text
