"""Constraints, blends, order and links over HTTP: two data sets with alphabets of their own."""

import itertools
import re
from collections.abc import AsyncIterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.main import create_app
from app.settings import Settings
from models import Draft, Kernels, ModelConfig, ModelRegistry, Vocabulary
from models.manifest import DataRecord
from models.networks import build_model

pytestmark = pytest.mark.anyio

ORCS = tuple(
    "".join(parts) for parts in itertools.product(("gro", "kra", "zén"), ("ak", "ul", "en"), ("sh", "gar", "-o"))
)
BLEND = {"elves": 0.6, "orcs": 0.4}
LETTERS = "adehiklmnorstuvgz-é"


@pytest.fixture(scope="session")
def two_stores(tmp_path_factory: pytest.TempPathFactory, kernels: Kernels, elf_draft: Draft) -> Path:
    """A store with elves and orcs."""
    vocabulary = Vocabulary.of(ORCS)
    network = build_model(
        ModelConfig(architecture="mlp", block_size=3, n_embd=5, n_hidden=16),
        len(vocabulary),
        torch.Generator().manual_seed(3),
    )
    ids = torch.randint(0, len(vocabulary), (300,), generator=torch.Generator().manual_seed(4))
    positions = torch.arange(300) % 10
    ids[positions == 0] = 0
    for _ in range(20):
        network.names(ids, positions)
    network.eval()
    orcs = Draft(
        dataset="orcs",
        config=network.config,
        vocabulary=vocabulary,
        parameters=network.parameter_count,
        data=DataRecord(title="Orcs", sha256="0" * 64, names=len(ORCS), longest=max(map(len, ORCS)), split_seed=42),
        seed=1,
        metrics={"train": 2.0, "dev": 2.1, "test": 2.1},
        training={"steps": 1},
        arrays=network.to_arrays(),
        names=ORCS,
        files={"card.md": b"# Orcs\n"},
    )
    root = tmp_path_factory.mktemp("two")
    registry = ModelRegistry.open(kernels, user=root / "user", shipped=root / "shipped")
    registry.publish(elf_draft)
    registry.publish(orcs)
    return root


