"""Row 17, last line of defence: a process with a blocked event loop ends, and no other does."""

import signal
import subprocess
import sys

import pytest

from tests.harness.service import LIMIT, ROOT, run_python

pytestmark = pytest.mark.row(17)
PROGRAM = """
import asyncio, ctypes, sys, threading, time
import structlog
from app.server.watchdog import watch_event_loop

structlog.configure(processors=[structlog.processors.JSONRenderer()])

async def main(seconds, work):
    async with watch_event_loop(seconds):
        await asyncio.sleep(0.1)
        print("begun", flush=True)
        await work()
    print("over", flush=True)

async def blocked():
    threading.Event().wait()

async def blocked_in_c():
    ctypes.PyDLL(None).pause()

async def responsive():
    await asyncio.to_thread(sys.stdin.readline)

"""
FREEZE = """
import asyncio, gc, uvicorn
from app.server.server import Server

async def nothing(scope, receive, send):
    pass

async def begin():
    server = Server(uvicorn.Config(nothing, port=0, lifespan="off", log_config=None))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    before = gc.get_freeze_count()
    await server.startup()
    print(before, gc.get_freeze_count() > 10_000)
    for listener in server.servers:
        listener.close()

asyncio.run(begin())
"""


def start(call: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", f"{PROGRAM}asyncio.run({call})"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_blocked_event_loop_ends_the_process_with_a_stack() -> None:
    with start("main(0.5, blocked)") as process:
        output, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 70
        first, line = output.splitlines()
        assert first == "begun"
        assert "the event loop did not turn" in line
        assert "in blocked" in line


def test_event_loop_blocked_in_c_ends_the_process() -> None:
    """While C code holds Python's lock, no Python runs."""
    with start("main(0.3, blocked_in_c)") as process:
        _, stack = process.communicate(timeout=LIMIT)
        assert process.returncode == 1
        assert "blocked_in_c" in stack


def test_paused_process_is_not_taken_for_a_blocked_one() -> None:
    with start("main(2, responsive)") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGSTOP)
        # As long as a process takes that is blocked, and ends.
        with start("main(2, blocked)") as blocked:
            assert blocked.wait(LIMIT) == 70
        process.send_signal(signal.SIGCONT)
        with start("main(2, blocked)") as blocked:
            assert blocked.wait(LIMIT) == 70
        assert process.poll() is None
        output, _ = process.communicate("\n", timeout=LIMIT)
        assert (process.returncode, output) == (0, "over\n")


def test_watchdog_of_zero_seconds_is_off() -> None:
    with start("main(0, responsive)") as process:
        output, _ = process.communicate("\n", timeout=LIMIT)
        assert (process.returncode, output) == (0, "begun\nover\n")


def test_objects_of_the_start_are_frozen_for_the_collector() -> None:
    assert run_python("-c", FREEZE).stdout == "0 True\n"
