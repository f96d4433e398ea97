"""What a service says of its own course, and how it takes SIGHUP: real processes, real signals."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.processes.listening import address_of, listen
from app.settings import Settings
from models import ConfigError
from tests.harness.service import Service, served

PATIENCE = 60.0


def stores(root: Path) -> dict[str, str]:
    """The settings for the stores under `root`."""
    return {"NAMEWAVE_STORE": str(root / "user"), "NAMEWAVE_SHIPPED_STORE": str(root / "shipped")}


def events(service: Service) -> list[dict[str, Any]]:
    """Every line of its output so far; each must be a JSON object."""
    return [json.loads(line) for line in service.lines()]


def until(service: Service, event: str, times: int) -> None:
    """Look until the event was told so many times."""
    end = time.monotonic() + PATIENCE
    while sum(each["event"] == event for each in events(service)) < times:
        assert time.monotonic() < end, service.lines()[-20:]
        time.sleep(0.1)


def test_a_hang_up_ends_a_single_process_as_sigterm_does(elf_store: Path) -> None:
    """SIGHUP lets a stream under way come to its end, says that one process cannot be replaced and what to do, and the
    status is 0.
    """
    asked = {"dataset": "elves", "count": 100_000, "unique": False, "seed": 1}
    with served(**stores(elf_store)) as service:
        with httpx.stream(
            "POST", f"{service.address}/generate", json=asked, headers={"accept": "application/x-ndjson"}
        ) as answer:
            lines = answer.iter_lines()
            next(lines)
            service.process.send_signal(signal.SIGHUP)
            rest = [*lines]
        assert service.process.wait(30) == 0
        told = {each["event"]: each for each in events(service)}
    assert len(rest) == 100_000
    assert json.loads(rest[-1])["end"]["complete"]
    [reason] = [event for event in told if event.startswith("SIGHUP")]
    assert "NAMEWAVE_WORKERS=2" in reason
    assert told[reason]["level"] == "warning"
    assert "stopping" in told


@pytest.mark.parametrize("workers", [1, 2])
def test_every_line_is_an_object(elf_store: Path, workers: int) -> None:
    """As JSON everything that a service writes from its start to its end, across a reload too, is one object a line
    with the process that wrote it; the start tells version and address, and start, reload and stop are told.
    """
    with served(NAMEWAVE_WORKERS=str(workers), **stores(elf_store)) as service:
        until(service, "ready", workers)
        assert httpx.get(f"{service.address}/generate?dataset=elves").status_code == 200
        if workers > 1:
            service.process.send_signal(signal.SIGHUP)
            until(service, "reloaded", 1)
        assert service.stop()[0] == 0
        told = events(service)
    assert all(isinstance(each["process"], int) for each in told)
    ready = [each for each in told if each["event"] == "ready"]
    assert {(each["address"], each["version"]) for each in ready} == {(service.address, "0.1.0")}
    own = [each["event"] for each in told if each["process"] == service.process.pid]
    if workers == 1:
        assert own[-1] == "stopping"
    else:
        assert own == ["reloading", "reloaded", "stopping"]
        assert len({each["process"] for each in ready}) == 4


def test_an_address_can_be_asked() -> None:
    """An IPv6 host stands in brackets, and all addresses are told as this machine's own."""
    told = {host: address_of(Settings(host=host, port=1)) for host in ("::1", "::", "0.0.0.0", "localhost")}
    assert told == {
        "::1": "http://[::1]:1",
        "::": "http://[::1]:1",
        "0.0.0.0": "http://127.0.0.1:1",
        "localhost": "http://localhost:1",
    }


@pytest.mark.parametrize("host", ["203.0.113.1", "nowhere.invalid"])
def test_a_wrong_host_is_told_as_one(host: str) -> None:
    """No other port is offered where the host is what cannot be had."""
    with pytest.raises(ConfigError, match="host must be an address of this machine") as failure:
        listen(Settings(host=host, port=0))
    assert "--port" not in str(failure.value)


def test_a_busy_port_offers_another() -> None:
    """Where the port is in use, the hint is another port, as the command and as `make serve` take it."""
    with listen(Settings(port=0)) as taken:
        taken.listen()
        with pytest.raises(ConfigError, match="--port 8001, or make serve PORT=8001"):
            listen(Settings(port=taken.getsockname()[1]))
