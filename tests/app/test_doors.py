"""Keys and origins: who may ask, and from whose pages."""

import hashlib
import hmac
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from app.access import keys as keys_module
from app.access.doors import OPEN
from app.access.keys import Keys
from app.cli import main
from models import ConfigError

pytestmark = pytest.mark.usefixtures("within_one_window")
ClientOf = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, list[str]]:
    """A file of two keys that `python -m app key` made, and the keys."""
    runs = [CliRunner().invoke(main, ["key", name]) for name in ("alice", "bob")]
    assert [run.exit_code for run in runs] == [0, 0]
    path = tmp_path / "keys.txt"
    path.write_text("# ours\n\n" + "".join(run.stdout for run in runs))
    return path, [run.stderr.split()[-1] for run in runs]


def test_a_key_is_kept_as_its_hash_alone(made: tuple[Path, list[str]]) -> None:
    """The file's line is the SHA-256 of the key and a name; keys are long, and no two are the same."""
    path, keys = made
    lines = path.read_text().splitlines()[2:]
    assert lines == [
        f"{hashlib.sha256(key.encode()).hexdigest()} {name}" for key, name in zip(keys, ("alice", "bob"), strict=True)
    ]
    assert len(set(keys)) == 2
    assert all(len(key) >= 43 for key in keys)


@pytest.mark.anyio
async def test_who_has_no_key_stays_outside(made: tuple[Path, list[str]], client_of: ClientOf) -> None:
    """Without a key, with a wrong one or with its hash every route but the probes says 401 and how to show one; with a
    key, in either header, names come.
    """
    path, keys = made
    async with client_of(keys=path, limit=0) as client:
        paths = (await client.get("/openapi.json", headers={"x-api-key": keys[0]})).json()["paths"]
        for route, operations in paths.items():
            for method, operation in operations.items():
                answer = await client.request(method.upper(), re.sub(r"\{.*?\}", "1", route))
                assert (answer.status_code == 401) == (route not in OPEN), route
                assert ("401" in operation["responses"]) == (route not in OPEN), route
        for given in (
            {"authorization": f"Bearer {keys[0]}x"},
            {"authorization": f"Basic {keys[0]}"},
            {"authorization": keys[0]},
            {"x-api-key": hashlib.sha256(keys[0].encode()).hexdigest()},
            {"x-api-key": "é"},
            {"authorization": "Bearer "},
        ):
            refused = await client.get("/info", headers={name: value.encode() for name, value in given.items()})
            assert refused.status_code == 401
            assert refused.headers["content-type"] == "application/problem+json"
            assert refused.headers["www-authenticate"].startswith("Bearer")
            assert keys[0] not in refused.text
            shown = "x-api-key" in given or given["authorization"] == f"Bearer {keys[0]}x"
            assert ("This key is not known" if shown else "A key is needed") in refused.json()["detail"]
        for given in ({"authorization": f"Bearer {keys[1]}"}, {"authorization": f"bearer {keys[0]}"}):
            assert (await client.get("/info", headers=given)).status_code == 200
        assert (await client.get("/info", headers={"X-API-Key": keys[1]})).status_code == 200


