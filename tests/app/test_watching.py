"""The service follows its stores while it runs: in one process step by step, in two under load."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

from app.cli import main
from app.main import create_app
from app.processes.watching import look, watched
from app.settings import Settings
from models import Draft, Kernels, ModelRegistry
from models.store import Key, Store

ROOT = Path(__file__).parents[2]
# Seconds: far more than any machine needs, so that only a change that never comes fails.
PATIENCE = 90


@pytest.fixture
def stores(elf_store: Path, tmp_path: Path) -> Path:
    """Stores of its own for a test that changes them: shipped/ is empty, user/ has two versions of the elves."""
    shutil.copytree(elf_store, tmp_path / "stores")
    return tmp_path / "stores"


def opened(kernels: Kernels, stores: Path) -> ModelRegistry:
    """A registry over the stores: what another process has."""
    return ModelRegistry.open(kernels, user=stores / "user", shipped=stores / "shipped")


def publish_broken(kernels: Kernels, stores: Path, draft: Draft) -> str:
    """Put a version with a flipped bit into the user's store as a publication would, by one rename."""
    shutil.copytree(stores, stores.parent / "staged")
    manifest = opened(kernels, stores.parent / "staged").publish(draft)
    key = Key(manifest.dataset, manifest.architecture, manifest.version)
    staged = Store(stores.parent / "staged/user").folder(key)
    content = bytearray((staged / "model.safetensors").read_bytes())
    content[-5] ^= 1
    (staged / "model.safetensors").write_bytes(content)
    os.rename(staged, Store(stores / "user").folder(key))
    return manifest.reference


@pytest.mark.anyio
async def test_a_running_service_offers_what_is_published(stores: Path, kernels: Kernels, elf_draft: Draft) -> None:
    """A new data set, a moved alias and a removal are served without a restart; files of a removed version are unknown
    before the service noticed, too.
    """
    app = create_app(Settings(store=stores / "user", shipped_store=stores / "shipped", refresh=0.01))
    other = opened(kernels, stores)
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope, receive, send):  # type: ignore[no-untyped-def]
            await app({**scope, "state": dict(state)}, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(with_state), base_url="http://test") as client:

            async def until(link: str, wanted: Callable[[httpx.Response], bool]) -> None:
                with anyio.fail_after(PATIENCE):
                    while not wanted(await client.get(link)):
                        await anyio.sleep(0.01)

            other.publish(replace(elf_draft, dataset="fays"))
            await until("/generate?dataset=fays", lambda answer: answer.status_code == 200)
            other.alias("elves", "default", "wavenet@2", "sounds better")
            await until("/generate?dataset=elves", lambda answer: answer.json()["model"] == "elves/wavenet@2")
            await until("/models", lambda answer: answer.json()["reasons"][-1]["reason"] == "sounds better")
            other.publish(elf_draft)
            await until("/models/elves/wavenet/latest", lambda answer: answer.json()["version"] == 3)
            held = state["service"].registry.resolve("elves", "wavenet@3")  # type: ignore[index]
            other.remove("elves/wavenet@3", "not needed")
            # Whether the service noticed already or not.
            answer = await client.get("/models/elves/wavenet/3/files/card.md")
            assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
            assert len(held.generator.generate(3, seed=1).names) == 3
            await until("/models/elves/wavenet/latest", lambda answer: answer.json()["version"] == 2)


@pytest.mark.anyio
async def test_files_of_a_removed_version_are_a_clean_problem(stores: Path, kernels: Kernels, elf_draft: Draft) -> None:
    """Where the service has not looked again, names are drawn from what was loaded; files and card are 404, and those
    of an alias are of the version that it means by now.
    """
    app = create_app(Settings(store=stores / "user", shipped_store=stores / "shipped", refresh=0))
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope, receive, send):  # type: ignore[no-untyped-def]
            await app({**scope, "state": dict(state)}, receive, send)

        opened(kernels, stores).remove("elves/wavenet@2", "not needed")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(with_state), base_url="http://test") as client:
            answers = {
                link: (await client.get(link)).status_code
                for link in (
                    "/generate?dataset=elves&model=wavenet@2",
                    "/models/elves/wavenet/latest/files/names.txt",
                    "/models/elves/wavenet/latest",
                    "/models/elves/wavenet/2",
                    "/models/elves/wavenet/2/files/names.txt",
                )
            }
    assert list(answers.values()) == [200, 200, 200, 404, 404], answers


