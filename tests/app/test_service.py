"""Everything around /generate: models, health, documentation, request ids, unexpected errors."""

import json
import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from unittest.mock import Mock

import httpx
import pytest

from app.settings import Settings
from app.web.errors import STATUS, status_of
from models import Draft, ModelRegistry
from models.errors import ModelError
from tests.harness.app_client import app_client

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]


async def test_models_and_datasets_are_listed(client: httpx.AsyncClient) -> None:
    datasets = (await client.get("/datasets")).json()
    assert [(d["dataset"], d["default"], d["names"]) for d in datasets] == [("elves", "elves/wavenet@1", 1000)]
    models = (await client.get("/models")).json()
    assert [m["model"] for m in models["models"]] == ["elves/wavenet@1", "elves/wavenet@2"]
    assert models["aliases"] == {"elves": {"default": "wavenet@1", "wavenet": {"latest": 2, "stable": 1}}}
    assert models["refused"] == {}


async def test_model_page_has_card_losses_and_files(client: httpx.AsyncClient) -> None:
    page = (await client.get("/models/elves/wavenet/stable")).json()
    assert page["model"] == "elves/wavenet@1"
    assert page["card"] == "# Elves\n"
    assert page["losses"] == {"train": 2.0, "dev": 2.1, "test": 2.1}
    for name, address in page["files"].items():
        assert (await client.get(address)).status_code == 200, name


@pytest.mark.parametrize("path", ["elves/wavenet/9", "elves/wavenet/1/files/manifest.json", "x/y/1"])
async def test_unknown_version_or_file_is_404(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(f"/models/{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("content-encoding", "gzip")], 415),
        ([("content-encoding", "identity")], 200),
        ([("content-encoding", "identity"), ("content-encoding", "gzip")], 415),
        ([("content-type", "application/json"), ("content-type", "text/plain")], 415),
    ],
)
async def test_unsupported_body_is_415(client: httpx.AsyncClient, headers: list[tuple[str, str]], status: int) -> None:
    types = [] if headers[0][0] == "content-type" else [("content-type", "application/json")]
    answer = await client.post("/generate", content='{"dataset": "elves", "count": 1}', headers=[*types, *headers])
    assert answer.status_code == status
    assert status == 200 or answer.headers["content-type"] == "application/problem+json"


