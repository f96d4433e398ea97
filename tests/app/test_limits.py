"""What each client may have: what answers cost, the doors before the routes, addresses behind proxies."""

import json
import re
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.access.clients import Clients
from app.access.doors import OPEN
from app.access.purse import REQUEST
from app.access.shared_windows import SharedWindows
from app.naming.drawing import JUDGED_CHARACTER
from app.routes.explain import JUDGED
from app.settings import Settings
from models import ConfigError

pytestmark = pytest.mark.usefixtures("within_one_window")
ClientOf = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
FIELDS = {"dataset": "elves", "count": 5, "seed": 1}


def told(answer: httpx.Response) -> dict[str, int]:
    """The numbers of an answer's RateLimit and RateLimit-Policy."""
    text = answer.headers["ratelimit"] + ";" + answer.headers["ratelimit-policy"]
    return {name: int(value) for name, value in re.findall(r"\b([rtqw])=(\d+)", text)}


def drawn_so_far(metrics: httpx.Response) -> float:
    """The characters that /metrics counts as drawn."""
    found = re.search(r'^namewave_characters_total\{model="elves/wavenet@1"\} ([0-9.]+)$', metrics.text, re.M)
    assert found is not None
    return float(found[1])


@pytest.mark.anyio
async def test_an_answer_costs_what_was_drawn(client_of: ClientOf) -> None:
    """JSON and streams take from the allowance just what /metrics counts as drawn, and something for each request."""
    async with client_of(limit=100_000) as client:
        first = await client.post("/generate", json=FIELDS)
        second = await client.post("/generate", json=FIELDS | {"count": 100}, headers={"accept": "text/plain"})
        assert (first.status_code, second.status_code) == (200, 200)
        metrics = await client.get("/metrics")
        drawn = drawn_so_far(metrics)
    assert drawn > 300
    left = told(metrics)
    assert (left["q"], left["w"]) == (100_000, 60)
    assert 100_000 - left["r"] == 3 * REQUEST + drawn
    assert 0 < left["t"] <= 60


@pytest.mark.anyio
@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
@pytest.mark.parametrize("count", [2, 150])
async def test_names_told_with_details_cost_more(client_of: ClientOf, accept: str, count: int) -> None:
    """Who asks how likely names are pays for each of their characters, ends included, beside what was drawn: drawn in
    place, in turns and as a stream.
    """
    fields = FIELDS | {"count": count, "case": "lower", "details": True}
    async with client_of(limit=1_000_000) as client:
        answer = await client.post("/generate", json=fields, headers={"accept": accept})
        metrics = await client.get("/metrics")
    lines = answer.text.splitlines()
    records = json.loads(lines[0])["names"] if accept == "application/json" else map(json.loads, lines[:-1])
    judged = [len(record["characters"]) for record in records]
    assert len(judged) == count
    expected = 2 * REQUEST + drawn_so_far(metrics) + JUDGED_CHARACTER * sum(judged)
    assert 1_000_000 - told(metrics)["r"] == expected


