"""A permalink costs the service one request behind a cache: nginx with deploy/nginx-cache.conf."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.harness.clock import until
from tests.harness.service import Service, free_port, is_listening, served

ROOT = Path(__file__).parents[2]
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(NGINX is None, reason="nginx is not installed")]
PERMALINK = "/generate?dataset=human&model=lstm@7&seed=7&count=20"
# Seconds: it only ends a hang.
TIMEOUT = 60


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with served() as service:
        yield service


@contextmanager
def cache(folder: Path, service: Service) -> Iterator[httpx.Client]:
    """A client of nginx with an empty cache in front of the service."""
    port, text = free_port(), (ROOT / "deploy/nginx-cache.conf").read_text("utf-8")
    for place, here in (
        ("/var/cache/nginx/namewave", f"{folder}/cache"),
        ("listen 8080", f"listen 127.0.0.1:{port}"),
        ("127.0.0.1:8000", f"127.0.0.1:{service.port}"),
    ):
        assert place in text
        text = text.replace(place, here)
    # A process of root would serve as a user who cannot read the folder.
    user = "user root;" if os.geteuid() == 0 else ""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    main = f"{user}\ndaemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
    config = folder / "nginx.conf"
    config.write_text(f"{main}http {{\naccess_log off;\n{temporary}\n{text}\n}}\n", "utf-8")
    process = subprocess.Popen([str(NGINX), "-p", str(folder), "-e", f"{folder}/error.log", "-c", str(config)])
    try:
        until(lambda: process.poll() is not None or is_listening(port))
        assert process.poll() is None, (folder / "error.log").read_text("utf-8")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=TIMEOUT) as client:
            yield client
    finally:
        process.terminate()
        process.wait(TIMEOUT)


@contextmanager
def counted(service: Service) -> Iterator[list[int]]:
    """The statuses of the requests for /generate that reach the service within the block."""
    found: list[int] = []
    before = len(service.events("request"))
    yield found
    # The log is written once per turn of the event loop: what a later request finds there is complete.
    httpx.get(f"{service.address}/info", timeout=TIMEOUT)
    service.until("the log", lambda: service.events("request")[-1]["route"] == "/info")
    found += [line["status"] for line in service.events("request")[before:] if line["route"] == "/generate"]


def test_permalink_costs_the_service_one_request(service: Service, tmp_path: Path) -> None:
    direct = httpx.get(f"{service.address}{PERMALINK}", timeout=TIMEOUT)
    with cache(tmp_path, service) as client, counted(service) as reached:
        answers = [client.get(PERMALINK) for _ in range(20)]
    assert reached == [200]
    assert {answer.content for answer in answers} == {direct.content}
    assert {answer.headers["etag"] for answer in answers} == {direct.headers["etag"]}
    assert [answer.headers["x-cache"] for answer in answers] == ["MISS"] + 19 * ["HIT"]
    assert not any("ratelimit" in answer.headers for answer in answers)


def test_clients_that_ask_together_cost_one_request(service: Service, tmp_path: Path) -> None:
    large = PERMALINK.replace("count=20", "count=2000")
    with cache(tmp_path, service) as client, counted(service) as reached, ThreadPoolExecutor(8) as pool:
        answers = [*pool.map(lambda _: client.get(large).content, range(8))]
    assert reached == [200]
    assert len({*answers}) == 1


def test_cache_answers_a_known_etag_itself(service: Service, tmp_path: Path) -> None:
    with cache(tmp_path, service) as client, counted(service) as reached:
        etag = client.get(PERMALINK).headers["etag"]
        assert client.get(PERMALINK, headers={"If-None-Match": etag}).status_code == 304
    assert reached == [200]


def test_links_that_may_change_reach_the_service(service: Service, tmp_path: Path) -> None:
    """An alias may move, and without a seed the names are others each time."""
    with cache(tmp_path, service) as client:
        with counted(service) as reached:
            answers = [client.get("/generate?dataset=human&seed=7").content for _ in range(3)]
        assert reached == [200, 200, 200]
        assert len({*answers}) == 1
        with counted(service) as reached:
            answers = [client.get("/generate?dataset=human&count=20").content for _ in range(3)]
        assert reached == [200, 200, 200]
        assert len({*answers}) == 3


def test_stream_of_a_link_passes_the_cache(service: Service, tmp_path: Path) -> None:
    with cache(tmp_path, service) as client, counted(service) as reached:
        kinds = [
            client.get(PERMALINK, headers={"Accept": form}).headers["content-type"]
            for form in 2 * ("application/json", "text/csv")
        ]
    assert kinds[:2] == kinds[2:]
    assert kinds[0].startswith("application/json")
    assert kinds[1].startswith("text/csv")
    # JSON once, and each stream.
    assert reached == [200, 200, 200]
