"""The command line, and the service as processes of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from app import __version__
from app.cli.main import main
from app.server.server import listen
from app.settings import Settings
from tests.app.running import TIMEOUT
from tests.harness.clock import until
from tests.harness.service import run_python, served
from tests.harness.stores import store_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def runner(elf_store: Path) -> CliRunner:
    return CliRunner(env=store_settings(elf_store))


def generate(runner: CliRunner, *arguments: str) -> str:
    result = runner.invoke(main, ["generate", "--dataset", "elves", "--seed", "3", *arguments])
    assert result.exit_code == 0
    return result.stdout_bytes.decode()


def test_generate_prints_the_same_names_in_each_process(elf_store: Path, runner: CliRunner) -> None:
    command = ["-m", "app", "generate", "--dataset", "elves", "--seed", "3", "--count", "5"]
    other = run_python(*command, **store_settings(elf_store)).stdout
    assert other == generate(runner, "--count", "5")
    assert len(other.splitlines()) == 5
    assert json.loads(generate(runner, "--count", "5", "--json"))["names"] == other.splitlines()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["generate", "--dataset", "elfs"], ["elfs", "elves"]),
        (["generate", "--dataset", "elves", "--temperature", "9"], ["--temperature", "9", "between 0.05 and 5"]),
        (["generate", "--dataset", "elves", "--count", "0"], ["--count", "0", "between 1 and 10000"]),
        (["generate", "--dataset", "elves", "--count", "20000"], ["unique", "20000", "false if count is above"]),
        (
            ["generate", "--dataset", "elves", "--count", "20000", "--json"],
            ["count", "20000", "between 1 and 10000 in JSON"],
        ),
        (["generate", "--dataset", "elves", "--format", "csv", "--details"], ["details", "text/csv"]),
        (["generate", "--dataset", "elves", "--seed", "-1"], ["--seed", "-1", "2^53-1"]),
        (["generate", "--dataset", "elves", "--prefix", "þ"], ["þ"]),
        (["key", "no spaces"], ["'no spaces'", "1 to 64 of A-Z"]),
        (["models", "alias", "elves", "default", "wavenet@7", "--reason", "x"], ["wavenet@7"]),
    ],
)
def test_error_is_one_line_with_allowed_values(runner: CliRunner, arguments: list[str], words: list[str]) -> None:
    result = runner.invoke(main, arguments)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert [word for word in words if word not in result.stderr] == []


def test_busy_port_is_one_line_that_suggests_another(runner: CliRunner) -> None:
    with listen(Settings(port=0))[0] as taken:
        taken.listen()
        result = runner.invoke(main, ["serve", "--port", str(taken.getsockname()[1])])
    assert result.exit_code == 2
    error = result.stderr.splitlines()[-1]
    assert "cannot listen" in error
    assert "--port 8001, or make serve PORT=8001" in error


def test_metrics_port_that_is_taken_is_named(runner: CliRunner) -> None:
    with listen(Settings(port=0))[0] as taken:
        taken.listen()
        port = str(taken.getsockname()[1])
        busy = runner.invoke(main, ["serve", "--port", "0"], env={"NAMEWAVE_METRICS_PORT": port})
    same = runner.invoke(main, ["serve", "--port", port], env={"NAMEWAVE_METRICS_PORT": port})
    assert (busy.exit_code, same.exit_code) == (2, 2)
    assert f":{port}: Address already in use. Give another NAMEWAVE_METRICS_PORT." in busy.stderr
    assert f"NAMEWAVE_METRICS_PORT and NAMEWAVE_PORT are both {port}; give two ports" in same.stderr


def test_models_lists_versions_and_moves_aliases(elf_store: Path, tmp_path: Path) -> None:
    shutil.copytree(elf_store, tmp_path / "stores")
    runner = CliRunner(env=store_settings(tmp_path / "stores"))
    move = ["models", "alias", "elves", "default", "wavenet@2", "--reason", "sounds better"]
    assert runner.invoke(main, move).stdout == "elves default is now elves/wavenet@2.\n"
    listed = runner.invoke(main, ["models"])
    assert listed.exit_code == 0
    assert listed.stdout == runner.invoke(main, ["models", "list"]).stdout
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["elves/wavenet@1", "elves/wavenet@2", "elves:"]
    assert json.loads(generate(runner, "--count", "1", "--json"))["model"] == "elves/wavenet@2"


def test_shortfall_is_reported_on_standard_error(runner: CliRunner) -> None:
    arguments = ["generate", "--dataset", "elves", "--count", "50", "--max-length", "4", "--max-attempts", "60"]
    result = runner.invoke(main, [*arguments, "--seed", "2"])
    assert result.exit_code == 0
    assert f"Only {len(result.stdout.splitlines())} of 50: 60 candidates" in result.stderr
    assert "max_length" in result.stderr


def test_generate_writes_every_format(runner: CliRunner) -> None:
    large = ["--count", "12000", "--repeats"]
    text = generate(runner, *large)
    assert len(text.splitlines()) == 12_000
    assert generate(runner, *large, "--format", "csv") == "name\r\n" + text.replace("\n", "\r\n")
    *records, last = map(json.loads, generate(runner, *large, "--format", "ndjson").splitlines())
    assert [record["name"] for record in records] == text.splitlines()
    assert last["end"]["complete"]
    as_json = generate(runner, "--count", "12", "--format", "json")
    assert as_json == generate(runner, "--count", "12", "--json")
    assert json.loads(as_json)["names"] == generate(runner, "--count", "12").splitlines()


def test_closed_pipe_ends_generate_without_a_message(elf_store: Path) -> None:
    command = [sys.executable, "-m", "app", "generate", "--dataset", "elves", "--count", "1000000", "--repeats"]
    environment, pipe = os.environ | store_settings(elf_store), subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@contextmanager
def hang_up_action(action: signal.Handlers) -> Iterator[None]:
    """Let processes started meanwhile inherit this action of SIGHUP, also where nohup runs the tests."""
    previous = signal.signal(signal.SIGHUP, action)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, previous)


def test_sighup_ends_a_single_process_gracefully(elf_store: Path) -> None:
    # More than all buffers hold.
    body = {"dataset": "elves", "count": 50_000, "unique": False, "seed": 1}
    with hang_up_action(signal.SIG_DFL), served(**store_settings(elf_store)) as service:
        link, headers = f"{service.address}/generate", {"accept": "application/x-ndjson"}
        with httpx.stream("POST", link, json=body, headers=headers, timeout=TIMEOUT) as answer:
            lines = answer.iter_lines()
            next(lines)
            service.process.send_signal(signal.SIGHUP)
            rest = [*lines]
        assert service.process.wait(TIMEOUT) == 0
        logged = [*map(json.loads, service.lines())]
    assert len(rest) == body["count"]
    assert json.loads(rest[-1])["end"]["complete"]
    [warning] = [line for line in logged if line["event"].startswith("SIGHUP")]
    assert "NAMEWAVE_WORKERS=2" in warning["event"]
    assert warning["level"] == "warning"
    assert "stopping" in [line["event"] for line in logged]


def test_sighup_does_not_end_a_process_under_nohup(elf_store: Path) -> None:
    with hang_up_action(signal.SIG_IGN), served(**store_settings(elf_store)) as service:
        service.process.send_signal(signal.SIGHUP)
        assert service.is_ready()
        assert service.stop()[0] == 0
        assert not [line for line in service.lines() if "SIGHUP" in line]


@pytest.mark.parametrize("workers", [1, 2])
def test_log_is_json_lines_from_start_to_stop(elf_store: Path, workers: int) -> None:
    """Each line has its process; start, requests, reload and stop are logged."""
    with served(NAMEWAVE_WORKERS=str(workers), **store_settings(elf_store)) as service:
        assert len(httpx.get(f"{service.address}/generate?dataset=elves&count=3", timeout=TIMEOUT).json()["names"]) == 3
        if workers > 1:
            service.process.send_signal(signal.SIGHUP)
            until(lambda: len(service.events("reloaded")) == 1)
        assert service.stop()[0] == 0
        logged = [*map(json.loads, service.lines())]
    assert all(isinstance(line["process"], int) for line in logged)
    assert any(line["event"] == "request" and line["route"] == "/generate" for line in logged)
    ready = [line for line in logged if line["event"] == "ready"]
    assert {(line["address"], line["version"]) for line in ready} == {(service.address, __version__)}
    own = [line["event"] for line in logged if line["process"] == service.process.pid]
    if workers == 1:
        assert own[-1] == "stopping"
    else:
        assert own == ["reloading", "reloaded", "stopping"]
        assert len({line["process"] for line in ready}) == 4


def test_all_workers_give_the_same_names(elf_store: Path) -> None:
    # Each request on a connection of its own, which any worker may take.
    limits = httpx.Limits(max_keepalive_connections=0)
    with (
        served(NAMEWAVE_WORKERS="2", **store_settings(elf_store)) as service,
        httpx.Client(base_url=service.address, limits=limits, timeout=TIMEOUT) as client,
    ):

        def names() -> set[tuple[str, ...]]:
            answers = [client.get("/generate?dataset=elves&seed=7&count=5") for _ in range(50)]
            return {tuple(answer.json()["names"]) for answer in answers}

        before = names()
        os.kill(service.workers()[0], signal.SIGKILL)
        until(lambda: len(service.events("ready")) == 3)
        assert before == names()
        assert len(before) == 1


def test_serving_does_not_import_torch(elf_store: Path) -> None:
    program = """
import asyncio, sys
from app.settings import Settings
from tests.harness.app_client import app_client

async def main():
    async with app_client(Settings()) as client:
        assert (await client.get("/generate?dataset=elves")).status_code == 200

asyncio.run(main())
print([name for name in ("torch", "matplotlib") if name in sys.modules])
"""
    done = run_python("-c", program, **store_settings(elf_store))
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
