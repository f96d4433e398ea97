"""API keys, client addresses, rate limits and CORS."""

import hashlib
import hmac
import json
import re
import sys
from ipaddress import ip_network
from pathlib import Path
from unittest.mock import Mock

import httpx
import pytest
from click.testing import CliRunner

from app.cli.main import main
from app.main import create_app
from app.names.generation import SCORED_CHARACTER_COST
from app.routes.scoring import NAME_COST, NEAREST_COST
from app.security.api_keys import ApiKeys
from app.security.client_address import ClientIdentifier
from app.security.rate_limiter import REQUEST_COST, RedisWindowCounters
from app.settings import Settings
from app.web.middleware import PUBLIC_PATHS
from models import ConfigError
from tests.harness.app_client import app_client

# The clock stands still: all that a test counts falls into one window.
pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("window_clock")]
ROOT = Path(__file__).parents[2]
FIELDS = {"dataset": "elves", "count": 5, "seed": 1}
ORIGIN = "https://example.org"
KeyFile = tuple[Path, list[str]]
FOLDER = "a folder"
WRONG_KEY = "a-wrong-key-0123456789"


@pytest.fixture
def key_file(tmp_path: Path) -> KeyFile:
    """A file of two keys that `python -m app key` made, and the keys."""
    runs = [CliRunner().invoke(main, ["key", name]) for name in ("alice", "bob")]
    assert [run.exit_code for run in runs] == [0, 0]
    path = tmp_path / "keys.txt"
    path.write_text("# ours\n\n" + "".join(run.stdout for run in runs))
    return path, [run.stderr.split()[-1] for run in runs]


def sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def rate_limit(answer: httpx.Response) -> dict[str, int]:
    """Return the numbers of the headers RateLimit and RateLimit-Policy."""
    text = answer.headers["ratelimit"] + ";" + answer.headers["ratelimit-policy"]
    return {name: int(value) for name, value in re.findall(r"\b([rtqw])=(\d+)", text)}


def sampled_characters(metrics: httpx.Response) -> float:
    found = re.search(r'^namewave_characters_total\{model="elves/wavenet@1"\} ([0-9.]+)$', metrics.text, re.M)
    assert found is not None
    return float(found[1])


def test_key_file_holds_only_hashes(key_file: KeyFile) -> None:
    path, keys = key_file
    lines = [f"{sha256(key)} {name}" for key, name in zip(keys, ("alice", "bob"), strict=True)]
    assert path.read_text().splitlines()[2:] == lines
    assert len(set(keys)) == 2
    assert all(len(key) >= 43 for key in keys)


@pytest.mark.parametrize("status", [401, 429])
async def test_every_route_but_the_probes_is_protected(key_file: KeyFile, settings: Settings, status: int) -> None:
    """By API keys (401) and by the rate limit (429), also unknown paths; the status is documented."""
    restriction = {"keys": key_file[0], "limit": 0} if status == 401 else {"limit": REQUEST_COST}
    paths = create_app(settings).openapi()["paths"]
    assert set(paths) > PUBLIC_PATHS
    async with app_client(settings, **restriction) as client:
        assert (await client.get("/nowhere")).status_code == (404 if status == 429 else 401)
        for path, operations in paths.items():
            for method, operation in operations.items():
                answer = await client.request(method.upper(), re.sub(r"\{.*?\}", "1", path))
                protected = path not in PUBLIC_PATHS
                assert (answer.status_code == status) == protected, path
                assert (str(status) in operation["responses"]) == protected, path
                assert ("ratelimit" in answer.headers) == (protected and status == 429), path


