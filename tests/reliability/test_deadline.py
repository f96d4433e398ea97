"""Rows 5, 12, 16 and 17: what the worst requests may take, who leaves, and how late the event loop becomes."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.dependencies import Service
from app.logs import set_up
from app.main import create_app
from app.processes.lag import measure
from app.settings import Settings
from models import Draft, Kernels, ModelRegistry, NameGenerator

pytestmark = pytest.mark.anyio
# Novel names of which hardly any come at this temperature: nearly all of the budget is drawn.
WORST = {"count": 10_000, "temperature": 0.05, "novel": True, "max_attempts": 1_000_000, "seed": 1}


@pytest.fixture
def anyio_backend() -> str:
    """uvicorn's loop."""
    return "asyncio"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, kernels: Kernels, elf_draft: Draft) -> Path:
    """A store with one version."""
    root = tmp_path_factory.mktemp("stores")
    ModelRegistry.open(kernels, user=root / "user", shipped=root / "shipped").publish(elf_draft)
    return root


class Running:
    """A service, asked in place."""

    def __init__(self, client: httpx.AsyncClient, service: Service) -> None:
        self.client, self.service = client, service

    async def ask(self, accept: str = "application/json", **fields: Any) -> httpx.Response:
        """The answer to POST /generate."""
        return await self.client.post("/generate", json={"dataset": "elves"} | fields, headers={"accept": accept})


@pytest.fixture
async def running(store: Path) -> AsyncIterator[Running]:
    """A service whose deadline is a fifth of a second."""
    app = create_app(Settings(store=store / "user", shipped_store=store / "shipped", deadline_seconds=0.2))
    async with app.router.lifespan_context(app) as state:

        async def served(scope, receive, send):  # type: ignore[no-untyped-def]
            await app({**scope, "state": dict(state)}, receive, send)

        transport = httpx.ASGITransport(served)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield Running(client, state["service"])


async def test_row_12_the_worst_request_ends_at_the_deadline(running: Running) -> None:
    """The worst legal request is answered with what there is by the deadline: incomplete, and the candidates that were
    looked at are those that a budget of as many gives.
    """
    cut = (await running.ask(**WORST)).json()
    assert not cut["complete"]
    assert 0 < cut["attempts"] < 1_000_000
    assert cut["next_offset"] == cut["attempts"]
    assert running.service.admission.tally.cut == 1
    again = (await running.ask(**WORST | {"max_attempts": min(cut["attempts"], 3000)})).json()
    assert again["names"] == cut["names"][: len(again["names"])]


async def test_row_12_judging_ends_at_the_deadline_too(running: Running) -> None:
    """Of ten thousand names with details there are by the deadline those that were judged, and no attempts are told but
    theirs: the same request without details, of as many attempts, has the same names.
    """
    asked: dict[str, Any] = {"count": 10_000, "seed": 1, "unique": False, "min_length": 30, "max_length": 64}
    cut = (await running.ask(**asked, details=True)).json()
    assert not cut["complete"]
    assert 0 < len(cut["names"]) < 10_000
    plain = (await running.ask(**asked, max_attempts=cut["attempts"])).json()
    assert [name["name"] for name in cut["names"]] == plain["names"]


async def test_row_12_a_cut_answer_is_not_kept(running: Running) -> None:
    """A link whose answer the deadline cut is not to be stored, though whole ones are for ever."""
    whole = await running.client.get("/generate?dataset=elves&model=wavenet@1&seed=1&count=3")
    assert "immutable" in whole.headers["cache-control"]
    query = "&".join(f"{name}={str(value).lower()}" for name, value in WORST.items())
    cut = await running.client.get(f"/generate?dataset=elves&model=wavenet@1&{query}")
    assert not cut.json()["complete"]
    assert cut.headers["cache-control"] == "no-store"
    assert "etag" not in cut.headers


