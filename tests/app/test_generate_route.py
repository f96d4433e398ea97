"""POST and GET /generate: names, blends, constraints, order, and links that last."""

import itertools
import re
import threading
from collections.abc import AsyncIterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.names.jobs import GenerateJob
from app.names.sources import SourceResolver
from app.routes.generate import generate as generate_handler
from app.routes.generate import generate_by_link
from app.schemas import GenerateLink
from app.settings import Settings
from app.web.caching import cache_headers
from models import Constraints, Draft, Kernels, ModelRegistry, SamplingOptions, Vocabulary
from models.blends import Source
from models.store.publishing import draft_generator
from tests.conftest import CONFIGS, draft_of, untrained
from tests.harness.app_client import AppClient, app_client, error_of
from tests.models.test_clusters import clustered_draft

pytestmark = pytest.mark.anyio

ELVES = {"dataset": "elves"}
ORCS = tuple(map("".join, itertools.product(("gro", "kra", "zén"), ("ak", "ul", "en"), ("sh", "gar", "-o"))))
BLEND = {"elves": 0.6, "orcs": 0.4}
LETTERS = "adehiklmnorstuvgz-é"
LINK: dict[str, Any] = {"dataset": "elves", "model": "wavenet@1", "seed": 5, "count": 3}


@pytest.fixture(scope="session")
def two_datasets(tmp_path_factory: pytest.TempPathFactory, kernels: Kernels, elf_draft: Draft) -> Settings:
    """Settings over a store with elves and orcs, whose alphabets differ."""
    root = tmp_path_factory.mktemp("two")
    chosen = Settings(store=root / "user", shipped_store=root / "shipped", max_attempts=2000)
    registry = ModelRegistry.open(kernels, user=chosen.store, shipped=chosen.shipped_store)
    registry.publish(elf_draft)
    registry.publish(draft_of(untrained(CONFIGS["mlp"], len(Vocabulary.of(ORCS)), seed=3), ORCS, dataset="orcs"))
    return chosen


@pytest.fixture(scope="module")
async def both(two_datasets: Settings) -> AsyncIterator[AppClient]:
    """A client of a service over both, which no test here changes. Its loop stands still between tests."""
    async with app_client(two_datasets, watchdog=0) as client:
        yield client


async def generate(client: AppClient, **fields: Any) -> dict[str, Any]:
    """Return the answer to POST, of the elves unless `fields` say otherwise."""
    response = await client.post("/generate", json=ELVES | fields)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def test_names_of_grapheme_clusters_are_served(tmp_path: Path, registry: ModelRegistry) -> None:
    reference = registry.publish(clustered_draft()).reference
    async with app_client(Settings(store=tmp_path / "user", shipped_store=tmp_path / "shipped")) as client:
        answer = await generate(client, count=20, seed=9)
    assert (answer["model"], len(answer["names"])) == (reference, 20)


async def test_names_are_those_of_the_generator(client: AppClient, elf_draft: Draft, kernels: Kernels) -> None:
    answer = await generate(client, count=20, seed=3, temperature=0.7, case="lower", max_length=20)
    generator = draft_generator(elf_draft, kernels)
    expected = generator.generate(20, seed=3, options=SamplingOptions(0.7), constraints=Constraints(20))
    assert answer["names"] == expected.names
    assert answer["next_offset"] == answer["offset"] + answer["attempts"] == expected.next_offset
    sources = {"dataset": "elves", "model": "elves/wavenet@1", "seed": 3, "offset": 0, "temperature": 0.7}
    assert answer | sources == answer


async def test_small_and_large_pages_join_into_one(client: AppClient) -> None:
    whole = await generate(client, count=540, seed=5, unique=False)
    offset, names = 0, []
    for count in (20, 3, 500, 17):
        page = await generate(client, count=count, seed=5, offset=offset, unique=False)
        names += page["names"]
        offset = page["next_offset"]
    assert names == whole["names"]
    assert len(names) == 540
    assert offset == whole["next_offset"]


async def test_get_equals_post(client: AppClient) -> None:
    fields = {"dataset": "elves", "count": 6, "seed": 9, "prefix": "ka", "min_length": 3, "top_k": 5, "top_p": 0.9}
    response = await client.get("/generate", params=fields)
    assert response.status_code == 200
    assert response.json() == await generate(client, **fields)