async def test_known_key_in_either_header_or_401(key_file: KeyFile, settings: Settings) -> None:
    path, [key, bob] = key_file
    needed, unknown = "needs an API key", "not valid"
    async with app_client(settings, keys=path) as client:
        for name, value, detail in (
            ("authorization", f"Bearer {key}x", unknown),
            ("authorization", f"Basic {key}", needed),
            ("authorization", key, needed),
            ("x-api-key", sha256(key), unknown),
            ("x-api-key", "é", unknown),
            ("authorization", "Bearer ", needed),
        ):
            refused = await client.get("/info", headers={name: value.encode()})
            assert refused.status_code == 401
            assert refused.headers["content-type"] == "application/problem+json"
            assert refused.headers["www-authenticate"].startswith("Bearer")
            assert key not in refused.text
            assert detail in refused.json()["detail"]
        accepted = [("authorization", f"Bearer {bob}"), ("authorization", f"bearer {key}"), ("X-API-Key", bob)]
        for name, value in accepted:
            assert (await client.get("/info", headers={name: value})).status_code == 200


async def test_keys_are_not_logged(key_file: KeyFile, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """The log has neither keys nor hashes, but the name of a known key."""
    path, keys = key_file
    async with app_client(settings, keys=path, log_level="debug", log_format="json") as client:
        for key in (keys[0], WRONG_KEY):
            await client.get("/info", headers={"authorization": f"Bearer {key}"})
            await client.get("/info", headers={"x-api-key": key})
    log = "".join(capsys.readouterr())
    assert log.count('"event":"request"') == 4
    assert log.count('"owner":"alice"') == log.count('"status":200') == 2
    assert [secret for key in (keys[0], WRONG_KEY) for secret in (key, sha256(key)) if secret in log] == []


async def test_rate_limit_counts_by_key(key_file: KeyFile, settings: Settings) -> None:
    path, keys = key_file
    async with app_client(settings, keys=path, limit=200) as client:
        for key in keys:
            got = [(await client.get("/info", headers={"x-api-key": key})).status_code for _ in range(3)]
            assert got == [200, 200, 429]
        assert (await client.get("/info")).status_code == 401


def test_every_digest_is_compared_in_constant_time(key_file: KeyFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever key is given, hmac.compare_digest looks at every line of the file."""
    path, [alice, bob] = key_file
    keys, compare_digest = ApiKeys.load(path), Mock(wraps=hmac.compare_digest)
    monkeypatch.setattr(hmac, "compare_digest", compare_digest)
    for key, name in ((alice, "alice"), (bob, "bob"), ("nw_wrong", None), ("", None)):
        compare_digest.reset_mock()
        assert keys.name_for(key) == name
        assert [call.args[0] for call in compare_digest.call_args_list] == [digest for digest, _ in keys.digests]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (FOLDER, "Is a directory"),
        ("", "holds no key"),
        ("# nobody\n", "holds no key"),
        ("alice\n", "is no key"),
        ("nw_abc alice\n", "is no key"),
        ("0" * 63 + " a\n", "is no key"),
        ("0" * 64 + " ä\n", "is no key"),
        ("þ\n", "no UTF-8 text"),
    ],
)
def test_invalid_key_file_stops_the_start(tmp_path: Path, content: str | None, reason: str) -> None:
    """One line names the file and the reason, but no Python class, and no line of the file, which may hold a key."""
    path = tmp_path / "keys.txt"
    if content == FOLDER:
        path.mkdir()
    elif content is not None:
        path.write_text(content, "latin-1" if reason == "no UTF-8 text" else "utf-8")
    result = CliRunner(env={"NAMEWAVE_KEYS": str(path)}).invoke(main, ["serve"])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert str(path) in result.stderr
    assert reason in result.stderr
    assert "Error" not in result.stderr.removeprefix("Error: ")
    assert "nw_abc" not in result.stderr


async def test_response_costs_its_sampled_characters(settings: Settings) -> None:
    async with app_client(settings, limit=100_000) as client:
        first = await client.post("/generate", json=FIELDS)
        second = await client.post("/generate", json=FIELDS | {"count": 100}, headers={"accept": "text/plain"})
        assert (first.status_code, second.status_code) == (200, 200)
        metrics = await client.get("/metrics")
    sampled, left = sampled_characters(metrics), rate_limit(metrics)
    assert sampled > 300
    assert (left["q"], left["w"]) == (100_000, 60)
    assert 100_000 - left["r"] == 3 * REQUEST_COST + sampled
    assert 0 < left["t"] <= 60


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
@pytest.mark.parametrize("count", [2, 150])
async def test_details_cost_each_scored_character(settings: Settings, accept: str, count: int) -> None:
    fields = FIELDS | {"count": count, "case": "lower", "details": True}
    async with app_client(settings, limit=1_000_000) as client:
        answer = await client.post("/generate", json=fields, headers={"accept": accept})
        metrics = await client.get("/metrics")
    lines = answer.text.splitlines()
    records = json.loads(lines[0])["names"] if accept == "application/json" else map(json.loads, lines[:-1])
    scored = [len(record["characters"]) for record in records]
    assert len(scored) == count
    expected = 2 * REQUEST_COST + sampled_characters(metrics) + SCORED_CHARACTER_COST * sum(scored)
    assert 1_000_000 - rate_limit(metrics)["r"] == expected


async def test_answers_to_keys_are_cached_by_their_client_only(key_file: KeyFile, settings: Settings) -> None:
    path, [key, _] = key_file
    link = "/generate?dataset=elves&model=wavenet@1&seed=1&count=2"
    async with app_client(settings, keys=path) as client:
        answer = await client.get(link, headers={"x-api-key": key})
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    async with app_client(settings) as client:
        assert (await client.get(link)).headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_client_over_its_limit_makes_no_blend(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    find = Mock()
    monkeypatch.setattr("app.routes.generate.resolve_source", find)
    async with app_client(settings, limit=REQUEST_COST) as client:
        await client.get("/info")
        assert (await client.get("/generate?dataset=elves:1,orcs:1")).status_code == 429
    find.assert_not_called()


async def test_client_over_its_limit_is_429_and_others_are_not(settings: Settings) -> None:
    async with app_client(settings, trusted_proxies=(ip_network("127.0.0.1"),), limit=300) as client:
        flood = {"x-forwarded-for": "192.0.2.1"}
        statuses = [(await client.get("/info", headers=flood)).status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        refused = await client.post("/generate", content=b"{", headers=flood)
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["status"] == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 120
        assert rate_limit(refused)["r"] == 0
        assert "needs up to 100 of your 300" in refused.json()["detail"]
        for path in sorted(PUBLIC_PATHS):
            assert (await client.get(path, headers=flood)).status_code == 200
        other = await client.get("/info", headers={"x-forwarded-for": "192.0.2.2"})
        assert (other.status_code, rate_limit(other)["r"]) == (200, 200)


async def test_request_over_the_limit_samples_nothing(settings: Settings) -> None:
    large = FIELDS | {"count": 2000}
    async with app_client(settings, limit=20_000) as client:
        assert (await client.post("/generate", json=FIELDS)).status_code == 200
        before = sampled_characters(await client.get("/metrics"))
        assert (await client.post("/generate", json=large)).status_code == 429
        assert (await client.post("/generate", json=large, headers={"accept": "text/csv"})).status_code == 429
        metrics = await client.get("/metrics")
        assert sampled_characters(metrics) == before
        assert 'namewave_requests_refused_total{reason="rate_limit_exceeded"} 2.0' in metrics.text
        assert (await client.post("/generate", json=FIELDS)).status_code == 200


async def test_request_above_the_whole_limit_uses_all_of_it(settings: Settings) -> None:
    """It is allowed to a client that has used nothing yet."""
    async with app_client(settings, limit=2_000) as client:
        first = await client.post("/generate", json=FIELDS | {"count": 500, "unique": False})
        assert first.status_code == 200
        assert (await client.get("/info")).status_code == 429


async def test_scoring_costs_by_the_name(settings: Settings) -> None:
    async with app_client(settings, limit=5_000) as client:
        first = await client.post("/score", json={"dataset": "elves", "names": ["kalomi"] * 3})
        assert (first.status_code, rate_limit(first)["r"]) == (200, 5_000 - REQUEST_COST - 3 * NAME_COST)
        costly = {"dataset": "elves", "names": ["kalomi"] * 10, "nearest": True}
        assert 10 * NAME_COST < rate_limit(first)["r"] < 10 * (NAME_COST + NEAREST_COST) + REQUEST_COST
        assert (await client.post("/score", json=costly)).status_code == 429


async def test_limit_of_zero_turns_rate_limiting_off(settings: Settings) -> None:
    async with app_client(settings, limit=0) as client:
        assert "ratelimit" not in (await client.get("/info")).headers


async def test_workers_without_a_store_share_the_limit(settings: Settings) -> None:
    """Each of N workers grants an Nth, so that all of them never grant more than the limit."""
    async with app_client(settings, limit=4_000, workers=4) as client:
        assert rate_limit(await client.get("/info"))["q"] == 1_000


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
def test_only_trusted_proxies_name_the_client(peer: str, forwarded: list[str], name: str) -> None:
    """X-Forwarded-For counts from the right, as far as trusted networks wrote it; IPv6 clients count by their /64."""
    clients = ClientIdentifier([ip_network("10.0.0.0/8"), ip_network("::1/128")])
    assert clients.identify(peer, lambda: forwarded) == name
    if not forwarded:
        assert ClientIdentifier().identify(peer, lambda: ["1.2.3.4"]) == name


def test_missing_redis_package_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(ConfigError, match=r"NAMEWAVE_LIMITS_STORE .*--require-hashes -r (requirements/redis\.txt)$"):
        RedisWindowCounters("redis://127.0.0.1:1/0", 100)
    assert (ROOT / "requirements/redis.txt").is_file()


async def test_other_origins_are_not_allowed_by_default(settings: Settings) -> None:
    asked = {"origin": ORIGIN, "access-control-request-method": "POST"}
    async with app_client(settings) as client:
        for answer in (await client.options("/generate", headers=asked), await client.get("/info", headers=asked)):
            assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_only_configured_origins_are_allowed(settings: Settings) -> None:
    asked = {"origin": ORIGIN, "access-control-request-method": "POST"}
    async with app_client(settings, cors_origins=(ORIGIN,)) as client:
        preflight = await client.options(
            "/generate", headers=asked | {"access-control-request-headers": "content-type,x-api-key"}
        )
        assert preflight.status_code == 200
        allowed = await client.get("/info", headers=asked)
        for answer in (preflight, allowed):
            assert answer.headers["access-control-allow-origin"] == ORIGIN
            assert "access-control-allow-credentials" not in answer.headers
        assert "RateLimit" in allowed.headers["access-control-expose-headers"]
        other = await client.get("/info", headers={"origin": "https://example.com"})
        assert "access-control-allow-origin" not in other.headers


async def test_refused_preflight_has_its_own_metric_reason(settings: Settings) -> None:
    asked = {"origin": "https://example.com", "access-control-request-method": "POST"}
    async with app_client(settings, cors_origins=(ORIGIN,)) as client:
        refused = await client.options("/generate", headers=asked)
        assert refused.status_code == 400
        assert "example.com" not in refused.text
        unread = await client.post("/generate", content=b"{", headers={"content-type": "application/json"})
        assert unread.status_code == 400
        metrics = (await client.get("/metrics")).text
    assert 'namewave_requests_refused_total{reason="preflight_refused"} 1.0' in metrics
    assert 'namewave_requests_refused_total{reason="unreadable_request"} 1.0' in metrics


async def test_preflight_needs_no_key(key_file: KeyFile, settings: Settings) -> None:
    asked = {"origin": ORIGIN, "access-control-request-method": "GET"}
    async with app_client(settings, keys=key_file[0], cors_origins=(ORIGIN,)) as client:
        assert (await client.options("/info", headers=asked)).status_code == 200
        refused = await client.get("/info", headers=asked)
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == ORIGIN


def test_nginx_hides_probes_and_metrics() -> None:
    text = (ROOT / "deploy/nginx.conf").read_text("utf-8")
    hidden = re.findall(r"^ +location (= )?(/\S+) \{ return 404; \}$", text, re.MULTILINE)
    for path in (*PUBLIC_PATHS, "/metrics"):
        assert any(path == place if exact else path.startswith(place) for exact, place in hidden), path
    assert not any("/generate".startswith(place) for _, place in hidden)