def test_each_change_is_a_line_of_the_log(stores: Path, kernels: Kernels, elf_draft: Draft) -> None:
    """What came, went, was refused, moved and stands in is told once; a look without a change says nothing."""
    live, other = opened(kernels, stores), opened(kernels, stores)
    look(live)
    other.alias("elves/wavenet", "stable", "2", "sounds better")
    other.publish(elf_draft)
    broken = publish_broken(kernels, stores, elf_draft)
    with capture_logs() as lines:
        look(live)
    assert [(line["event"], line.get("model"), line.get("alias")) for line in lines] == [
        ("version came", "elves/wavenet@3", None),
        ("refused", broken, None),
        ("alias moved", "elves/wavenet@3", "elves/wavenet latest"),
        ("alias moved", "elves/wavenet@2", "elves/wavenet stable"),
    ]
    other.remove("elves/wavenet@3", "not needed")
    with capture_logs() as lines:
        look(live)
        look(live)
    assert [line["event"] for line in lines] == ["version went", "alias moved"]


@pytest.mark.anyio
async def test_an_error_is_told_once_and_survived(
    stores: Path, kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that breaks is logged once however often it breaks, and looking goes on; it ends with the block."""
    registry = opened(kernels, stores)
    looks: list[int] = []

    def changed() -> bool:
        looks.append(len(looks))
        if len(looks) < 5:
            raise RuntimeError("the disk is on fire")
        return False

    monkeypatch.setattr(registry, "changed", changed)
    with capture_logs() as lines, anyio.fail_after(PATIENCE):
        async with watched(registry, 0.001, lambda: None):
            while len(looks) < 8:
                await anyio.sleep(0.001)
    assert [line["log_level"] for line in lines] == ["error"]
    ended = len(looks)
    await anyio.sleep(0.01)
    assert len(looks) == ended


@pytest.mark.anyio
async def test_zero_turns_it_off(stores: Path, kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 0 seconds no look is made, and the block is entered and left as ever."""
    registry = opened(kernels, stores)
    monkeypatch.setattr(registry, "changed", lambda: pytest.fail("it looked"))
    async with watched(registry, 0, lambda: None):
        await anyio.sleep(0.01)


class Load:
    """Requests without a pause from a thread, each on a connection of its own, and what went wrong with them."""

    LINKS = (
        "/generate?dataset=elves",
        "/generate?dataset=elves&model=wavenet@stable",
        "/generate?dataset=elves&model=wavenet",
        "/generate?dataset=elves&model=wavenet@1&seed=7",
        "/health/ready",
        "/models",
        "/datasets",
        "/models/elves/wavenet/latest",
        "/models/elves/wavenet/stable/files/card.md",
    )

    def __init__(self, address: str) -> None:
        self.address, self.answered, self.failures = address, 0, list[str]()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._over.is_set():
            for link in self.LINKS:
                try:
                    answer = httpx.get(f"{self.address}{link}", timeout=PATIENCE)
                    if answer.status_code != 200:
                        self.failures.append(f"{link}: {answer.status_code} {answer.text}")
                except httpx.HTTPError as error:
                    self.failures.append(f"{link}: {error!r}")
                self.answered += 1


class Server:
    """A server process over `stores`, its address, and the lines of its log, which goes to a file: nobody must read it
    for the server to go on.
    """

    def __init__(self, process: subprocess.Popen[bytes], address: str, log: Path) -> None:
        self.process, self.address, self.log = process, address, log

    def get(self, link: str) -> Any:
        """What is answered, as JSON."""
        return httpx.get(f"{self.address}{link}", timeout=PATIENCE).json()

    def workers(self, event: str, **fields: str) -> set[int]:
        """The processes that logged the event."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        wanted = {"event": event, **fields}
        return {line["process"] for line in lines if "process" in line and wanted.items() <= line.items()}

    def until(self, what: str, seen: Callable[[], bool]) -> None:
        """Look until it is so, at most `PATIENCE`."""
        end = time.monotonic() + PATIENCE
        while not seen():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, f"never seen: {what}\n{self.log.read_text()[-3000:]}"
            time.sleep(0.05)

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            return httpx.get(f"{self.address}/health/ready").status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def served(stores: Path, log: Path, workers: int) -> Iterator[Server]:
    """A real server with so many workers; stopped at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mine = {
        "NAMEWAVE_STORE": str(stores / "user"),
        "NAMEWAVE_SHIPPED_STORE": str(stores / "shipped"),
        "NAMEWAVE_WORKERS": str(workers),
        "NAMEWAVE_LOG_FORMAT": "json",
        "NAMEWAVE_REFRESH": "0.2",
    }
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NAMEWAVE_")} | mine
    command = [sys.executable, "-m", "app", "serve", "--port", str(port)]
    with log.open("wb") as file, subprocess.Popen(command, cwd=ROOT, env=environment, stderr=file) as process:
        server = Server(process, f"http://127.0.0.1:{port}", log)
        try:
            server.until("ready", server.ready)
            server.until("both workers", lambda: log.read_text().count('"event":"ready"') == workers)
            yield server
        finally:
            process.terminate()


def test_two_workers_follow_under_load(
    stores: Path, kernels: Kernels, elf_draft: Draft, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While requests come without a pause, a data set is published, an alias moved and rolled back, a broken version
    put in, an alias pointed to it, and a version removed: both workers follow, the last good version serves with the
    reason told, and no request fails.
    """
    monkeypatch.setenv("NAMEWAVE_STORE", str(stores / "user"))
    monkeypatch.setenv("NAMEWAVE_SHIPPED_STORE", str(stores / "shipped"))

    def command(*words: str) -> str:
        done = CliRunner().invoke(main, ["models", *words])
        assert done.exit_code == 0, done.output
        return done.output

    with served(stores, tmp_path / "log", workers=2) as server, Load(server.address) as load:

        def both(event: str, **fields: str) -> None:
            server.until(f"{event} {fields}", lambda: len(server.workers(event, **fields)) == 2)

        opened(kernels, stores).publish(replace(elf_draft, dataset="fays"))
        both("version came", model="fays/wavenet@1")
        for _ in range(20):
            assert server.get("/generate?dataset=fays&seed=1")["model"] == "fays/wavenet@1"
        command("alias", "elves/wavenet", "stable", "2", "--reason", "sounds better")
        both("alias moved", alias="elves/wavenet stable", model="elves/wavenet@2")
        assert server.get("/generate?dataset=elves&model=wavenet@stable")["model"] == "elves/wavenet@2"
        command("alias", "elves/wavenet", "stable", "1", "--reason", "does not")
        both("alias moved", alias="elves/wavenet stable", model="elves/wavenet@1")
        assert server.get("/generate?dataset=elves&model=wavenet@stable")["model"] == "elves/wavenet@1"

        broken = publish_broken(kernels, stores, elf_draft)
        both("refused", model=broken)
        user = Store(stores / "user")
        user.change_aliases(
            lambda aliases: aliases.with_dataset(
                "elves", aliases.of("elves").model_copy(update={"default": "wavenet@3"})
            )
        )
        instead = "elves default: elves/wavenet@1 serves instead of elves/wavenet@3, which is refused."
        both("stands in", reason=instead)
        for _ in range(20):
            ready = server.get("/health/ready")
            assert (ready["status"], ready["stand_ins"]) == ("ok", [instead])
            assert "differs from its manifest" in ready["refused"][broken]
            assert server.get("/models")["stand_ins"] == [instead]
            assert server.get("/generate?dataset=elves")["model"] == "elves/wavenet@1"
        listed = command("list")
        assert f"refused {broken}" in listed
        # A process that never saw version 1 as the default takes the newest that is served.
        assert "stands in: elves default: elves/wavenet@2 serves instead of elves/wavenet@3" in listed

        command("remove", "elves/wavenet@2", "--reason", "not needed")
        both("version went", model="elves/wavenet@2")
        assert httpx.get(f"{server.address}/generate?dataset=elves&model=wavenet@2").status_code == 404
        assert server.get("/generate?dataset=elves&model=wavenet")["model"] == "elves/wavenet@1"
        answered = load.answered
        server.until("more requests", lambda: load.answered > answered + len(Load.LINKS))
    assert load.failures == []
