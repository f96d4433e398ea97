"""/score and /next, the inference protocol's addresses, and the document that is checked in."""

import json
import math
from pathlib import Path

import httpx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from app.main import create_app
from app.naming.explaining import AT_ONCE, piece_of
from app.settings import Settings
from models import Draft
from models.networks import build_model
from training.dataset import Examples
from training.evaluation import name_losses

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]
NAMES = ["Kalomi", "ka", "rentushavel", "dridri", "tukaka"]


def distance(a: str, b: str) -> int:
    """Levenshtein's distance, row by row."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


@given(st.lists(st.text("ab", max_size=64)))
def test_pieces_of_names_are_the_names(names: list[str]) -> None:
    """Piece after piece gives all names in their order; a piece is over with the name that makes it long enough."""
    told: list[str] = []
    while len(told) < len(names):
        piece = piece_of(names, len(told))
        assert piece
        assert sum(len(name) + 1 for name in piece[:-1]) < AT_ONCE
        told += piece
        assert len(told) == len(names) or sum(len(name) + 1 for name in piece) >= AT_ONCE
    assert told == names


async def test_many_names_are_scored_in_order(client: httpx.AsyncClient) -> None:
    """An answer of many pieces is that of each name alone."""
    names = [name * (1 + i % 4) for i, name in enumerate(NAMES * 20)]
    scores = (await client.post("/score", json={"dataset": "elves", "names": names})).json()["scores"]
    for i in (0, 13, 40, 99):
        alone = await client.post("/score", json={"dataset": "elves", "names": [names[i]]})
        assert alone.json()["scores"] == [scores[i]]
    assert [score["name"] for score in scores] == [name.lower() for name in names]


async def test_scores_are_the_networks(client: httpx.AsyncClient, elf_draft: Draft) -> None:
    """Log-probabilities are those of the training package's evaluation within 1e-4 a character, add up, and give the
    perplexity.
    """
    answer = await client.post("/score", json={"dataset": "elves", "names": NAMES})
    assert answer.status_code == 200, answer.text
    network = build_model(elf_draft.config, len(elf_draft.vocabulary), torch.Generator())
    network.load_arrays(elf_draft.arrays)
    network.eval()
    examples = Examples.of([name.lower() for name in NAMES], elf_draft.vocabulary)
    losses = name_losses(network, examples)
    for name, loss, told in zip(NAMES, losses.tolist(), answer.json()["scores"], strict=True):
        assert told["name"] == name.lower()
        steps = len(name) + 1
        assert told["log_prob"] == pytest.approx(-loss, abs=1e-4 * steps)
        assert told["log_prob"] == pytest.approx(math.fsum(c["log_prob"] for c in told["characters"]), abs=1e-6)
        assert [c["character"] for c in told["characters"]] == [*name.lower(), "."]
        assert told["perplexity"] == pytest.approx(math.exp(-told["log_prob"] / steps), rel=1e-5)
        assert told["in_training"] == (name.lower() in elf_draft.names)


async def test_the_nearest_name_is_the_nearest(client: httpx.AsyncClient, elf_draft: Draft) -> None:
    """No name of the list is nearer, by the distance's own definition, and of equals the first is told."""
    names = ["kalom", "xyz", "shavelorne", "", "dridridri", "ångström"]
    answer = await client.post("/score", json={"dataset": "elves", "names": names})
    for name, told in zip(names, answer.json()["scores"], strict=True):
        expected = min((distance(name, listed), listed) for listed in elf_draft.names)
        assert (told["nearest"]["distance"], told["nearest"]["name"]) == expected


async def test_a_name_the_model_cannot_spell_has_no_score(client: httpx.AsyncClient) -> None:
    """Unknown characters give null and a reason, beside names that have a score."""
    answer = await client.post("/score", json={"dataset": "elves", "names": ["kaþa", "kalo"]})
    strange, plain = answer.json()["scores"]
    assert strange["log_prob"] is strange["perplexity"] is None
    assert "þ" not in strange["reason"]
    assert strange["characters"] == []
    assert plain["log_prob"] < 0
    assert plain["reason"] is None


async def test_a_thousand_names_are_scored_and_no_more(client: httpx.AsyncClient) -> None:
    """1,000 names are taken, 1,001, none, and too long ones are refused; half a MiB is the limit of the body."""
    assert (
        len((await client.post("/score", json={"dataset": "elves", "names": ["ka"] * 1000})).json()["scores"]) == 1000
    )
    for names in (["ka"] * 1001, [], ["k" * 65], "ka", [1]):
        answer = await client.post("/score", json={"dataset": "elves", "names": names})
        assert answer.status_code == 422, names
        assert answer.json()["errors"][0]["field"] == "names"
    long = json.dumps({"dataset": "elves", "names": ["ka"]}).encode()
    headers = {"content-type": "application/json"}
    for size, status in ((524_288, 200), (524_289, 413)):
        assert (await client.post("/score", content=long.ljust(size), headers=headers)).status_code == status


async def test_what_comes_next_is_what_scores_say(client: httpx.AsyncClient) -> None:
    """The probabilities after a prefix add up to 1, fall, and are those of the names' scores; temperature is theirs to
    a power, renormalised.
    """
    plain = (await client.get("/next", params={"dataset": "elves", "prefix": "Ka"})).json()
    chances = {c["character"]: c["probability"] for c in plain["characters"]}
    assert plain["prefix"] == "ka"
    assert sum(chances.values()) == pytest.approx(1, abs=1e-5)
    assert list(chances.values()) == sorted(chances.values(), reverse=True)
    likely = list(chances)[:5]
    names = ["ka" + ("" if c == "." else c) for c in likely]
    scores = (await client.post("/score", json={"dataset": "elves", "names": names})).json()["scores"]
    for character, score in zip(likely, scores, strict=True):
        assert chances[character] == pytest.approx(math.exp(score["characters"][2]["log_prob"]), abs=2e-6)
    cold = (await client.get("/next", params={"dataset": "elves", "prefix": "ka", "temperature": 0.5})).json()
    whole = sum(p**2 for p in chances.values())
    for entry in cold["characters"][:5]:
        assert entry["probability"] == pytest.approx(chances[entry["character"]] ** 2 / whole, abs=2e-5)


@pytest.mark.parametrize("query", [{"temperature": "0"}, {"prefix": "k" * 65}, {"prefix": "þ"}, {"seed": "1"}])
async def test_a_wrong_question_about_what_comes_next_is_refused(
    client: httpx.AsyncClient, query: dict[str, str]
) -> None:
    """Out of range, unknown character and unknown field are 422."""
    answer = await client.get("/next", params={"dataset": "elves"} | query)
    assert answer.status_code == 422
    assert "þ" not in answer.text


def test_the_document_is_checked_in() -> None:
    """docs/openapi.json is the document that the service gives, so that a change of the contract shows:
    `python -m app openapi > docs/openapi.json` writes it anew.
    """
    written = json.loads((ROOT / "docs/openapi.json").read_text("utf-8"))
    assert written == json.loads(json.dumps(create_app(Settings()).openapi()))
