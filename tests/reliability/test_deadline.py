"""The deadline, overload, disconnects, and the event loop's share, on a clock that advances at each look."""

import asyncio
import itertools
import json
import math
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app import metrics
from app.logs import AccessLines
from app.main import create_app
from app.settings import Settings
from models.inference import PreparedSampler
from tests.harness.app_client import AppClient, app_client
from tests.harness.clock import until
from tests.harness.stores import ARCHITECTURE, DATASET

pytestmark = pytest.mark.anyio
# Few novel names come at this temperature, so that nearly the whole budget of attempts is used.
WORST = {"dataset": DATASET, "count": 10_000, "temperature": 0.05, "novel": True, "max_attempts": 1_000_000, "seed": 1}


@pytest.fixture
def settings(shared_stores: Path) -> Settings:
    return Settings(
        store=shared_stores / "user", shipped_store=shared_stores / "shipped", deadline_seconds=20, queue_seconds=60
    )


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[AppClient]:
    async with app_client(settings) as each:
        yield each


@pytest.fixture
def slow(client: AppClient) -> AppClient:
    """A client of a service whose work takes a second between two looks at the clock, on any machine."""
    client.service.admission.clock = itertools.count().__next__
    return client


@pytest.mark.row(12)
async def test_deadline_ends_the_worst_request(slow: AppClient) -> None:
    cut = (await slow.post("/generate", json=WORST)).json()
    assert not cut["complete"]
    assert 0 < cut["attempts"] < 1_000_000
    assert cut["next_offset"] == cut["attempts"]
    assert "namewave_answers_cut_total 1.0" in (await slow.get("/metrics")).text
    again = (await slow.post("/generate", json=WORST | {"max_attempts": min(cut["attempts"], 3000)})).json()
    assert again["names"] == cut["names"][: len(again["names"])]


@pytest.mark.row(12)
async def test_deadline_ends_scoring(slow: AppClient) -> None:
    asked: dict[str, Any] = {"dataset": DATASET, "count": 10_000, "seed": 1, "unique": False, "min_length": 30}
    cut = (await slow.post("/generate", json=asked | {"max_length": 64, "details": True})).json()
    assert not cut["complete"]
    assert 0 < len(cut["names"]) < 10_000
    plain = (await slow.post("/generate", json=asked | {"max_length": 64, "max_attempts": cut["attempts"]})).json()
    assert [name["name"] for name in cut["names"]] == plain["names"]


@pytest.mark.row(12)
async def test_answer_cut_by_the_deadline_is_not_cached(slow: AppClient) -> None:
    version = {"dataset": DATASET, "model": f"{ARCHITECTURE}@1"}
    whole = await slow.get("/generate", params=version | {"seed": 1, "count": 3})
    assert "immutable" in whole.headers["cache-control"]
    cut = await slow.get("/generate", params=WORST | version)
    assert not cut.json()["complete"]
    assert cut.headers["cache-control"] == "no-store"
    assert "etag" not in cut.headers


@pytest.mark.row(12)
async def test_stream_and_log_say_that_it_was_cut(slow: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[tuple[Any, ...]] = []
    monkeypatch.setattr(AccessLines, "add", lambda _, *line: lines.append(line))
    fields = {"dataset": DATASET, "count": 1_000_000, "unique": False, "max_length": 3, "max_attempts": 10_000_000}
    answer = await slow.post("/generate", json=fields, headers={"accept": "application/x-ndjson"})
    end = json.loads(answer.text.splitlines()[-1])["end"]
    assert not end["complete"]
    assert 0 < end["attempts"] < 10_000_000
    assert slow.service.admission.active == 0
    assert [line[-1] for line in lines] == [(("cut", "deadline"),)]


@pytest.mark.row(13)
async def test_full_queue_is_503_with_retry_after_and_health_200(client: AppClient) -> None:
    admission, large = client.service.admission, {"dataset": DATASET, "count": 300}
    rare = {"dataset": DATASET, "count": 1, "ends_with": "kakaka", "max_attempts": 100_000}
    admission.add(1000.0)
    assert (await client.post("/generate", json=rare)).status_code == 503
    refused = await client.post("/generate", json=large)
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] == str(math.ceil(1000 / admission.queue.slots))
    assert refused.json()["status"] == 503
    # Small requests run on the event loop.
    for path in ("/health/live", f"/generate?dataset={DATASET}&count=3"):
        assert (await client.get(path)).status_code == 200
    admission.add(-1000.0)
    assert (await client.post("/generate", json=large)).status_code == 200


@pytest.mark.row(16)
async def test_disconnect_ends_work_after_the_current_chunk(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, disconnected, noticed = create_app(settings), asyncio.Event(), threading.Event()
    loop, real, chunks = asyncio.get_running_loop(), PreparedSampler.select, []
    body = [{"type": "http.request", "body": json.dumps(WORST).encode(), "more_body": False}]

    async def receive() -> dict[str, Any]:
        if body:
            return body.pop()
        await disconnected.wait()
        # The task that waits for this cancels the work before the loop runs anything else.
        loop.call_soon(loop.call_soon, noticed.set)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        """Nobody reads."""

    async with app.router.lifespan_context(app) as state:
        admission = state["service"].admission

        def select(*arguments: Any) -> Any:
            chunks.append(admission.active)
            if len(chunks) == 3:
                loop.call_soon_threadsafe(disconnected.set)
                until(noticed.is_set)
            return real(*arguments)

        monkeypatch.setattr(PreparedSampler, "select", select)
        headers = [(b"content-type", b"application/json"), (b"accept", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/generate", "headers": headers, "query_string": b""}
        await app({**scope, "state": dict(state)}, receive, send)  # type: ignore[arg-type]
    assert chunks == [1, 1, 1]
    assert admission.active == 0


@pytest.mark.row(17)
async def test_small_burst_leaves_the_loop_to_other_requests(client: AppClient) -> None:
    order: list[str] = []

    async def generate(k: int) -> None:
        fields = {"dataset": DATASET, "count": 8, "temperature": 1 + k / 100, "seed": k}
        assert len((await client.post("/generate", json=fields)).json()["names"]) == 8
        order.append("small")

    async def health() -> None:
        await asyncio.sleep(0)
        assert (await client.get("/health/live")).status_code == 200
        order.append("health")

    # Each look at the clock takes a millisecond, so that a time slice has some eight requests on any machine.
    ticks = itertools.count()
    client.service.admission.clock = lambda: next(ticks) / 1000
    await asyncio.gather(*(generate(k) for k in range(100)), health())
    assert order.count("small") == 100
    assert "small" in order[order.index("health") :][50:]


@pytest.mark.row(17)
async def test_event_loop_lag_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "LAG_INTERVAL", 0.01)
    lags: list[float] = []
    times = [0.0, 0.01, 0.01, 0.27, 0.27, 0.28]
    with pytest.raises(IndexError):
        await metrics.sample_lag(lags.append, lambda: times.pop(0))
    assert lags == pytest.approx([0.0, 0.25, 0.0], abs=1e-9)
