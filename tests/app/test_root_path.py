"""The service behind a prefix: what it links to, and which paths it understands."""

import re
from pathlib import Path

import pytest

from app.settings import Settings, load_settings
from models import ConfigError
from tests.harness.app_client import AppClient, app_client

pytestmark = pytest.mark.anyio
STATIC = Path(__file__).parents[2] / "app/static"
LINK = "/generate?dataset=elves&seed=1&count=3"
ABSOLUTE = re.compile(r"""(?:href|src)="/|(?:from|import\(|fetch\(|get\(|post\(|url:|init\() *["'`]/""")


@pytest.mark.parametrize("prefix", ["", "/names"])
async def test_prefix_may_be_stripped_by_the_proxy_or_not(settings: Settings, prefix: str) -> None:
    async with app_client(settings, root_path="/names") as client:
        answer = await client.get(f"{prefix}{LINK}")
        assert len(answer.json()["names"]) == 3
        assert answer.headers["link"].startswith("</names/generate?")
        assert (await client.head(f"{prefix}{LINK}")).headers["etag"] == answer.headers["etag"]
        page = (await client.get(f"{prefix}/models/elves/wavenet/1")).json()
        assert page["files"]["card.md"] == "/names/models/elves/wavenet/1/files/card.md"
        assert (await client.get(f"{prefix}/openapi.json")).json()["servers"] == [{"url": "/names"}]
        assert (await client.get(f"{prefix}/health/ready")).status_code == 200
        assert (await client.get(f"{prefix}/lab")).status_code == 200


async def test_other_prefixes_are_not_found(settings: Settings) -> None:
    async with app_client(settings, root_path="/names") as client:
        for path in ("/namesgenerate", "/other/generate", "/names/names/generate"):
            assert (await client.get(path)).status_code == 404


async def test_limits_and_keys_apply_below_the_prefix(settings: Settings, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"{'0' * 64} alice\n")
    async with app_client(settings, root_path="/names", keys=keys, max_body_bytes=256) as client:
        assert (await client.get("/names/models")).status_code == 401
        for path in ("/names/health/live", "/names/", "/names/playground/main.js"):
            assert (await client.get(path)).status_code == 200


async def test_without_a_prefix_the_document_names_its_own_place(client: AppClient) -> None:
    assert (await client.get("/openapi.json")).json()["servers"] == [{"url": "./"}]
    assert (await client.get(LINK)).headers["link"].startswith("</generate?")


def test_pages_have_relative_addresses_only() -> None:
    files = [path for path in STATIC.rglob("*") if path.suffix in (".html", ".js")]
    assert len(files) > 20
    found = {path.name: ABSOLUTE.findall(path.read_text("utf-8")) for path in files}
    assert {name: addresses for name, addresses in found.items() if addresses} == {}


@pytest.mark.parametrize("wrong", ["names", "/names/", "/a b", "//x", "/a?b"])
def test_malformed_prefix_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="NAMEWAVE_ROOT_PATH"):
        load_settings(root_path=wrong)
