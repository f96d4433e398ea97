"""Two workers of the service follow its stores under load."""

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

import httpx
import pytest
from click.testing import CliRunner

from app.cli import main
from models import Draft, Kernels
from models.store import Store
from tests.app.followed import PATIENCE, opened, publish_broken

ROOT = Path(__file__).parents[2]


@pytest.fixture
def stores(elf_store: Path, tmp_path: Path) -> Path:
    """Stores of its own for a test that changes them: shipped/ is empty, user/ has two versions of the elves."""
    shutil.copytree(elf_store, tmp_path / "stores")
    return tmp_path / "stores"


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
