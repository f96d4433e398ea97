"""The command line and the service in processes of their own, over real sockets and signals."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from app.cli import main

ROOT = Path(__file__).parents[2]


def environment(store: Path, **more: str) -> dict[str, str]:
    """The environment of a fresh process over `store`."""
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("NAMEWAVE_")},
        "NAMEWAVE_STORE": str(store / "user"),
        "NAMEWAVE_SHIPPED_STORE": str(store / "shipped"),
        **more,
    }


def test_the_command_line_gives_the_services_names(elf_store: Path) -> None:
    """Two fresh processes of `python -m app generate` print the same names, and --json the service's answer."""
    command = [sys.executable, "-m", "app", "generate", "--dataset", "elves", "--seed", "3", "--count", "5"]
    runs = [
        subprocess.run(command, cwd=ROOT, env=environment(elf_store), capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout
    assert len(runs[0].stdout.splitlines()) == 5
    told = subprocess.run([*command, "--json"], cwd=ROOT, env=environment(elf_store), capture_output=True, check=True)
    assert json.loads(told.stdout)["names"] == runs[0].stdout.splitlines()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["generate", "--dataset", "elfs"], ["elfs", "elves"]),
        (["generate", "--dataset", "elves", "--temperature", "9"], ["--temperature", "9", "0.05 to 5"]),
        (["generate", "--dataset", "elves", "--count", "0"], ["--count", "0", "1 to 10000"]),
        (["generate", "--dataset", "elves", "--count", "20000"], ["unique", "20000", "false where count is above"]),
        (["generate", "--dataset", "elves", "--count", "20000", "--json"], ["count", "20000", "1 to 10000 as JSON"]),
        (["generate", "--dataset", "elves", "--format", "csv", "--details"], ["details", "text/csv"]),
        (["generate", "--dataset", "elves", "--seed", "-1"], ["--seed", "-1", "2^53-1"]),
        (["generate", "--dataset", "elves", "--prefix", "þ"], ["þ"]),
        (["models", "alias", "elves", "default", "wavenet@7", "--reason", "x"], ["wavenet@7"]),
    ],
)
def test_errors_at_the_command_line_are_one_line(elf_store: Path, arguments: list[str], words: list[str]) -> None:
    """An error says what was given and what is allowed, in one line, with exit status 2."""
    result = CliRunner(env=environment(elf_store)).invoke(main, arguments)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr


def test_models_are_listed_and_aliases_moved(elf_store: Path, tmp_path: Path) -> None:
    """`models` lists versions and aliases; `models alias` moves one, and the next `generate` uses it."""
    shutil.copytree(elf_store, tmp_path / "stores")
    runner = CliRunner(env=environment(tmp_path / "stores"))
    move = ["models", "alias", "elves", "default", "wavenet@2", "--reason", "sounds better"]
    assert runner.invoke(main, move).stdout == "elves default is now elves/wavenet@2.\n"
    listed = runner.invoke(main, ["models"])
    assert listed.exit_code == 0
    assert listed.stdout == runner.invoke(main, ["models", "list"]).stdout
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["elves/wavenet@1", "elves/wavenet@2", "elves:"]
    told = runner.invoke(main, ["generate", "--dataset", "elves", "--count", "1", "--json"])
    assert json.loads(told.stdout)["model"] == "elves/wavenet@2"


def test_a_shortfall_is_told_beside_the_names(elf_store: Path) -> None:
    """Where the budget runs out, the names that there are come out, and standard error says what refused most."""
    arguments = ["generate", "--dataset", "elves", "--count", "50", "--max-length", "4", "--max-attempts", "60"]
    result = CliRunner(env=environment(elf_store)).invoke(main, [*arguments, "--seed", "2"])
    assert result.exit_code == 0
    assert f"Only {len(result.stdout.splitlines())} of 50: 60 candidates" in result.stderr
    assert "max_length" in result.stderr


def test_a_bad_setting_is_one_line(elf_store: Path) -> None:
    """A setting out of range ends the start with one line that names the variable."""
    result = CliRunner(env=environment(elf_store, NAMEWAVE_PORT="99999")).invoke(main, ["serve"])
    assert result.exit_code == 2
    assert "NAMEWAVE_PORT" in result.stderr
    assert result.stderr.count("\n") == 1


