"""Responses over a real connection: streams that fall short, clients that disconnect, several clients at a time."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from app.settings import Settings
from app.web.negotiation import CSV, JSON, NDJSON, TEXT
from models.inference import PreparedSampler
from tests.app.running import TIMEOUT, ThreadedService
from tests.harness.clock import until

MILLION: dict[str, Any] = {"dataset": "elves", "count": 1_000_000, "unique": False, "seed": 1}
LARGE = MILLION | {"count": 10_000}
# It starts on the event loop, and goes on in a thread.
RARE = {"dataset": "elves", "count": 1, "pattern": "kkkkkkkkk", "safe": False, "max_attempts": 1_000_000, "seed": 1}
SHORTFALL = {"dataset": "elves", "seed": 2, "count": 100, "max_length": 4, "max_attempts": 40}


@pytest.fixture
def server(settings: Settings) -> Iterator[ThreadedService]:
    """A service with one sampling thread."""
    with ThreadedService(settings.model_copy(update={"threads": 1})) as server:
        yield server


class Draws:
    """Counts the candidates of each call of the kernel; the call with the index `hold_at` waits for `resume`."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.hold_at, self.held, self.go_on = -1, threading.Event(), threading.Event()
        self._select = PreparedSampler.select

    def select(self, *arguments: Any) -> Any:
        if len(self.sizes) == self.hold_at:
            self.held.set()
            assert self.go_on.wait(TIMEOUT)
            self.go_on.clear()
        selected = self._select(*arguments)
        self.sizes.append(arguments[3])
        return selected

    def resume(self, hold_at: int = -1) -> None:
        """Let the held call go on, up to the next one to hold."""
        self.hold_at = hold_at
        self.held.clear()
        self.go_on.set()


@pytest.fixture
def draws(server: ThreadedService, monkeypatch: pytest.MonkeyPatch) -> Iterator[Draws]:
    draws = Draws()
    monkeypatch.setattr(PreparedSampler, "select", lambda *arguments: draws.select(*arguments))
    yield draws
    draws.resume()


def is_idle(server: ThreadedService) -> bool:
    """Return whether no request is answered, and none waits for a thread or holds one."""
    admission = server.service.admission
    return not (server.request_count or admission.active or admission.limiter.borrowed_tokens)


@pytest.mark.parametrize("accept", [TEXT, CSV])
def test_stream_that_falls_short_has_no_last_chunk(
    server: ThreadedService, accept: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Clients report an error; its names are those of the JSON response, and the log has no error of uvicorn."""
    names = httpx.post(f"{server.address}/generate", json=SHORTFALL, timeout=TIMEOUT).json()["names"]
    assert names
    with capture_logs() as log, server.send(accept, **SHORTFALL) as connection:
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.status == 200
        with pytest.raises(http.client.IncompleteRead) as caught:
            response.read()
        until(lambda: is_idle(server))
    lines = caught.value.partial.decode().splitlines()
    assert lines == (["name", *names] if accept == CSV else names)
    assert [entry["event"] for entry in log] == ["stream fell short"]
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_ndjson_that_falls_short_is_a_complete_response(server: ThreadedService) -> None:
    response = httpx.post(f"{server.address}/generate", json=SHORTFALL, headers={"accept": NDJSON}, timeout=TIMEOUT)
    assert json.loads(response.text.splitlines()[-1])["end"]["complete"] is False


@pytest.mark.parametrize(
    ("accept", "fields"), [(TEXT, MILLION), (NDJSON, MILLION), (CSV, MILLION), (JSON, LARGE), (JSON, RARE)]
)
def test_sampling_ends_when_the_client_disconnects(
    server: ThreadedService, draws: Draws, accept: str, fields: dict[str, Any]
) -> None:
    """Only the chunk under way is completed, and the next client gets the thread."""
    # The first chunks of a rare name run on the event loop.
    draws.hold_at = 20 if fields is RARE else 2
    with server.send(accept, **fields):
        until(draws.held.is_set)
    until(lambda: not server.connections)
    draws.resume()
    until(lambda: is_idle(server))
    assert len(draws.sizes) == (21 if fields is RARE else 3)
    assert sum(draws.sizes) < fields.get("max_attempts", fields["count"])
    response = httpx.get(f"{server.address}/generate?dataset=elves&count=40", timeout=TIMEOUT)
    assert len(response.json()["names"]) == 40


def test_other_requests_take_turns_with_a_long_stream(server: ThreadedService, draws: Draws) -> None:
    """While a stream uses the only thread, health answers, and so do others before the stream is done."""
    draws.hold_at = 3

    def ask(accept: str) -> httpx.Response:
        fields = {"dataset": "elves", "count": 300, "seed": 1, "unique": False}
        headers = {"accept": accept}
        return httpx.post(f"{server.address}/generate", json=fields, headers=headers, timeout=TIMEOUT)

    with ThreadPoolExecutor() as pool, server.send(TEXT, **MILLION) as connection:
        reader = pool.submit(lambda: [*iter(lambda: connection.recv(65536), b"")])
        until(draws.held.is_set)
        others = [pool.submit(ask, accept) for accept in (JSON, TEXT)]
        until(lambda: server.service.admission.active == 3)
        assert httpx.get(f"{server.address}/health/live", timeout=TIMEOUT).status_code == 200
        # Without turns the others would wait for the stream, which stops there.
        draws.resume(hold_at=100)
        as_json, as_text = (other.result() for other in others)
        assert as_text.text.splitlines() == as_json.json()["names"]
        until(draws.held.is_set)
        until(lambda: server.request_count == 1)
        connection.shutdown(socket.SHUT_RDWR)
        reader.result()
    draws.resume()
    until(lambda: is_idle(server))


def test_client_that_does_not_read_stops_the_sampling(server: ThreadedService, draws: Draws) -> None:
    """However long others sample meanwhile."""
    url, headers = f"{server.address}/generate", {"accept": NDJSON}
    with server.send(NDJSON, **MILLION):
        until(lambda: any(each.flow.write_paused for each in server.connections))
        # After the first request all buffers are full.
        for _ in range(2):
            before = sum(draws.sizes)
            response = httpx.post(url, json=MILLION | {"count": 50_000}, headers=headers, timeout=TIMEOUT)
        attempts = json.loads(response.text.splitlines()[-1])["end"]["attempts"]
        assert sum(draws.sizes) - before <= attempts + 2 * max(draws.sizes)
        until(lambda: server.request_count == 1)
    until(lambda: is_idle(server))


def test_request_that_leaves_the_queue_ends_at_once(server: ThreadedService, draws: Draws) -> None:
    # Both must be admitted, however slow the machine is.
    server.service.admission.queue_seconds = TIMEOUT
    draws.hold_at = 2
    with server.send(JSON, **LARGE):
        until(draws.held.is_set)
        with server.send(JSON, **LARGE):
            until(lambda: server.request_count == 2)
        until(lambda: server.request_count == 1)
        assert draws.held.is_set()
    draws.resume()
    until(lambda: is_idle(server))
