"""Everything around /generate: pages, models, health, OpenAPI, headers, the log, the command line, real processes."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from app.cli import main
from app.errors import STATUS, status_of
from app.main import create_app
from app.settings import Settings
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
async def test_health(client: httpx.AsyncClient) -> None:
    """Alive and ready over a good store; /info tells the limits."""
    assert (await client.get("/health/live")).json()["status"] == "ok"
    assert (await client.get("/health/ready")).status_code == 200
    assert (await client.get("/info")).json()["limits"]["max_count"] == 10_000


@pytest.mark.anyio
async def test_not_ready_while_a_default_is_refused(elf_store: Path, tmp_path: Path) -> None:
    """A default whose weights were altered makes the service not ready, with the reason and without paths of the
    machine.
    """
    shutil.copytree(elf_store / "user", tmp_path / "user")
    weights = tmp_path / "user/elves/wavenet/1/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    app = create_app(Settings(store=tmp_path / "user", shipped_store=tmp_path / "none"))
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope, receive, send):  # type: ignore[no-untyped-def]
            await app({**scope, "state": dict(state)}, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(with_state), base_url="http://test") as client:
            ready = await client.get("/health/ready")
            assert ready.status_code == 503
            assert list(ready.json()["refused"]) == ["elves/wavenet@1"]
            assert str(tmp_path) not in ready.text
            assert (await client.get("/health/live")).status_code == 200
            assert (await client.get("/generate?dataset=elves")).status_code == 503
            assert (await client.get("/generate?dataset=elves&model=wavenet@2")).status_code == 200


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
                if int(status) >= 400 and path != "/health/ready":
                    assert list(answer["content"]) == ["application/problem+json"], (method, path, status)


@pytest.mark.anyio
async def test_documented_examples_work(client: httpx.AsyncClient) -> None:
    """Every example body of POST /generate, pasted, is answered with 200 (over the elves, who have no other data
    set).
    """
    document = (await client.get("/openapi.json")).json()
    examples = document["paths"]["/generate"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    assert len(examples) >= 3
    for name, example in examples.items():
        value = example["value"] | {"dataset": "elves", "prefix": ""}
        assert (await client.post("/generate", json=value)).status_code == 200, name


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


def environment(store: Path, **more: str) -> dict[str, str]:
    """The environment of a fresh process over `store`."""
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("NAMEWAVE_")},
        "NAMEWAVE_STORE": str(store / "user"),
        "NAMEWAVE_SHIPPED_STORE": str(store / "shipped"),
        **more,
    }


def test_the_command_line_gives_the_services_names(elf_store: Path) -> None:
    """Two fresh processes of `python -m app generate` print the same names, and --json the service's answer."""
    command = [sys.executable, "-m", "app", "generate", "--dataset", "elves", "--seed", "3", "--count", "5"]
    runs = [
        subprocess.run(command, cwd=ROOT, env=environment(elf_store), capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout
    assert len(runs[0].stdout.splitlines()) == 5
    told = subprocess.run([*command, "--json"], cwd=ROOT, env=environment(elf_store), capture_output=True, check=True)
    assert json.loads(told.stdout)["names"] == runs[0].stdout.splitlines()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["generate", "--dataset", "elfs"], ["elfs", "elves"]),
        (["generate", "--dataset", "elves", "--temperature", "9"], ["--temperature", "9", "0.05 to 5"]),
        (["generate", "--dataset", "elves", "--prefix", "þ"], ["þ"]),
        (["models", "alias", "elves", "default", "wavenet@7", "--reason", "x"], ["wavenet@7"]),
    ],
)
def test_errors_at_the_command_line_are_one_line(elf_store: Path, arguments: list[str], words: list[str]) -> None:
    """An error says what was given and what is allowed, in one line, with exit status 2."""
    result = CliRunner(env=environment(elf_store)).invoke(main, arguments)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr


def test_a_bad_setting_is_one_line(elf_store: Path) -> None:
    """A setting out of range ends the start with one line that names the variable."""
    result = CliRunner(env=environment(elf_store, NAMEWAVE_PORT="99999")).invoke(main, ["serve"])
    assert result.exit_code == 2
    assert "NAMEWAVE_PORT" in result.stderr
    assert result.stderr.count("\n") == 1


@contextmanager
def served(store: Path, **more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A real server in a process of its own, and its address; stopped at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "app", "serve", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(store, **more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_until_ready(address: str) -> None:
    """Ask until the service answers, at most a minute."""
    for _ in range(600):
        try:
            if httpx.get(f"{address}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("the service did not become ready")


def test_a_real_server_answers_and_stops(elf_store: Path) -> None:
    """`python -m app serve` answers over a socket, logs one JSON object a line, and ends with 0 on SIGTERM."""
    with served(elf_store, NAMEWAVE_LOG_FORMAT="json") as (process, address):
        wait_until_ready(address)
        answer: dict[str, Any] = httpx.post(f"{address}/generate", json={"dataset": "elves", "count": 3}).json()
        assert len(answer["names"]) == 3
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
        assert process.returncode == 0
        lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
        assert any(line["event"] == "request" and line["route"] == "/generate" for line in lines)


def test_a_busy_port_is_one_line(elf_store: Path) -> None:
    """A port that is taken ends the start with one line and exit status 2."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        arguments = ["serve", "--port", str(taken.getsockname()[1])]
        result = CliRunner(env=environment(elf_store)).invoke(main, arguments)
    assert result.exit_code == 2
    assert "cannot listen" in result.stderr


def test_serving_never_imports_torch(elf_store: Path) -> None:
    """A fresh process that serves a request has neither torch nor matplotlib among its modules."""
    program = """
import anyio, httpx, sys
from app.main import create_app

async def main():
    app = create_app()
    async with app.router.lifespan_context(app) as state:
        async def served(scope, receive, send):
            await app({**scope, "state": dict(state)}, receive, send)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://test") as client:
            assert (await client.get("/generate?dataset=elves")).status_code == 200

anyio.run(main)
print([name for name in ("torch", "matplotlib") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment(elf_store),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