async def test_random_seed_is_echoed_and_not_cached(client: AppClient) -> None:
    assert (await generate(client, count=1))["seed"] == 4711
    response = await client.get("/generate", params=ELVES)
    assert response.json()["seed"] == 4711
    assert response.headers["cache-control"] == "no-store"


async def test_long_work_goes_on_in_a_thread(client: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names sampled on the event loop are not sampled again."""
    seen: list[tuple[int, bool]] = []
    real = GenerateJob.next_chunk

    def watched(job: GenerateJob) -> bytes:
        seen.append((job.stream.attempts, threading.current_thread() is threading.main_thread()))
        return real(job)

    monkeypatch.setattr(GenerateJob, "next_chunk", watched)
    rare = await generate(client, count=20, max_length=2, prefix="ka", seed=1, max_attempts=5000)
    inline = [attempts for attempts, is_inline in seen if is_inline]
    assert 0 < len(inline) < len(seen)
    assert [is_inline for _, is_inline in seen] == [True] * len(inline) + [False] * (len(seen) - len(inline))
    assert [attempts for attempts, _ in seen] == sorted({attempts for attempts, _ in seen})
    assert rare["attempts"] == 5000
    seen.clear()
    assert len((await generate(client, count=20, seed=1))["names"]) == 20
    assert all(is_inline for _, is_inline in seen)


async def test_documented_handlers_never_run(client: AppClient) -> None:
    for handler in (generate_handler, generate_by_link):
        with pytest.raises(NotImplementedError):
            await handler(None)  # type: ignore[arg-type]
    assert (await client.get("/generate?dataset=elves&count=1")).status_code == 200


async def test_details_hold_log_probs_that_sum_up(client: AppClient) -> None:
    answer = await generate(client, count=5, seed=2, details=True)
    plain = await generate(client, count=5, seed=2)
    assert [name["name"] for name in answer["names"]] == plain["names"]
    for name in answer["names"]:
        assert sum(c["log_prob"] for c in name["characters"]) == pytest.approx(name["log_prob"], abs=1e-5)
        assert "".join(c["character"] for c in name["characters"]) == name["name"].lower() + "."


async def test_case_changes_capitals_only(client: AppClient) -> None:
    title = await generate(client, count=10, seed=2)
    lower = await generate(client, count=10, seed=2, case="lower")
    assert [name.lower() for name in title["names"]] == lower["names"]
    assert all(name[0].isupper() for name in title["names"])


def obeys(name: str, asked: dict[str, Any], listed: set[str]) -> bool:
    """Return whether a name in lower case meets the documented constraints."""
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


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(asked=REQUESTS)
async def test_any_request_meets_its_constraints_or_is_422(
    both: AppClient, made_up_names: tuple[str, ...], asked: dict[str, Any]
) -> None:
    response = await both.post("/generate", json=asked | {"case": "lower"})
    assert response.status_code in (200, 422), response.text
    if response.status_code == 422:
        return
    answer = response.json()
    names = [name["name"] if asked["details"] else name for name in answer["names"]]
    assert answer["attempts"] <= min(asked["max_attempts"], 2000)
    assert answer["next_offset"] == asked["offset"] + answer["attempts"]
    assert answer["attempts"] == len(names) + sum(answer["refused"].values())
    assert answer["complete"] == (len(names) == asked["count"])
    assert answer["acceptance_rate"] == pytest.approx(len(names) / answer["attempts"], abs=1e-6)
    listed = {*(made_up_names if "elves" in asked["dataset"] else ()), *(ORCS if "orcs" in asked["dataset"] else ())}
    assert all(obeys(name, asked, listed) for name in names)
    assert not asked["unique"] or len(set(names)) == len(names)


async def test_blend_by_its_weights_is_the_same_in_every_notation(both: AppClient) -> None:
    answer = await generate(both, dataset=BLEND, count=30, seed=3)
    assert answer["dataset"] == {"elves": 0.6, "orcs": 0.4}
    assert answer["model"] == {"elves": "elves/wavenet@1", "orcs": "orcs/mlp@1"}
    assert await generate(both, dataset={"orcs": 2, "elves": 3}, count=30, seed=3) == answer
    assert (await generate(both, dataset={"orcs": 3, "elves": 2}, count=30, seed=3))["names"] != answer["names"]
    assert await generate(both, dataset=answer["dataset"], model=answer["model"], count=30, seed=3) == answer
    link = {"dataset": "orcs:0.4,elves:0.6", "model": "elves/wavenet@1,orcs/mlp@1", "seed": 3, "count": 30}
    for model, caching in ((link["model"], "public, max-age=31536000, immutable"), ("orcs/mlp@1", "no-cache")):
        linked = await both.get("/generate", params=link | {"model": model})
        assert (linked.json(), linked.headers["cache-control"]) == (answer, caching)
    stream = await both.post(
        "/generate", json={"dataset": BLEND, "seed": 3, "count": 30}, headers={"accept": "text/plain"}
    )
    assert stream.text.splitlines() == answer["names"]
    assert stream.headers["namewave-dataset"] == "elves:0.6,orcs:0.4"
    assert stream.headers["namewave-model"] == "elves/wavenet@1,orcs/mlp@1"


async def test_blend_of_one_dataset_is_that_dataset(both: AppClient) -> None:
    assert await generate(both, dataset={"elves": 7}) == await generate(both, dataset="elves")


WRONG_VALUES: dict[str, list[Any]] = {
    "dataset": [{}, "elves:1,orcs", "elves:1,elves:2", *({"elves": 1, "orcs": weight} for weight in (0, 1e-6, "much"))],
    "model": ["human/wavenet@1", {"elves": "wavenet"}],
    "count": [0, "7", True, 3.5],
    "temperature": [0, 5.01, "1"],
    "top_k": [0],
    "top_p": [0],
    "seed": [-1, 2**53],
    "offset": [2**53],
    "prefix": ["þþþ", "\x00", "k" * 65],
    "ends_with": ["ß"],
    "excludes": [LETTERS],
    "max_length": [65],
    "case": ["UPPER"],
    "sort": ["best"],
    "unique": [1],
    "max_attempts": [10**7],
}
WRONG_FIELDS = [
    *(({field: value}, 422, field) for field, values in WRONG_VALUES.items() for value in values),
    ({"dataset": "elfs"}, 404, "dataset"),
    ({"dataset": {"elves": 1, "orks": 1}}, 404, "dataset"),
    ({"model": "wavnet"}, 404, "model"),
    ({"model": "wavenet@99"}, 404, "model"),
    ({"dataset": BLEND, "model": {"elves": "mlp"}}, 404, "model"),
    ({"dataset": BLEND, "model": "wavenet"}, 422, "model"),
    ({"dataset": BLEND, "model": {"elfs": "wavenet"}}, 422, "model"),
    ({"dataset": BLEND, "model": {"elves": "orcs/mlp"}}, 422, "model"),
    ({"dataset": BLEND, "prefix": "gvé"}, 422, "prefix"),
    ({"prefix": "kalomi", "max_length": 3}, 422, "prefix"),
    ({"contains": "lo", "excludes": "o"}, 422, "contains"),
    ({"min_length": 30, "max_length": 20}, 422, "min_length"),
    ({"count": 10001, "unique": False}, 422, "count"),
    ({"secret word": 1}, 422, "(unknown field)"),
]


@pytest.mark.parametrize(("fields", "status", "field"), WRONG_FIELDS, ids=repr)
async def test_wrong_field_is_named_and_its_value_not_repeated(
    both: AppClient, fields: dict[str, Any], status: int, field: str
) -> None:
    response = await both.post("/generate", json=ELVES | fields)
    error = error_of(response, status)
    assert (error["field"], response.json()["status"]) == (field, status)
    assert error["allowed"]
    for value in ("secretword", "orks", "much", *fields.values()):
        if isinstance(value, str) and value != field and len(value) > 3:
            assert value not in response.text


async def test_sort_by_likelihood_reorders_the_same_names(both: AppClient) -> None:
    drawn = await generate(both, count=40, details=True)
    best = await generate(both, count=40, details=True, sort="likelihood")
    assert best["names"] == sorted(drawn["names"], key=lambda name: -name["log_prob"])
    assert best["names"] != drawn["names"]
    plain = await generate(both, count=40, sort="likelihood")
    assert plain["names"] == [name["name"] for name in best["names"]]


async def test_link_with_seed_and_version_is_immutable(both: AppClient) -> None:
    first, again = [await both.get("/generate", params=LINK) for _ in range(2)]
    assert re.fullmatch(r'"[0-9a-f]{32}"', first.headers["etag"])
    assert first.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])


@pytest.mark.parametrize("model", [{"model": "wavenet"}, {"model": "wavenet@latest"}, {}])
async def test_link_to_an_alias_is_revalidated(both: AppClient, model: dict[str, str]) -> None:
    response = await both.get("/generate", params={"dataset": "elves", "seed": 5} | model)
    assert response.headers["cache-control"] == "no-cache"
    assert "etag" in response.headers


async def test_if_none_match_gives_304_without_a_body(both: AppClient) -> None:
    etag = (await both.get("/generate", params=LINK)).headers["etag"]
    for tags in (etag, f'"x", W/{etag}', "*"):
        known = await both.get("/generate", params=LINK, headers={"if-none-match": tags})
        assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", etag)
    unknown = await both.get("/generate", params=LINK, headers={"if-none-match": '"x"'})
    assert unknown.status_code == 200


@pytest.mark.parametrize("wrong", [{"prefix": "123"}, {"count": 999_999}])
async def test_if_none_match_does_not_hide_errors(both: AppClient, wrong: dict[str, Any]) -> None:
    response = await both.get("/generate", params=LINK | wrong, headers={"if-none-match": "*"})
    assert response.status_code == 422


async def test_new_field_changes_no_etag_of_old_links(both: AppClient) -> None:
    class LaterLink(GenerateLink):
        later: str = "a default"

    source = both.service.sources.find("elves", "wavenet@1")
    old, new = (model.model_validate(LINK) for model in (GenerateLink, LaterLink))
    assert cache_headers(old, source, "")["ETag"] == cache_headers(new, source, "")["ETag"]
    given = LaterLink.model_validate(LINK | {"later": "a default"})
    assert cache_headers(given, source, "")["ETag"] != cache_headers(old, source, "")["ETag"]


@pytest.mark.parametrize("dataset", ["elves", "elves:1,orcs:1"])
async def test_link_finds_its_source_once(both: AppClient, monkeypatch: pytest.MonkeyPatch, dataset: str) -> None:
    """So that its ETag and its body are of the same version."""
    found: list[object] = []
    find = SourceResolver.find

    def counted(resolver: SourceResolver, *asked: Any) -> Source:
        found.append(asked)
        return find(resolver, *asked)

    monkeypatch.setattr(SourceResolver, "find", counted)
    answer = await both.get("/generate", params={"dataset": dataset, "seed": 1, "count": 2})
    assert (answer.status_code, len(found)) == (200, 1)


async def test_different_answers_have_different_etags(both: AppClient) -> None:
    others = [{}, {"seed": 6}, {"count": 4}, {"safe": "false"}, {"dataset": "orcs", "model": "mlp@1"}]
    responses = [await both.get("/generate", params=LINK | other) for other in others]
    responses.append(await both.get("/generate", params=LINK, headers={"accept": "text/plain"}))
    assert len({response.headers["etag"] for response in responses}) == 1 + len(others)


@pytest.mark.parametrize("dataset", ["elves", "elves:0.3,orcs:0.7"])
async def test_next_links_join_into_one_large_answer(both: AppClient, dataset: str) -> None:
    fields = {"dataset": dataset, "count": 7, "unique": "false", "ends_with": "a", "temperature": 1.5}
    page = await both.get("/generate", params=fields)
    names, seed = page.json()["names"], page.json()["seed"]
    for _ in range(3):
        page = await both.get(page.links["next"]["url"])
        assert page.status_code == 200, page.text
        names += page.json()["names"]
    whole = await both.get("/generate", params=fields | {"seed": seed, "count": 28, "max_attempts": 2000})
    assert whole.json()["names"] == names


async def test_post_has_no_next_link(client: AppClient) -> None:
    assert "link" not in (await client.post("/generate", json=ELVES)).headers


async def test_last_candidate_is_2_53_minus_1(client: AppClient) -> None:
    fields = {"dataset": "elves", "count": 50, "seed": 1, "unique": "false", "offset": 2**53 - 3}
    response = await client.get("/generate", params=fields)
    answer = response.json()
    assert (answer["attempts"], answer["next_offset"], answer["complete"]) == (3, 2**53, False)
    assert "link" not in response.headers


async def test_safe_refuses_listed_words(both: AppClient) -> None:
    fields = {"count": 2000, "unique": False, "case": "lower", "temperature": 1.5, "max_attempts": 2000, "seed": 3}
    free = await generate(both, **fields, safe=False)
    safe = await generate(both, **fields)
    assert free["refused"]["safe"] == 0
    assert safe["refused"]["safe"] > 0
    assert len(set(free["names"]) - set(safe["names"])) > 0
    assert len(safe["names"]) == len(free["names"]) - safe["refused"]["safe"]