@pytest.fixture
async def both(two_stores: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service over both."""
    chosen = Settings(store=two_stores / "user", shipped_store=two_stores / "shipped", max_attempts=2000)
    app = create_app(chosen, entropy=lambda: 4711)
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope, receive, send):  # type: ignore[no-untyped-def]
            await app({**scope, "state": dict(state)}, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(with_state), base_url="http://test") as asked:
            yield asked


async def ask(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post("/generate", json={"seed": 3} | fields)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def obeys(name: str, asked: dict[str, Any], listed: set[str]) -> bool:
    """What the documentation promises of a name in lower case."""
    return (
        name.startswith(asked["prefix"])
        and name.endswith(asked["ends_with"])
        and asked["contains"] in name
        and (not asked["pattern"] or fnmatchcase(name, asked["pattern"]))
        and not set(name) & set(asked["excludes"])
        and asked["min_length"] <= len(name) <= asked["max_length"]
        and not (asked["novel"] and name in listed)
    )


PIECE = st.one_of(st.just(""), st.text(alphabet=LETTERS, min_size=1, max_size=2))
REQUESTS = st.fixed_dictionaries(
    {
        "dataset": st.sampled_from(["elves", "orcs", BLEND, {"orcs": 9, "elves": 1}]),
        "count": st.integers(1, 60),
        "temperature": st.floats(0.05, 5),
        "top_k": st.one_of(st.none(), st.integers(1, 30)),
        "top_p": st.one_of(st.none(), st.floats(0.01, 1)),
        "seed": st.integers(0, 2**53 - 1),
        "offset": st.integers(0, 2**53 - 1),
        "prefix": PIECE,
        "ends_with": PIECE,
        "contains": PIECE,
        "pattern": st.one_of(st.just(""), st.text(alphabet=LETTERS + "??***", max_size=5)),
        "excludes": PIECE,
        "min_length": st.integers(1, 12),
        "max_length": st.integers(1, 20),
        "unique": st.booleans(),
        "novel": st.booleans(),
        "safe": st.booleans(),
        "sort": st.sampled_from(["drawn", "likelihood"]),
        "details": st.booleans(),
        "max_attempts": st.integers(1, 2500),
    }
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(asked=REQUESTS)
async def test_any_request_is_answered_within_its_budget_or_refused(
    both: httpx.AsyncClient, made_up_names: tuple[str, ...], asked: dict[str, Any]
) -> None:
    """Whatever is combined: 200 with names that obey everything asked for, drawn within the budget, or 422."""
    answer = await both.post("/generate", json=asked | {"case": "lower"})
    assert answer.status_code in (200, 422), answer.text
    if answer.status_code == 422:
        return
    told = answer.json()
    names = [name["name"] if asked["details"] else name for name in told["names"]]
    assert told["attempts"] <= min(asked["max_attempts"], 2000)
    assert told["next_offset"] == asked["offset"] + told["attempts"]
    assert told["attempts"] == len(names) + sum(told["refused"].values())
    assert told["complete"] == (len(names) == asked["count"])
    assert told["acceptance_rate"] == pytest.approx(len(names) / told["attempts"], abs=1e-6)
    listed = {*(made_up_names if "elves" in asked["dataset"] else ()), *(ORCS if "orcs" in asked["dataset"] else ())}
    assert all(obeys(name, asked, listed) for name in names)
    assert not asked["unique"] or len(set(names)) == len(names)


async def test_a_blend_is_the_same_however_it_is_written(both: httpx.AsyncClient) -> None:
    """As a map, in a link, with other weights of the same shares, and as the answer told it: the same names."""
    told = await ask(both, dataset=BLEND, count=30)
    assert told["dataset"] == {"elves": 0.6, "orcs": 0.4}
    assert told["model"] == {"elves": "elves/wavenet@1", "orcs": "orcs/mlp@1"}
    again = await ask(both, dataset={"orcs": 2, "elves": 3}, count=30)
    assert again == told
    assert await ask(both, dataset=told["dataset"], model=told["model"], count=30) == told
    link = {"dataset": "orcs:0.4,elves:0.6", "model": "elves/wavenet@1,orcs/mlp@1", "seed": 3, "count": 30}
    some = await both.get("/generate", params=link | {"model": "orcs/mlp@1"})
    assert some.json() == told
    assert some.headers["cache-control"] == "no-cache"
    got = await both.get("/generate", params=link)
    assert got.json() == told
    assert "immutable" in got.headers["cache-control"]
    stream = await both.post(
        "/generate", json={"dataset": BLEND, "seed": 3, "count": 30}, headers={"accept": "text/plain"}
    )
    assert stream.text.splitlines() == told["names"]
    assert stream.headers["namewave-dataset"] == "elves:0.6,orcs:0.4"
    assert stream.headers["namewave-model"] == "elves/wavenet@1,orcs/mlp@1"
    assert told["names"] != (await ask(both, dataset={"orcs": 0.6, "elves": 0.4}, count=30))["names"]


async def test_a_blend_of_one_is_that_one(both: httpx.AsyncClient) -> None:
    """A map with one data set is that data set."""
    assert await ask(both, dataset={"elves": 7}) == await ask(both, dataset="elves")


@pytest.mark.parametrize(
    ("fields", "field", "status"),
    [
        ({"dataset": {"elves": 1, "orks": 1}}, "dataset", 404),
        ({"dataset": {"elves": 1, "orcs": 0}}, "dataset", 422),
        ({"dataset": {"elves": 1, "orcs": 1e-6}}, "dataset", 422),
        ({"dataset": {"elves": 1, "orcs": "much"}}, "dataset", 422),
        ({"dataset": {}}, "dataset", 422),
        ({"dataset": "elves:1,orcs"}, "dataset", 422),
        ({"dataset": "elves:1,elves:2"}, "dataset", 422),
        ({"dataset": BLEND, "model": "wavenet"}, "model", 422),
        ({"dataset": BLEND, "model": {"elfs": "wavenet"}}, "model", 422),
        ({"dataset": BLEND, "model": {"elves": "orcs/mlp"}}, "model", 422),
        ({"dataset": BLEND, "model": {"elves": "mlp"}}, "model", 404),
        ({"dataset": "elves", "model": {"elves": "wavenet"}}, "model", 422),
        ({"dataset": BLEND, "prefix": "gvé"}, "prefix", 422),
        ({"dataset": "elves", "ends_with": "ß"}, "ends_with", 422),
        ({"dataset": "elves", "contains": "lo", "excludes": "o"}, "contains", 422),
        ({"dataset": "elves", "sort": "best"}, "sort", 422),
        ({"dataset": "elves", "excludes": LETTERS}, "excludes", 422),
    ],
)
async def test_what_cannot_be_is_refused_at_once(
    both: httpx.AsyncClient, fields: dict[str, Any], field: str, status: int
) -> None:
    """Blends and constraints that cannot be met are refused with the field, and nothing of what was given."""
    answer = await both.post("/generate", json=fields)
    assert answer.status_code == status, answer.text
    assert answer.json()["errors"][0]["field"] == field
    assert "orks" not in answer.text
    assert "much" not in answer.text


async def test_the_likeliest_come_first(both: httpx.AsyncClient) -> None:
    """Sorted by likelihood are the same names, by falling log-probability; a stream refuses to sort."""
    drawn = await ask(both, dataset="elves", count=40, details=True)
    best = await ask(both, dataset="elves", count=40, details=True, sort="likelihood")
    assert best["names"] == sorted(drawn["names"], key=lambda name: -name["log_prob"])
    assert best["names"] != drawn["names"]
    plain = await ask(both, dataset="elves", count=40, sort="likelihood")
    assert plain["names"] == [name["name"] for name in best["names"]]
    body = {"dataset": "elves", "sort": "likelihood"}
    stream = await both.post("/generate", json=body, headers={"accept": "text/csv"})
    assert stream.status_code == 422


async def test_a_link_with_seed_and_version_lasts(both: httpx.AsyncClient) -> None:
    """The ETag is strong, the same for the same answer and another for any other; If-None-Match gets 304 without a
    body; only a version by number makes the answer immutable.
    """
    fields: dict[str, Any] = {"dataset": "elves", "model": "wavenet@1", "seed": 5, "count": 3}
    first = await both.get("/generate", params=fields)
    assert re.fullmatch(r'"[0-9a-f]{32}"', first.headers["etag"])
    assert first.headers["cache-control"] == "public, max-age=31536000, immutable"
    again = await both.get("/generate", params=fields)
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])
    for tags in (first.headers["etag"], f'"x", W/{first.headers["etag"]}', "*"):
        known = await both.get("/generate", params=fields, headers={"if-none-match": tags})
        assert (known.status_code, known.content) == (304, b"")
        assert known.headers["etag"] == first.headers["etag"]
    for wrong in ({"prefix": "123"}, {"count": 999_999}):
        refused = await both.get("/generate", params=fields | wrong, headers={"if-none-match": "*"})
        assert refused.status_code == 422
    unknown = await both.get("/generate", params=fields, headers={"if-none-match": '"x"'})
    assert unknown.status_code == 200
    others = [{"seed": 6}, {"count": 4}, {"safe": "false"}, {"dataset": "orcs", "model": "mlp@1"}]
    tags = [(await both.get("/generate", params=fields | other)).headers["etag"] for other in others]
    text = await both.get("/generate", params=fields, headers={"accept": "text/plain"})
    assert len({first.headers["etag"], text.headers["etag"], *tags}) == 2 + len(others)
    for model in ("wavenet", "wavenet@latest", None):
        alias = await both.get(
            "/generate", params=fields | {"model": model} if model else {"dataset": "elves", "seed": 5}
        )
        assert alias.headers["cache-control"] == "no-cache"
        assert "etag" in alias.headers


@pytest.mark.parametrize("dataset", ["elves", "elves:0.3,orcs:0.7"])
async def test_links_to_the_next_page_walk_the_stream(both: httpx.AsyncClient, dataset: str) -> None:
    """From a link without a seed, rel="next" leads through pages that are, together, one large answer."""
    fields = {"dataset": dataset, "count": 7, "unique": "false", "ends_with": "a", "temperature": 1.5}
    page = await both.get("/generate", params=fields)
    names, seed = page.json()["names"], page.json()["seed"]
    for _ in range(3):
        page = await both.get(page.links["next"]["url"])
        assert page.status_code == 200, page.text
        names += page.json()["names"]
    whole = await both.get("/generate", params=fields | {"seed": seed, "count": 28, "max_attempts": 2000})
    assert whole.json()["names"] == names
    assert "link" not in (await both.post("/generate", json={"dataset": "elves"})).headers


async def test_a_stream_has_no_page_after_its_end(both: httpx.AsyncClient) -> None:
    """Behind the last candidate there is no next page."""
    fields = {"dataset": "elves", "seed": 1, "offset": 2**53 - 1, "count": 1, "max_attempts": 1}
    page = await both.get("/generate", params=fields)
    assert page.status_code == 200
    assert "link" not in page.headers


async def test_safe_counts_among_the_constraints(both: httpx.AsyncClient) -> None:
    """Names that hold a listed word are refused, and told as such, unless safe is false."""

    free = await ask(
        both, dataset="elves", count=2000, safe=False, unique=False, case="lower", temperature=1.5, max_attempts=2000
    )
    safe = await ask(both, dataset="elves", count=2000, unique=False, case="lower", temperature=1.5, max_attempts=2000)
    assert free["refused"]["safe"] == 0
    gone = safe["refused"]["safe"]
    assert gone > 0
    assert len(set(free["names"]) - set(safe["names"])) > 0
    assert len(safe["names"]) == len(free["names"]) - gone
