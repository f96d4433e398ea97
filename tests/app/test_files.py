"""Files over HTTP: of versions and of pages, with ETag and gzip, off the event loop."""

import gzip
import hashlib
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from app.settings import Settings
from models import Draft, ModelRegistry, Version
from models.casing import Casing
from models.spelling import title
from models.store.checkpoint import CASING, NAMES, TABLE
from tests.harness.app_client import AppClient, app_client, error_of

pytestmark = pytest.mark.anyio
CARD = "/models/elves/wavenet/1/files/card.md"
BUNDLE = "/docs/assets/swagger-ui-bundle.js"


@pytest.mark.parametrize("path", ["/", "/lab", "/playground/main.js", BUNDLE, "/docs/assets/redoc.standalone.js"])
async def test_page_file_has_etag_and_gzip(client: AppClient, path: str) -> None:
    plain = await client.get(path, headers={"accept-encoding": "identity"})
    packed = await client.get(path, headers={"accept-encoding": "br, gzip;q=0.5"})
    # httpx unpacks what it reads.
    assert packed.content == plain.content
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert int(packed.headers["content-length"]) < len(plain.content)
    assert packed.headers["etag"] != plain.headers["etag"]
    for answer in (plain, packed):
        assert answer.headers["vary"] == "Accept-Encoding"
        asked = {
            "if-none-match": answer.headers["etag"],
            "accept-encoding": answer.headers.get("content-encoding", "identity"),
        }
        again = await client.get(path, headers=asked)
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])


@pytest.mark.parametrize("accept", ["", "identity", "gzip;q=0", "br", "*;q=0, br"])
async def test_gzip_is_sent_only_where_it_is_accepted(client: AppClient, accept: str) -> None:
    answer = await client.get(BUNDLE, headers={"accept-encoding": accept})
    assert "content-encoding" not in answer.headers


async def test_version_file_has_the_etag_of_its_content(settings: Settings, registry_of_files: Path) -> None:
    content = b"# Elves\n" * 1000
    async with app_client(settings, store=registry_of_files) as client:
        answer = await client.get(CARD, headers={"accept-encoding": "gzip"})
        assert (answer.content, answer.headers["content-encoding"]) == (content, "gzip")
        plain = await client.get(CARD, headers={"accept-encoding": "identity"})
        assert plain.headers["etag"] == f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        assert len(gzip.compress(content)) < len(content)
        weights = await client.get("/models/elves/wavenet/1/files/model.safetensors")
        assert "content-encoding" not in weights.headers
        assert (await client.get(CARD, headers={"if-none-match": plain.headers["etag"]})).status_code == 200
        known = {"if-none-match": answer.headers["etag"]}
        assert (await client.get(CARD, headers=known)).status_code == 304


async def test_version_file_is_read_in_a_thread(client: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    readers: list[int] = []
    read = Version.file

    def recorded(version: Version, name: str) -> bytes:
        readers.append(threading.get_ident())
        return read(version, name)

    monkeypatch.setattr(Version, "file", recorded)
    for path in (CARD, CARD.partition("/files")[0]):
        assert (await client.get(path)).status_code == 200
    assert len(readers) == 2
    assert threading.get_ident() not in readers


@pytest.fixture
def registry_of_files(tmp_path: Path, registry: ModelRegistry, elf_draft: Draft) -> Path:
    """A store with a version whose card is 8,000 bytes long."""
    registry.publish(replace(elf_draft, files={"card.md": b"# Elves\n" * 1000}))
    return tmp_path / "user"


@pytest.mark.parametrize("file", [NAMES, TABLE, CASING])
@pytest.mark.parametrize(("own", "served"), [(False, 404), (True, 200)])
async def test_list_of_an_own_data_set_needs_a_setting(
    settings: Settings, tmp_path: Path, registry: ModelRegistry, elf_draft: Draft, own: bool, served: int, file: str
) -> None:
    files = {TABLE: b"name\tweight\n", CASING: b"*\t^\n", "card.md": b"# Elves\n"}
    registry.publish(replace(elf_draft, files=files))
    link, store, empty = f"/models/elves/wavenet/1/files/{file}", tmp_path / "user", tmp_path / "empty"
    async with app_client(settings, store=store, shipped_store=empty, own_lists=own) as client:
        answer = await client.get(link)
        assert answer.status_code == served
        page = (await client.get("/models/elves/wavenet/1")).json()
        assert (file in page["files"]) == own
        if not own:
            assert file not in error_of(answer, 404)["allowed"]
    async with app_client(settings, store=empty, shipped_store=store) as client:
        assert (await client.get(link)).status_code == 200


async def test_answers_have_names_as_the_list_spells_them(
    settings: Settings, tmp_path: Path, registry: ModelRegistry, elf_draft: Draft
) -> None:
    """In JSON, details, sorted and streams; `title` and `lower` have no table."""
    entries = {"*": "^^", "e*": "e^"}
    table = "".join(f"{key}\t{spelling}\n" for key, spelling in entries.items()).encode()
    registry.publish(replace(elf_draft, files={CASING: table, "card.md": b"# Elves\n"}))
    asked = {"dataset": "elves", "count": 20, "seed": 3, "novel": False}
    async with app_client(settings, store=tmp_path / "user", shipped_store=tmp_path / "empty") as client:
        lower = (await client.post("/generate", json=asked | {"case": "lower"})).json()["names"]
        titled = (await client.post("/generate", json=asked | {"case": "title"})).json()["names"]
        expected = list(map(Casing(entries).spell, lower))
        assert expected != titled == list(map(title, lower))
        assert (await client.post("/generate", json=asked)).json()["names"] == expected
        details = (await client.post("/generate", json=asked | {"details": True})).json()["names"]
        assert [each["name"] for each in details] == expected
        by_likelihood = (await client.post("/generate", json=asked | {"sort": "likelihood"})).json()["names"]
        assert sorted(by_likelihood) == sorted(expected)
        text = await client.post("/generate", json=asked, headers={"Accept": "text/plain"})
        assert text.text.splitlines() == expected