async def test_row_12_a_stream_tells_that_it_was_cut(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """A stream stops at the deadline, its last record tells how far it came, and the log that it was cut."""
    fields = {"dataset": "elves", "count": 1_000_000, "unique": False, "max_length": 3, "max_attempts": 10_000_000}
    # The log goes where this test can read it.
    set_up(running.service.settings)
    answer = await running.ask("application/x-ndjson", **fields)
    end = json.loads(answer.text.splitlines()[-1])["end"]
    assert not end["complete"]
    assert 0 < end["attempts"] < 10_000_000
    assert running.service.admission.tally.active == 0
    assert "cut=deadline" in capsys.readouterr().err


@pytest.mark.row(13)
async def test_full_queue_is_503_with_retry_after_and_health_200(running: Running) -> None:
    admission = running.service.admission
    admission.add(100.0)
    admission._calm -= 10
    admission.spent(1.0)
    refused = await running.ask(count=3)
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] == str(100 // admission.turns.slots)
    assert refused.json()["status"] == 503
    assert (await running.client.get("/health/live")).status_code == 200
    admission.add(-100.0)
    assert (await running.ask(count=3)).status_code == 200


async def test_row_16_work_ends_with_its_client(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that leaves ends its work after the piece under way; the gauge is 0 again and the loss is counted."""
    pieces: list[int] = []
    real = NameGenerator.draw

    def counted(*arguments: Any) -> Any:
        pieces.append(1)
        time.sleep(0.002)
        return real(*arguments)

    monkeypatch.setattr(NameGenerator, "draw", counted)
    asked = [{"type": "http.request", "body": json.dumps({"dataset": "elves"} | WORST).encode(), "more_body": False}]
    left = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if asked:
            return asked.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        """Nobody reads."""

    transport = running.client._transport
    assert isinstance(transport, httpx.ASGITransport)
    headers = [(b"content-type", b"application/json"), (b"accept", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/generate", "headers": headers, "query_string": b""}
    request = asyncio.create_task(transport.app(scope, receive, send))  # type: ignore[arg-type]
    while len(pieces) < 3:
        await asyncio.sleep(0.001)
    tally = running.service.admission.tally
    assert tally.active == 1
    at_leaving = len(pieces)
    left.set()
    await request
    assert len(pieces) <= at_leaving + 1
    assert (tally.active, tally.abandoned, tally.cut) == (0, 1, 0)


async def test_row_17_a_burst_of_small_requests_leaves_the_loop_to_others(running: Running) -> None:
    """Between slices of small work at once the loop looks at its sockets: what came after a hundred small requests is
    told before the last of them.
    """
    order: list[str] = []

    async def small(k: int) -> None:
        answer = await running.ask(count=8, temperature=1 + k / 100, seed=k)
        assert len(answer.json()["names"]) == 8
        order.append("small")

    async def health() -> None:
        await asyncio.sleep(0)
        assert (await running.client.get("/health/live")).status_code == 200
        order.append("health")

    # However slow the machine is, nobody is refused for that here.
    running.service.admission.queue_seconds = 3600.0
    real = running.service.admission.clock
    # Each look at the clock takes a millisecond, so that a slice has some eight requests on any machine.
    ticks = iter(range(10**9))
    running.service.admission.clock = lambda: real() + next(ticks) / 1000
    await asyncio.gather(*(small(k) for k in range(100)), health())
    assert order.count("small") == 100
    assert "small" in order[order.index("health") :][50:]


async def test_row_17_the_lag_of_the_loop_is_measured() -> None:
    """What blocks the loop is seen in the lag."""
    lags: list[float] = []
    times = [0.0, 0.05, 0.05, 0.35, 0.35, 0.4]

    def clock() -> float:
        if not times:
            raise TimeoutError
        return times.pop(0)

    with pytest.raises(TimeoutError):
        await measure(lags.append, clock)
    assert lags == pytest.approx([0.0, 0.25, 0.0], abs=1e-9)
