"""The service follows its stores while it runs: in one process, and in two workers under load."""

import asyncio
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import anyio
import httpx
import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

from app.cli.main import main
from app.settings import Settings
from app.store_watcher import refresh, watch_stores
from models import Draft, Kernels
from models.store.files import Key, Store
from tests.app.running import TIMEOUT
from tests.harness.app_client import app_client
from tests.harness.clock import async_until, until
from tests.harness.processes import PAUSE
from tests.harness.service import served
from tests.harness.stores import open_registry, store_settings
from tests.models.store_edits import flip_bit

pytestmark = pytest.mark.anyio
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


@pytest.fixture
def stores(elf_store: Path, tmp_path: Path) -> Path:
    """Stores that a test may change: shipped/ is empty, user/ has two versions of the elves."""
    shutil.copytree(elf_store, tmp_path / "stores")
    return tmp_path / "stores"


def settings_for(stores: Path) -> Settings:
    return Settings(store=stores / "user", shipped_store=stores / "shipped")


def publish_broken(kernels: Kernels, stores: Path, draft: Draft) -> str:
    """Publish a version with a flipped bit into the user's store, by one rename."""
    staging = stores.parent / "staged"
    shutil.copytree(stores, staging)
    manifest = open_registry(staging, kernels).publish(draft)
    key = Key(manifest.dataset, manifest.architecture, manifest.version)
    staged = Store(staging / "user").folder(key)
    flip_bit(staged / "model.safetensors")
    os.rename(staged, Store(stores / "user").folder(key))
    return manifest.reference


async def test_store_changes_are_served_without_a_restart(stores: Path, kernels: Kernels, elf_draft: Draft) -> None:
    """A new data set, a moved alias, and a removal, whose version still serves requests that hold it."""
    other = open_registry(stores, kernels)
    async with app_client(settings_for(stores), refresh=0.01) as client:

        async def poll(link: str, wanted: Callable[[httpx.Response], bool]) -> None:
            with anyio.fail_after(TIMEOUT):
                while not wanted(await client.get(link)):
                    await anyio.sleep(0.01)

        other.publish(replace(elf_draft, dataset="fays"))
        await poll("/generate?dataset=fays", lambda answer: answer.status_code == 200)
        other.alias("elves", "default", "wavenet@2", "sounds better")
        await poll("/generate?dataset=elves", lambda answer: answer.json()["model"] == "elves/wavenet@2")
        await poll("/models", lambda answer: answer.json()["reasons"][-1]["reason"] == "sounds better")
        other.publish(elf_draft)
        await poll("/models/elves/wavenet/latest", lambda answer: answer.json()["version"] == 3)
        held = client.service.registry.resolve("elves", "wavenet@3")
        other.remove("elves/wavenet@3", "not needed")
        # Whether the service noticed already or not.
        answer = await client.get("/models/elves/wavenet/3/files/card.md")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        assert len(held.generator.generate(3, seed=1).names) == 3
        await poll("/models/elves/wavenet/latest", lambda answer: answer.json()["version"] == 2)


@pytest.mark.parametrize(
    ("link", "status"),
    [
        ("/generate?dataset=elves&model=wavenet@2", 200),
        ("/models/elves/wavenet/latest/files/model.safetensors", 200),
        ("/models/elves/wavenet/latest", 200),
        ("/models/elves/wavenet/2", 404),
        ("/models/elves/wavenet/2/files/model.safetensors", 404),
    ],
)
async def test_removal_before_a_refresh_leaves_loaded_models(
    stores: Path, kernels: Kernels, link: str, status: int
) -> None:
    """Files and card are 404; those of an alias are of the version that it means by now."""
    async with app_client(settings_for(stores), refresh=0) as client:
        open_registry(stores, kernels).remove("elves/wavenet@2", "not needed")
        assert (await client.get(link)).status_code == status


def test_each_store_change_is_logged_once(stores: Path, kernels: Kernels, elf_draft: Draft) -> None:
    live, other = open_registry(stores, kernels), open_registry(stores, kernels)
    refresh(live)
    other.alias("elves/wavenet", "stable", "2", "sounds better")
    other.publish(elf_draft)
    broken = publish_broken(kernels, stores, elf_draft)
    with capture_logs() as lines:
        refresh(live)
    assert [(line["event"], line.get("model"), line.get("alias")) for line in lines] == [
        ("version came", "elves/wavenet@3", None),
        ("refused", broken, None),
        ("alias moved", "elves/wavenet@3", "elves/wavenet latest"),
        ("alias moved", "elves/wavenet@2", "elves/wavenet stable"),
    ]
    other.remove("elves/wavenet@3", "not needed")
    with capture_logs() as lines:
        refresh(live)
        refresh(live)
    assert [line["event"] for line in lines] == ["version went", "alias moved"]