@pytest.mark.anyio
async def test_who_had_enough_is_refused_and_others_are_not(client_of: ClientOf) -> None:
    """Over the limit comes 429 as a problem with Retry-After and RateLimit, before the body is looked at; probes pass;
    another client at the same service is served.
    """
    proxy = {"trusted_proxies": (ip_network("127.0.0.1"),), "limit": 300}
    async with client_of(**proxy) as client:
        flood = {"x-forwarded-for": "192.0.2.1"}
        statuses = [(await client.get("/info", headers=flood)).status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        refused = await client.post("/generate", content=b"{", headers=flood)
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["status"] == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 120
        assert told(refused)["r"] == 0
        assert "may take 100 of the" in refused.json()["detail"]
        for path in sorted(OPEN):
            assert (await client.get(path, headers=flood)).status_code == 200
        other = await client.get("/info", headers={"x-forwarded-for": "192.0.2.2"})
        assert (other.status_code, told(other)["r"]) == (200, 200)


@pytest.mark.anyio
async def test_too_many_characters_are_refused_before_they_are_drawn(client_of: ClientOf) -> None:
    """A request that would have more drawn than is left gets 429 and draws nothing; a small one still passes. One that
    is larger than the limit passes for who had nothing yet, and uses all of it up.
    """
    large = FIELDS | {"count": 2000}
    async with client_of(limit=20_000) as client:
        assert (await client.post("/generate", json=FIELDS)).status_code == 200
        before = re.findall("^namewave_characters_total.*$", (await client.get("/metrics")).text, re.M)
        assert (await client.post("/generate", json=large)).status_code == 429
        assert (await client.post("/generate", json=large, headers={"accept": "text/csv"})).status_code == 429
        metrics = (await client.get("/metrics")).text
        assert re.findall("^namewave_characters_total.*$", metrics, re.M) == before
        assert 'namewave_requests_refused_total{reason="limit"} 2.0' in metrics
        assert (await client.post("/generate", json=FIELDS)).status_code == 200
    async with client_of(limit=2_000) as client:
        first = await client.post("/generate", json=FIELDS | {"count": 500, "unique": False})
        assert first.status_code == 200
        assert (await client.get("/info")).status_code == 429


@pytest.mark.anyio
async def test_judging_costs_by_the_name(client_of: ClientOf) -> None:
    """/score takes from the allowance for each name, and refuses too many."""
    async with client_of(limit=5_000) as client:
        first = await client.post("/score", json={"dataset": "elves", "names": ["kalomi"] * 3})
        assert (first.status_code, told(first)["r"]) == (200, 5_000 - REQUEST - 3 * JUDGED)
        assert (await client.post("/score", json={"dataset": "elves", "names": ["kalomi"] * 8})).status_code == 429


@pytest.mark.anyio
async def test_every_route_is_limited(client_of: ClientOf) -> None:
    """Each path of the OpenAPI document but the probes refuses who had enough, and says so in the document."""
    async with client_of(limit=100) as client:
        assert (await client.get("/nowhere")).status_code == 404
    async with client_of(limit=0) as client:
        paths: dict[str, Any] = (await client.get("/openapi.json")).json()["paths"]
    assert set(paths) > OPEN
    async with client_of(limit=100) as client:
        assert (await client.get("/info")).status_code == 200
        for path, operations in paths.items():
            for method, operation in operations.items():
                answer = await client.request(method.upper(), re.sub(r"\{.*?\}", "1", path))
                assert (answer.status_code == 429) == (path not in OPEN), path
                assert ("429" in operation["responses"]) == (path not in OPEN), path
                assert ("ratelimit" in answer.headers) == (path not in OPEN), path


@pytest.mark.anyio
async def test_without_a_limit_nothing_is_told(client_of: ClientOf) -> None:
    """A limit of 0 leaves out the door and its headers."""
    async with client_of(limit=0) as client:
        assert "ratelimit" not in (await client.get("/info")).headers


@pytest.mark.anyio
async def test_processes_that_count_alone_share_the_limit(client_of: ClientOf) -> None:
    """Without a common store each of N processes grants an Nth, so that all of them never grant more than the limit."""
    async with client_of(limit=4_000, workers=4) as client:
        assert told(await client.get("/info"))["q"] == 1_000


@pytest.mark.parametrize(
    ("peer", "forwarded", "name"),
    [
        ("192.0.2.9", [], "192.0.2.9"),
        ("192.0.2.9", ["198.51.100.1"], "192.0.2.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.5, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.5", "198.51.100.1, 10.0.0.7"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, 10.0.0.8:4711, [::1]:80"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, nonsense, 10.0.0.8"], "10.0.0.8"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("::ffff:192.0.2.9", [], "192.0.2.9"),
        ("2001:db8:1:2:aaaa::1", [], "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", ["198.51.100.1"], "2001:db8:1:2::/64"),
        ("::1", ["2001:db8:1:2:cccc::3"], "2001:db8:1:2::/64"),
        ("fe80::1%eth0", [], "fe80::/64"),
        ("", [], "(unknown)"),
    ],
)
def test_only_trusted_proxies_tell_addresses(peer: str, forwarded: list[str], name: str) -> None:
    """X-Forwarded-For counts from the right, as far as it was written by networks that are trusted; IPv6 clients are
    one by their 64 bits, mapped IPv4 ones are IPv4.
    """
    clients = Clients([ip_network("10.0.0.0/8"), ip_network("::1/128")])
    given = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    assert clients.name({"client": (peer, 1), "headers": given}) == name
    if not forwarded:
        assert Clients().name({"client": (peer, 1), "headers": [(b"x-forwarded-for", b"1.2.3.4")]}) == name


def test_settings_take_lists() -> None:
    """Networks and origins come with commas between, and what is no network or origin is refused."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAMEWAVE_TRUSTED_PROXIES", "10.0.0.0/8, ::1")
        patch.setenv("NAMEWAVE_CORS_ORIGINS", "https://example.org,http://127.0.0.1:3000")
        chosen = Settings()
        assert [str(network) for network in chosen.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
        assert chosen.cors_origins == ("https://example.org", "http://127.0.0.1:3000")
        for name, wrong in (("TRUSTED_PROXIES", "10.0.0.0/99"), ("CORS_ORIGINS", "example.org"), ("LIMIT", "-1")):
            with pytest.MonkeyPatch.context() as inner:
                inner.setenv(f"NAMEWAVE_{name}", wrong)
                with pytest.raises(ValueError, match=name.lower()):
                    Settings()
    assert json.dumps(Settings().model_dump(mode="json"))


def test_without_the_package_the_error_says_how_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where redis is missing, the one line names the setting and the file of its pinned packages, which is there."""
    for name in ("redis", "redis.asyncio"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=r"NAMEWAVE_LIMITS_STORE .*--require-hashes -r (requirements/redis\.txt)$"):
        SharedWindows("redis://127.0.0.1:1/0", 100)
    assert (Path(__file__).parents[2] / "requirements/redis.txt").is_file()
