"""Everything around /generate: pages, models, health, OpenAPI, headers."""

import json
import re
import shutil
import tomllib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from pydantic.fields import FieldInfo

from app.errors import STATUS, status_of
from app.main import create_app
from app.routes.health import VERSION
from app.settings import Settings
from models import Draft, Kernels, ModelRegistry
from models.errors import ModelError

ROOT = Path(__file__).parents[2]
METHODS = ("get", "post")


@pytest.mark.anyio
async def test_models_and_datasets_are_listed(client: httpx.AsyncClient) -> None:
    """The lists name what the store holds, with losses, defaults and aliases."""
    datasets = (await client.get("/datasets")).json()
    assert [(d["dataset"], d["default"], d["names"]) for d in datasets] == [("elves", "elves/wavenet@1", 1000)]
    models = (await client.get("/models")).json()
    assert [m["model"] for m in models["models"]] == ["elves/wavenet@1", "elves/wavenet@2"]
    assert models["aliases"] == {"elves": {"default": "wavenet@1", "wavenet": {"latest": 2, "stable": 1}}}
    assert models["refused"] == {}


@pytest.mark.anyio
async def test_a_version_tells_everything(client: httpx.AsyncClient) -> None:
    """A version's page has card, losses, data and links to files that can be fetched; aliases are understood."""
    page = (await client.get("/models/elves/wavenet/stable")).json()
    assert page["model"] == "elves/wavenet@1"
    assert page["card"] == "# Elves\n"
    assert page["losses"] == {"train": 2.0, "dev": 2.1, "test": 2.1}
    for name, address in page["files"].items():
        answer = await client.get(address)
        assert answer.status_code == 200, name
    for address in ("/models/elves/wavenet/9", "/models/elves/wavenet/1/files/manifest.json", "/models/x/y/1"):
        answer = await client.get(address)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.anyio
async def test_a_packed_body_is_refused(client: httpx.AsyncClient) -> None:
    """A body that says it is packed is not read as if it were plain: 415; `identity` says that it is plain."""
    fields = {"dataset": "elves", "count": 1}
    packed = await client.post("/generate", json=fields, headers={"content-encoding": "gzip"})
    assert (packed.status_code, packed.headers["content-type"]) == (415, "application/problem+json")
    assert (await client.post("/generate", json=fields, headers={"content-encoding": "identity"})).status_code == 200
    twice = [("content-encoding", "identity"), ("content-encoding", "gzip")]
    assert (await client.post("/generate", json=fields, headers=twice)).status_code == 415
    types = [("content-type", "application/json"), ("content-type", "text/plain")]
    assert (await client.post("/generate", content="{}", headers=types)).status_code == 415


@pytest.mark.anyio
async def test_health(client: httpx.AsyncClient) -> None:
    """Alive and ready over a good store; /info tells the limits."""
    assert (await client.get("/health/live")).json()["status"] == "ok"
    assert (await client.get("/health/ready")).status_code == 200
    assert (await client.get("/info")).json()["limits"]["max_count"] == 10_000