@contextmanager
def served(store: Path, **more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A real server in a process of its own, and its address; stopped at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "app", "serve", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment(store, **more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_until_ready(address: str) -> None:
    """Ask until the service answers, at most a minute."""
    for _ in range(600):
        try:
            if httpx.get(f"{address}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("the service did not become ready")


def test_a_real_server_answers_and_stops(elf_store: Path) -> None:
    """`python -m app serve` answers over a socket, logs one JSON object a line, and ends with 0 on SIGTERM."""
    with served(elf_store, NAMEWAVE_LOG_FORMAT="json") as (process, address):
        wait_until_ready(address)
        answer: dict[str, Any] = httpx.post(f"{address}/generate", json={"dataset": "elves", "count": 3}).json()
        assert len(answer["names"]) == 3
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
        assert process.returncode == 0
        lines = [json.loads(line) for line in log.splitlines()]
        assert any(line["event"] == "request" and line["route"] == "/generate" for line in lines)


def test_a_busy_port_is_one_line(elf_store: Path) -> None:
    """A port that is taken ends the start with one line and exit status 2."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        arguments = ["serve", "--port", str(taken.getsockname()[1])]
        result = CliRunner(env=environment(elf_store)).invoke(main, arguments)
    assert result.exit_code == 2
    assert "cannot listen" in result.stderr


def test_serving_never_imports_torch(elf_store: Path) -> None:
    """A fresh process that serves a request has neither torch nor matplotlib among its modules."""
    program = """
import anyio, httpx, sys
from app.main import create_app

async def main():
    app = create_app()
    async with app.router.lifespan_context(app) as state:
        async def served(scope, receive, send):
            await app({**scope, "state": dict(state)}, receive, send)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://test") as client:
            assert (await client.get("/generate?dataset=elves")).status_code == 200

anyio.run(main)
print([name for name in ("torch", "matplotlib") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment(elf_store),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def children(process: int) -> list[int]:
    """The processes that this one started and that are still there."""
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def is_alive(process: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_two_workers_give_the_same_names(elf_store: Path) -> None:
    """NAMEWAVE_WORKERS=2: fifty connections get the same names, a worker that dies is replaced, SIGTERM ends all."""
    with served(elf_store, NAMEWAVE_WORKERS="2") as (process, address):
        wait_until_ready(address)
        link = f"{address}/generate?dataset=elves&seed=7&count=5"
        names = {tuple(httpx.get(link).json()["names"]) for _ in range(50)}
        assert len(names) == 1
        before = children(process.pid)
        assert len(before) >= 2
        os.kill(before[-1], signal.SIGKILL)
        for _ in range(300):
            if len(children(process.pid)) == len(before) and before[-1] not in children(process.pid):
                break
            time.sleep(0.1)
        wait_until_ready(address)
        assert tuple(httpx.get(link).json()["names"]) in names
        all_of_them = {*before, *children(process.pid)}
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0
        for _ in range(50):
            if not any(map(is_alive, all_of_them)):
                break
            time.sleep(0.1)
        assert [worker for worker in all_of_them if is_alive(worker)] == []


def generated(store: Path, *arguments: str) -> bytes:
    """What `generate` prints, as bytes."""
    fixed = ["generate", "--dataset", "elves", "--seed", "3"]
    result = CliRunner(env=environment(store)).invoke(main, [*fixed, *arguments])
    assert result.exit_code == 0
    return result.stdout_bytes


def test_the_command_line_writes_every_form(elf_store: Path) -> None:
    """--format writes the streams of the service, more names than an answer may hold, and JSON as --json does."""
    large = ["--count", "12000", "--repeats"]
    text = generated(elf_store, *large).decode()
    assert len(text.splitlines()) == 12_000
    assert generated(elf_store, *large, "--format", "csv").decode() == "name\r\n" + text.replace("\n", "\r\n")
    *records, last = map(json.loads, generated(elf_store, *large, "--format", "ndjson").splitlines())
    assert [record["name"] for record in records] == text.splitlines()
    assert last["end"]["complete"]
    answer = generated(elf_store, "--count", "12", "--format", "json")
    assert answer == generated(elf_store, "--count", "12", "--json")
    assert json.loads(answer)["names"] == generated(elf_store, "--count", "12").decode().splitlines()


def test_a_reader_that_has_enough_is_met_in_silence(elf_store: Path) -> None:
    """A pipe that is closed after the first names (`| head`) ends the command without a word."""
    command = [sys.executable, "-m", "app", "generate", "--dataset", "elves", "--count", "1000000", "--repeats"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(elf_store), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