@pytest.mark.anyio
async def test_keys_are_not_logged(
    made: tuple[Path, list[str]], client_of: ClientOf, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a right key nor a wrong one nor its hash gets into the log; whose key it was does."""
    path, keys = made
    async with client_of(keys=path, log_level="debug", log_format="json") as client:
        for key in (keys[0], "a-wrong-key-0123456789"):
            await client.get("/info", headers={"authorization": f"Bearer {key}"})
            await client.get("/info", headers={"x-api-key": key})
    log = "".join(capsys.readouterr())
    assert log.count('"event":"request"') == 4
    assert log.count('"owner":"alice"') == log.count('"status":200') == 2
    for key in (keys[0], "a-wrong-key-0123456789"):
        assert key not in log
        assert hashlib.sha256(key.encode()).hexdigest() not in log


@pytest.mark.anyio
async def test_limits_count_by_key(made: tuple[Path, list[str]], client_of: ClientOf) -> None:
    """Two keys at one address have an allowance each; what has no key is refused before it costs anybody anything."""
    path, keys = made
    async with client_of(keys=path, limit=200) as client:
        for key in keys:
            got = [(await client.get("/info", headers={"x-api-key": key})).status_code for _ in range(3)]
            assert got == [200, 200, 429]
        assert (await client.get("/info")).status_code == 401


def test_every_line_is_compared_in_constant_time(made: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever key is given, hmac.compare_digest looks at every line of the file."""
    path, given = made
    keys = Keys.load(path)
    calls: list[bytes] = []

    def compare(a: bytes, b: bytes) -> bool:
        calls.append(a)
        return hmac.compare_digest(a, b)

    monkeypatch.setattr(keys_module, "hmac", type("counted", (), {"compare_digest": staticmethod(compare)}))
    for key, owner in ((given[0], "alice"), (given[1], "bob"), ("nw_wrong", None), ("", None)):
        calls.clear()
        assert keys.owner(key) == owner
        assert calls == [line for line, _ in keys.digests]


@pytest.mark.parametrize("text", ["", "# nobody\n", "alice\n", "nw_abc alice\n", "0" * 63 + " a\n", "0" * 64 + " ä\n"])
def test_a_broken_file_of_keys_stops_the_start(tmp_path: Path, text: str) -> None:
    """A file without keys, or with a line that is none, is an error that does not repeat the line."""
    path = tmp_path / "keys.txt"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as error:
        Keys.load(path)
    assert "nw_abc" not in str(error.value)
    result = CliRunner(env={"NAMEWAVE_KEYS": str(path)}).invoke(main, ["serve"])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert CliRunner().invoke(main, ["key", "no spaces"]).exit_code == 2


def test_keys_that_cannot_be_read_are_told_in_plain_words(tmp_path: Path) -> None:
    """No file, a folder, bytes that are no text: one line each that names the place, and no class of an error."""
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name, why in (("none", "No such file or directory"), (".", "Is a directory"), ("bytes", "no UTF-8 text")):
        result = CliRunner(env={"NAMEWAVE_KEYS": str(tmp_path / name)}).invoke(main, ["serve"])
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert str(tmp_path / name) in result.stderr
        assert why in result.stderr
        assert "Error" not in result.stderr.removeprefix("Error: ")


@pytest.mark.anyio
async def test_pages_of_others_may_not_ask(client_of: ClientOf) -> None:
    """Nothing allows another origin unless a setting does; then that one alone, preflights included, without a key."""
    asked = {"origin": "https://example.org", "access-control-request-method": "POST"}
    async with client_of() as client:
        for answer in (await client.options("/generate", headers=asked), await client.get("/info", headers=asked)):
            assert not [name for name in answer.headers if name.startswith("access-control")]
    async with client_of(cors_origins=("https://example.org",)) as client:
        preflight = await client.options(
            "/generate", headers=asked | {"access-control-request-headers": "content-type,x-api-key"}
        )
        assert preflight.status_code == 200
        allowed = await client.get("/info", headers=asked)
        for answer in (preflight, allowed):
            assert answer.headers["access-control-allow-origin"] == "https://example.org"
            assert "access-control-allow-credentials" not in answer.headers
        assert "RateLimit" in allowed.headers["access-control-expose-headers"]
        other = await client.get("/info", headers={"origin": "https://example.com"})
        assert "access-control-allow-origin" not in other.headers


def test_the_proxy_hides_what_needs_no_key() -> None:
    """The nginx configuration answers 404 to the public for every probe, and for the metrics."""
    text = (ROOT / "deploy/nginx.conf").read_text("utf-8")
    hidden = re.findall(r"^ +location (= )?(/\S+) \{ return 404; \}$", text, re.MULTILINE)
    for path in (*OPEN, "/metrics"):
        assert any(path == place if exact else path.startswith(place) for exact, place in hidden), path
    assert not any("/generate".startswith(place) for _, place in hidden)


@pytest.mark.anyio
async def test_a_refused_preflight_is_counted_as_one(client_of: ClientOf) -> None:
    """A page that may not ask is refused for a reason of its own; a body that cannot be read keeps its."""
    asked = {"origin": "https://example.com", "access-control-request-method": "POST"}
    async with client_of(cors_origins=("https://example.org",)) as client:
        refused = await client.options("/generate", headers=asked)
        assert refused.status_code == 400
        assert "example.com" not in refused.text
        unread = await client.post("/generate", content=b"{", headers={"content-type": "application/json"})
        assert unread.status_code == 400
        told = (await client.get("/metrics")).text
    assert 'namewave_requests_refused_total{reason="preflight"} 1.0' in told
    assert 'namewave_requests_refused_total{reason="unreadable"} 1.0' in told


@pytest.mark.anyio
async def test_preflights_need_no_key(made: tuple[Path, list[str]], client_of: ClientOf) -> None:
    """A browser asks whether it may ask before it shows a key."""
    asked = {"origin": "https://example.org", "access-control-request-method": "GET"}
    async with client_of(keys=made[0], cors_origins=("https://example.org",)) as client:
        assert (await client.options("/info", headers=asked)).status_code == 200
        refused = await client.get("/info", headers=asked)
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == "https://example.org"