@pytest.mark.anyio
@pytest.mark.parametrize("damaged", [{1}, {1, 2}], ids=["the default", "all"])
async def test_ready_while_something_can_be_served(
    elf_store: Path,
    tmp_path: Path,
    kernels: Kernels,
    elf_draft: Draft,
    damaged: set[int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A default whose weights were altered is stood in for by the other version, and the service says so; where that
    is altered, too, it starts for the sake of another data set, and is not ready, which the log
    tells with the reason. The answers' reasons come without paths of the machine.
    """
    shutil.copytree(elf_store / "user", tmp_path / "user")
    others = ModelRegistry.open(kernels, user=tmp_path / "user", shipped=tmp_path / "none")
    others.publish(replace(elf_draft, dataset="fays"))
    for number in damaged:
        weights = tmp_path / f"user/elves/wavenet/{number}/model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    served = len(damaged) == 1
    app = create_app(Settings(store=tmp_path / "user", shipped_store=tmp_path / "none", log_format="json"))
    async with app.router.lifespan_context(app) as state:
        said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        [begun] = [line for line in said if line["event"] in ("ready", "not ready")]
        assert (begun["event"], begun["level"]) == (("ready", "info") if served else ("not ready", "warning"))
        assert served or "elves/wavenet@1 is not served" in begun["reason"]

        async def with_state(scope, receive, send):  # type: ignore[no-untyped-def]
            await app({**scope, "state": dict(state)}, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(with_state), base_url="http://test") as client:
            ready = await client.get("/health/ready")
            assert ready.status_code == (200 if served else 503)
            assert list(ready.json()["refused"]) == [f"elves/wavenet@{number}" for number in sorted(damaged)]
            instead = "elves default: elves/wavenet@2 serves instead of elves/wavenet@1, which is refused."
            assert (instead in ready.json()["stand_ins"]) == served
            assert str(tmp_path) not in ready.text
            models = (await client.get("/models")).json()
            assert {name: models[name] for name in ("refused", "stand_ins")} == {
                name: ready.json()[name] for name in ("refused", "stand_ins")
            }
            assert (await client.get("/health/live")).status_code == 200
            for link, answered in (("", served), ("&model=wavenet@1", False), ("&model=wavenet@2", served)):
                answer = await client.get(f"/generate?dataset=elves{link}")
                assert answer.status_code == (200 if answered else 503), link


@pytest.mark.anyio
@pytest.mark.parametrize("digest", [None, "0" * 64], ids=["not pinned", "another"])
async def test_nobody_is_told_where_the_pins_are(
    client_of: Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]],
    elf_store: Path,
    tmp_path: Path,
    digest: str | None,
) -> None:
    """What pins refuse is told to strangers with the name of their file, without its folders."""
    manifest = elf_store / "user/elves/wavenet/1/manifest.json"
    pins = tmp_path / "our-pins.txt"
    other = f"{digest}  elves/wavenet@2\n" if digest else ""
    pins.write_text(f"{sha256(manifest.read_bytes()).hexdigest()}  elves/wavenet@1\n{other}")
    async with client_of(pins=pins) as client:
        for address in ("/health/ready", "/models"):
            answer = await client.get(address)
            assert answer.json()["refused"]["elves/wavenet@2"].endswith("pinned in our-pins.txt.")
            assert str(tmp_path) not in answer.text


@pytest.mark.anyio
async def test_documentation_pages_need_no_other_host(client: httpx.AsyncClient) -> None:
    """Both pages load only our own files, all of which are there, and have no script inside."""
    for page in ("/docs", "/redoc"):
        answer = await client.get(page)
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        addresses = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
        assert addresses
        assert "://" not in answer.text
        assert re.findall(r"<script[^>]*>([^<]+)</script>", answer.text) == []
        for address in addresses:
            asset = await client.get(address)
            assert asset.status_code == 200
            assert len(asset.content) > 50


@pytest.mark.anyio
async def test_every_operation_is_described(client: httpx.AsyncClient) -> None:
    """Each operation has a summary, a description and a tag; errors are problems, FastAPI's own are gone."""
    document = (await client.get("/openapi.json")).json()
    assert "HTTPValidationError" not in json.dumps(document)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            assert operation["description"], (method, path)
            assert operation["tags"], (method, path)
            for status, answer in operation["responses"].items():
                if int(status) >= 400 and not path.endswith("/health/ready"):
                    assert list(answer["content"]) == ["application/problem+json"], (method, path, status)


@pytest.mark.anyio
async def test_request_ids(client: httpx.AsyncClient) -> None:
    """A harmless id of the client is kept, any other is replaced; safe headers are on every answer."""
    kept = await client.get("/health/live", headers={"x-request-id": "abc-123"})
    assert kept.headers["x-request-id"] == "abc-123"
    made = await client.get("/nowhere", headers={"x-request-id": 'x" forged=1'})
    assert re.fullmatch("[0-9a-f]{32}", made.headers["x-request-id"])
    assert made.headers["x-content-type-options"] == "nosniff"
    assert made.status_code == 404
    assert made.headers["content-type"] == "application/problem+json"


def test_every_model_error_has_a_status() -> None:
    """Each class of models.errors is mapped, itself or through an ancestor below the root."""
    kinds = ModelError.__subclasses__()
    assert len(kinds) >= 6
    for kind in kinds:
        assert kind in STATUS, kind
        assert 400 <= status_of(kind("x")) < 600


@pytest.mark.anyio
async def test_an_unforeseen_error_is_a_problem_with_an_id(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """A handler that breaks gives 500 without a word of why, but with the id under which the log says why."""
    app = create_app(settings)

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("a secret")

    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        answer = await client.get("/broken", headers={"x-request-id": "abc-123"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "abc-123"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "secret" not in answer.text
    log = capsys.readouterr().err
    assert "a secret" in log
    assert "status=500" in log
    assert [line for line in log.splitlines() if "unexpected error" in line and "request_id=abc-123" in line]
    assert [line for line in log.splitlines() if "status=500" in line and "request_id=abc-123" in line]


@pytest.mark.anyio
async def test_every_documented_address_takes_what_it_shows() -> None:
    """Over the models that ship, each example of a POST, as it is, and each GET with its parameters' examples
    answers 200.
    """
    app = create_app(Settings(store=Path("none")))
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope, receive, send):  # type: ignore[no-untyped-def]
            await app({**scope, "state": dict(state)}, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(with_state), base_url="http://test") as client:
            paths = (await client.get("/openapi.json")).json()["paths"]
            assert len(paths) >= 8
            posts = [(path, operations["post"]) for path, operations in paths.items() if "post" in operations]
            assert posts
            for path, operation in posts:
                for name, example in operation["requestBody"]["content"]["application/json"]["examples"].items():
                    assert (await client.post(path, json=example["value"])).status_code == 200, name
            for path, operations in paths.items():
                if "get" not in operations:
                    continue
                shown = [p for p in operations["get"].get("parameters", []) if p["schema"].get("examples")]
                values = {p["name"]: p["schema"]["examples"][0] for p in shown}
                query = {p["name"]: values[p["name"]] for p in shown if p["in"] == "query"}
                assert (await client.get(path.format(**values), params=query)).status_code == 200, path


def test_the_version_is_the_packages() -> None:
    """The service tells the version that pyproject.toml has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION


@pytest.mark.parametrize("description", Settings.model_fields.values(), ids=list(Settings.model_fields))
def test_every_setting_is_documented(description: FieldInfo) -> None:
    """Each setting says what it is for."""
    assert description.description