async def test_healthy_service_is_live_and_ready(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health/live")).json()["status"] == "ok"
    assert (await client.get("/health/ready")).status_code == 200
    assert (await client.get("/info")).json()["limits"]["max_count"] == 10_000


@pytest.mark.parametrize("damaged", [{1}, {1, 2}], ids=["the default", "all"])
async def test_service_is_ready_while_a_version_can_be_served(
    registry: ModelRegistry, elf_draft: Draft, tmp_path: Path, damaged: set[int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Another version serves instead of a damaged default. Without one the service starts for other data sets, but is
    not ready, and logs why. Reasons in responses have no paths.
    """
    for draft in (elf_draft, elf_draft, replace(elf_draft, dataset="fays")):
        registry.publish(draft)
    for number in damaged:
        weights = tmp_path / f"user/elves/wavenet/{number}/model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    served = len(damaged) == 1
    settings = Settings(store=tmp_path / "user", shipped_store=tmp_path / "shipped", log_format="json")
    async with app_client(settings) as client:
        log = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        [start] = [line for line in log if line["event"] in ("ready", "not ready")]
        assert (start["event"], start["level"]) == (("ready", "info") if served else ("not ready", "warning"))
        assert served or "elves/wavenet@1 is not served" in start["reason"]
        ready = await client.get("/health/ready")
        assert ready.status_code == (200 if served else 503)
        assert list(ready.json()["refused"]) == [f"elves/wavenet@{number}" for number in sorted(damaged)]
        fallback = "elves default: elves/wavenet@2 serves instead of elves/wavenet@1, which is refused."
        assert (fallback in ready.json()["fallbacks"]) == served
        assert str(tmp_path) not in ready.text
        models = (await client.get("/models")).json()
        for field in ("refused", "fallbacks"):
            assert models[field] == ready.json()[field]
        assert (await client.get("/health/live")).status_code == 200
        for model, answered in (("", served), ("&model=wavenet@1", False), ("&model=wavenet@2", served)):
            answer = await client.get(f"/generate?dataset=elves{model}")
            assert answer.status_code == (200 if answered else 503), model


@pytest.mark.parametrize("digest", [None, "0" * 64], ids=["not pinned", "another"])
async def test_refusal_by_pins_names_the_file_without_folders(
    settings: Settings, elf_store: Path, tmp_path: Path, digest: str | None
) -> None:
    manifest = elf_store / "user/elves/wavenet/1/manifest.json"
    pins = tmp_path / "our-pins.txt"
    other = f"{digest}  elves/wavenet@2\n" if digest else ""
    pins.write_text(f"{sha256(manifest.read_bytes()).hexdigest()}  elves/wavenet@1\n{other}")
    async with app_client(settings, pins=pins) as client:
        for address in ("/health/ready", "/models"):
            answer = await client.get(address)
            assert answer.json()["refused"]["elves/wavenet@2"].endswith("pinned in our-pins.txt.")
            assert str(tmp_path) not in answer.text


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
async def test_documentation_pages_load_only_our_own_files(client: httpx.AsyncClient, page: str) -> None:
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


async def test_every_operation_is_documented(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert "HTTPValidationError" not in json.dumps(document)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for field in ("summary", "description", "tags"):
                assert operation[field], (method, path)
            for status, answer in operation["responses"].items():
                if int(status) >= 400 and not path.endswith("/health/ready"):
                    assert list(answer["content"]) == ["application/problem+json"], (method, path, status)


async def test_safe_request_id_is_kept_and_another_replaced(client: httpx.AsyncClient) -> None:
    kept = await client.get("/health/live", headers={"x-request-id": "abc-123"})
    assert kept.headers["x-request-id"] == "abc-123"
    made = await client.get("/nowhere", headers={"x-request-id": 'x" forged=1'})
    assert re.fullmatch("[0-9a-f]{32}", made.headers["x-request-id"])
    assert made.headers["x-content-type-options"] == "nosniff"
    assert made.status_code == 404
    assert made.headers["content-type"] == "application/problem+json"


def test_every_model_error_has_a_status() -> None:
    kinds = ModelError.__subclasses__()
    assert len(kinds) >= 6
    for kind in kinds:
        assert kind in STATUS, kind
        assert 400 <= status_of(kind("x")) < 600


async def test_unexpected_error_is_500_with_a_logged_request_id(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with app_client(settings) as client:
        monkeypatch.setattr(client.service.sources, "find", Mock(side_effect=RuntimeError("a secret")))
        answer = await client.get("/generate", headers={"x-request-id": "abc-123"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "abc-123"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "secret" not in answer.text
    log = capsys.readouterr().err
    assert "a secret" in log
    for event in ("unexpected error", "status=500"):
        assert [line for line in log.splitlines() if event in line and "request_id=abc-123" in line], event


async def test_documented_examples_are_accepted() -> None:
    """Each example of a POST, and each GET with its parameters' examples, over the models that ship."""
    async with app_client(Settings(store=Path("none"))) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
        assert len(paths) >= 8
        assert any("post" in operations for operations in paths.values())
        for path, operations in paths.items():
            if "post" in operations:
                body = operations["post"]["requestBody"]["content"]["application/json"]
                for name, example in body["examples"].items():
                    assert (await client.post(path, json=example["value"])).status_code == 200, name
            if "get" in operations:
                shown = [p for p in operations["get"].get("parameters", []) if p["schema"].get("examples")]
                values = {p["name"]: p["schema"]["examples"][0] for p in shown}
                query = {p["name"]: values[p["name"]] for p in shown if p["in"] == "query"}
                assert (await client.get(path.format(**values), params=query)).status_code == 200, path
