"""What only a real connection shows: answers that end early, clients that leave, several at a time."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from structlog.testing import capture_logs

from app.negotiation import CSV, NDJSON, TEXT
from app.settings import Settings
from models import NameGenerator
from tests.app.running import Running, until

MILLION = {"dataset": "elves", "count": 1_000_000, "unique": False, "seed": 1}


@pytest.fixture
def running(settings: Settings) -> Iterator[Running]:
    """A server with one thread for drawing."""
    with Running(settings.model_copy(update={"threads": 1})) as made:
        yield made


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many candidates each call of the kernel drew; each call takes 3 ms at least."""
    sizes: list[int] = []
    real = NameGenerator.draw

    def counted(*arguments: object) -> tuple[np.ndarray, np.ndarray]:
        time.sleep(0.003)
        codes, lengths = real(*arguments)  # type: ignore[arg-type]
        sizes.append(len(lengths))
        return codes, lengths

    monkeypatch.setattr(NameGenerator, "draw", counted)
    return sizes


@pytest.mark.parametrize("accept", [TEXT, CSV])
def test_a_stream_that_fell_short_has_no_last_chunk(
    running: Running, accept: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection is closed after the last name without the last chunk, so that clients report an error; the names
    are those of the JSON answer; the log has a line of ours and neither an error of the server's nor a traceback.
    """
    fields = {"dataset": "elves", "seed": 2, "count": 100, "max_length": 4, "max_attempts": 40}
    names = httpx.post(f"{running.address}/generate", json=fields).json()["names"]
    assert names
    with capture_logs() as log, running.send(accept, **fields) as connection:
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 200
        with pytest.raises(http.client.IncompleteRead) as caught:
            answer.read()
        until(lambda: not running.busy)
    lines = caught.value.partial.decode().splitlines()
    assert lines == (["name", *names] if accept == CSV else names)
    assert [entry["event"] for entry in log] == ["stream fell short", "request"]
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_ndjson_that_fell_short_ends_in_order(running: Running) -> None:
    """NDJSON says itself that it is incomplete, and ends as HTTP wants."""
    fields = {"dataset": "elves", "seed": 2, "count": 100, "max_length": 4, "max_attempts": 40}
    answer = httpx.post(f"{running.address}/generate", json=fields, headers={"accept": NDJSON})
    assert json.loads(answer.text.splitlines()[-1])["end"]["complete"] is False


@pytest.mark.parametrize("accept", [TEXT, NDJSON, CSV])
def test_a_stream_ends_with_its_client(running: Running, drawn: list[int], accept: str) -> None:
    """After the client left, no more than the piece under way is drawn, and the request is over."""
    with running.send(accept, **MILLION) as connection:
        while len(drawn) < 5:
            assert connection.recv(65536)
    at_leaving = len(drawn)
    until(lambda: not running.busy)
    assert len(drawn) <= at_leaving + 2
    assert sum(drawn) < 1_000_000
    ended = len(drawn)
    time.sleep(0.1)
    assert len(drawn) == ended


def test_a_large_json_answer_ends_with_its_client(running: Running, drawn: list[int]) -> None:
    """A JSON answer, too, is given up when nobody waits for it, and the next client gets the thread."""
    with running.send("application/json", dataset="elves", count=10_000, unique=False, seed=1):
        until(lambda: len(drawn) >= 3)
    until(lambda: not running.busy)
    assert sum(drawn) < 10_000
    ended = len(drawn)
    time.sleep(0.1)
    assert len(drawn) == ended
    answer = httpx.post(f"{running.address}/generate", json={"dataset": "elves", "count": 40, "seed": 1})
    assert len(answer.json()["names"]) == 40


def test_others_have_their_turn(running: Running, drawn: list[int]) -> None:
    """While one client draws a million names with the only thread, health and other clients' answers come."""
    with running.send(TEXT, **MILLION) as connection:
        reader = threading.Thread(target=lambda: [None for _ in iter(lambda: connection.recv(65536), b"")])
        reader.start()
        until(lambda: len(drawn) >= 3)
        assert httpx.get(f"{running.address}/health/live").status_code == 200
        fields = {"dataset": "elves", "count": 300, "seed": 1, "unique": False}
        names = httpx.post(f"{running.address}/generate", json=fields).json()["names"]
        lines = httpx.post(f"{running.address}/generate", json=fields, headers={"accept": TEXT}).text.splitlines()
        assert lines == names
        assert running.busy
        assert sum(drawn) < 1_000_000
        connection.shutdown(socket.SHUT_RDWR)
        reader.join(30)
    until(lambda: not running.busy)


def test_a_client_that_does_not_read_stops_the_drawing(running: Running, drawn: list[int]) -> None:
    """Names are drawn as they are taken, so that a stream needs no more memory than its buffers."""
    with running.send(NDJSON, **MILLION) as connection:
        seen = [-2, -1]
        while seen[-1] != seen[-2] or not drawn:
            time.sleep(0.3)
            seen.append(len(drawn))
            assert sum(drawn) < 1_000_000
        connection.recv(1)
    until(lambda: not running.busy)


def test_who_leaves_the_queue_is_forgotten(running: Running, drawn: list[int]) -> None:
    """A client that leaves while it waits for the only thread is done with at once, before the thread is free."""
    large = {"dataset": "elves", "count": 10_000, "unique": False, "seed": 1}
    # There must be a queue for both, however long they are thought to take.
    running.state["service"].admission.queue_seconds = 60.0
    with running.send("application/json", **large):
        until(lambda: len(drawn) >= 2)
        with running.send("application/json", **large):
            until(lambda: len(running.server.server_state.tasks) == 2)
        until(lambda: len(running.server.server_state.tasks) == 1)
        assert sum(drawn) < 10_000
    until(lambda: not running.busy)