async def test_repeated_refresh_error_is_logged_once(
    stores: Path, kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, tasks = open_registry(stores, kernels), asyncio.all_tasks()
    changed = Mock(side_effect=chain([RuntimeError("the disk is on fire")] * 4, repeat(False)))
    monkeypatch.setattr(registry, "changed", changed)
    with capture_logs() as lines:
        async with watch_stores(registry, 0.001, lambda: None):
            await async_until(lambda: changed.call_count >= 8)
    assert [line["log_level"] for line in lines] == ["error"]
    assert asyncio.all_tasks() == tasks


async def test_interval_of_zero_disables_polling(stores: Path, kernels: Kernels) -> None:
    tasks = asyncio.all_tasks()
    async with watch_stores(open_registry(stores, kernels), 0, lambda: None):
        assert asyncio.all_tasks() == tasks


def client_of(address: str) -> httpx.Client:
    """Return a client with a connection for each request, which any worker may take."""
    return httpx.Client(base_url=address, limits=httpx.Limits(max_keepalive_connections=0), timeout=TIMEOUT)


@contextmanager
def constant_load(address: str) -> Iterator[list[tuple[str, int]]]:
    """Ask for all links again and again; yield the links that were answered, with their statuses."""
    over, answers = threading.Event(), list[tuple[str, int]]()

    def ask() -> None:
        with client_of(address) as client:
            while not over.is_set():
                for link in LINKS:
                    answers.append((link, client.get(link).status_code))
                    over.wait(PAUSE)

    with ThreadPoolExecutor() as pool:
        load = pool.submit(ask)
        try:
            yield answers
        finally:
            over.set()
        load.result()


def test_two_workers_follow_store_changes_under_load(stores: Path, kernels: Kernels, elf_draft: Draft) -> None:
    """A publication, an alias moved and rolled back, a broken version and an alias to it, a removal: both workers
    follow, the last good version serves with the reason shown, and no request fails.
    """

    def command(*words: str) -> str:
        done = CliRunner(env=store_settings(stores)).invoke(main, ["models", *words])
        assert done.exit_code == 0, done.output
        return done.output

    variables = store_settings(stores) | {"NAMEWAVE_WORKERS": "2", "NAMEWAVE_REFRESH": "0.2"}
    with served(**variables) as service, client_of(service.address) as client:

        def get(link: str) -> Any:
            return client.get(link).json()

        def until_both(event: str, **fields: str) -> None:
            """Wait until both workers logged the event."""
            wanted = fields.items()
            until(lambda: len({line["process"] for line in service.events(event) if wanted <= line.items()}) == 2)

        until_both("ready")
        with constant_load(service.address) as answers:
            open_registry(stores, kernels).publish(replace(elf_draft, dataset="fays"))
            until_both("version came", model="fays/wavenet@1")
            for _ in range(20):
                assert get("/generate?dataset=fays&seed=1")["model"] == "fays/wavenet@1"
            for version, reason in (("2", "sounds better"), ("1", "does not")):
                command("alias", "elves/wavenet", "stable", version, "--reason", reason)
                model = f"elves/wavenet@{version}"
                until_both("alias moved", alias="elves/wavenet stable", model=model)
                assert get("/generate?dataset=elves&model=wavenet@stable")["model"] == model

            broken = publish_broken(kernels, stores, elf_draft)
            until_both("refused", model=broken)
            Store(stores / "user").change_aliases(
                lambda aliases: aliases.with_dataset(
                    "elves", aliases.of("elves").model_copy(update={"default": "wavenet@3"})
                )
            )
            fallback = "elves default: elves/wavenet@1 serves instead of elves/wavenet@3, which is refused."
            until_both("fallback", reason=fallback)
            for _ in range(20):
                ready = get("/health/ready")
                assert (ready["status"], ready["fallbacks"]) == ("ok", [fallback])
                assert "differs from its manifest" in ready["refused"][broken]
                assert get("/models")["fallbacks"] == [fallback]
                assert get("/generate?dataset=elves")["model"] == "elves/wavenet@1"
            listed = command("list")
            assert f"refused {broken}" in listed
            # A process that never saw version 1 as the default takes the newest that is served.
            assert "fallback: elves default: elves/wavenet@2 serves instead of elves/wavenet@3" in listed

            command("remove", "elves/wavenet@2", "--reason", "not needed")
            until_both("version went", model="elves/wavenet@2")
            assert get("/generate?dataset=elves&model=wavenet@2")["status"] == 404
            assert get("/generate?dataset=elves&model=wavenet")["model"] == "elves/wavenet@1"
            seen = len(answers)
            until(lambda: len(answers) > seen + len(LINKS))
    assert {status for _, status in answers} == {200}, answers
