"""The service follows its stores while it runs, step by step."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import httpx
import pytest
from structlog.testing import capture_logs

from app.main import create_app
from app.processes.watching import look, watched
from app.settings import Settings
from models import Draft, Kernels
from tests.app.followed import PATIENCE, opened, publish_broken

ROOT = Path(__file__).parents[2]


@pytest.fixture
def stores(elf_store: Path, tmp_path: Path) -> Path:
    """Stores of its own for a test that changes them: shipped/ is empty, user/ has two versions of the elves."""
    shutil.copytree(elf_store, tmp_path / "stores")
    return tmp_path / "stores"


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
