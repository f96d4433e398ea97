"""deploy/ray/serve.py: the application behind Ray Serve with two replicas on this machine."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.harness.service import environment, free_port

ROOT = Path(__file__).parents[2]
RAY = ROOT / ".venv-ray/bin/python"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not RAY.exists(), reason="make test-all makes .venv-ray"),
]
# Ray gives up a start after 30 s, which is too soon on a busy machine.
DRIVER = """
import sys
import ray
from ray import serve
for tries in reversed(range(5)):
    try:
        ray.init(address="local", num_cpus=4, include_dashboard=False, object_store_memory=100_000_000)
        break
    except Exception:
        if not tries:
            raise
        ray.shutdown()
serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
from deploy.ray.serve import namewave
serve.run(namewave, blocking=True)
"""
LINK = "/generate?dataset=human&model=lstm@7&seed=7&count=20"
# Seconds: it only ends a hang.
TIMEOUT = 300


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of two replicas."""
    port, log = free_port(), tmp_path_factory.mktemp("ray") / "log"
    settings = {"NAMEWAVE_WORKERS": "2", "NAMEWAVE_THREADS": "1", "NAMEWAVE_QUEUE_SECONDS": "0.01"}
    settings |= {"RAY_USAGE_STATS_ENABLED": "0"}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [str(RAY), "-c", DRIVER, str(port)],
            cwd=ROOT,
            env=environment(**settings),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=TIMEOUT) as client:
            began = time.monotonic()
            while not is_ready(client):
                assert process.poll() is None, log.read_text("utf-8")
                assert time.monotonic() - began < TIMEOUT, log.read_text("utf-8")
                time.sleep(0.5)
            yield client
    finally:
        # Ray's processes end with their driver.
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def test_both_replicas_are_healthy(client: httpx.Client) -> None:
    """The metrics are those of the replica that answers."""
    seen: set[str] = set()
    began = time.monotonic()
    while len(seen) < 2:
        assert time.monotonic() - began < TIMEOUT
        assert client.get("/health/live").json() == {"status": "ok", "problems": [], "refused": {}, "fallbacks": []}
        lines = client.get("/metrics").text.splitlines()
        seen |= {line for line in lines if line.startswith("namewave_start_time_seconds ")}


def test_replicas_give_the_same_answer_and_etag(client: httpx.Client) -> None:
    answers = [client.get(LINK) for _ in range(20)]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == len({answer.headers["etag"] for answer in answers}) == 1
    assert len(answers[0].json()["names"]) == 20
    again = client.get(LINK, headers={"If-None-Match": answers[0].headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_stream_is_whole(client: httpx.Client) -> None:
    fields = {"dataset": "human", "model": "lstm@7", "seed": 7, "count": 30_000, "unique": False}
    with client.stream("POST", "/generate", json=fields, headers={"Accept": "application/x-ndjson"}) as answer:
        lines = [*answer.iter_lines()]
    assert answer.status_code == 200
    assert json.loads(lines[-1])["end"]["complete"] is True
    assert len(lines) > 30_000


def test_large_body_is_refused(client: httpx.Client) -> None:
    answer = client.post("/generate", content=b"x" * 1_000_000, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_overload_is_refused_by_the_service(client: httpx.Client) -> None:
    def ask(seed: int) -> httpx.Response:
        fields = {"dataset": "human", "count": 10_000, "seed": seed, "unique": False}
        return client.post("/generate", json=fields)

    with ThreadPoolExecutor(32) as pool:
        answers = [*pool.map(ask, range(64))]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert 0 < len(refused) < len(answers)
    for answer in refused:
        assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
        assert int(answer.headers["retry-after"]) >= 1
