"""Row 17, the last line of defence: a process whose event loop is stuck ends by itself, and only such a one."""

import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAD = """
import asyncio, ctypes, sys, time
import structlog
from app.processes.watchdog import guarded

structlog.configure(processors=[structlog.processors.JSONRenderer()])

async def main(seconds, work):
    async with guarded(seconds):
        await asyncio.sleep(0.1)
        print("begun", flush=True)
        await work()
    print("over", flush=True)

async def stuck():
    time.sleep(60)

async def stuck_in_c():
    ctypes.PyDLL(None).sleep(60)

async def turning():
    await asyncio.to_thread(sys.stdin.readline)

"""


def start(call: str) -> "subprocess.Popen[str]":
    """A fresh process that makes the call."""
    command = [sys.executable, "-c", f"{HEAD}asyncio.run({call})"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_row_17_a_stuck_event_loop_ends_the_process() -> None:
    """A loop that does not turn ends the process with status 70 and one line that says where it was stuck."""
    with start("main(0.5, stuck)") as process:
        told, _ = process.communicate(timeout=50)
        assert process.returncode == 70
        lines = told.splitlines()
        assert lines[0] == "begun"
        assert len(lines) == 2
        assert "the event loop did not turn" in lines[1]
        assert "in stuck" in lines[1]


def test_row_17_a_loop_that_is_stuck_in_c_ends_too() -> None:
    """Where C code holds Python's lock, no Python runs any more: the process ends nevertheless, with the stack."""
    with start("main(0.3, stuck_in_c)") as process:
        _, stack = process.communicate(timeout=50)
        assert process.returncode == 1
        assert "stuck_in_c" in stack


def test_row_17_a_process_that_was_paused_goes_on() -> None:
    """SIGSTOP for longer than the limit, as a paused container has it, is no stuck loop."""
    with start("main(0.5, turning)") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.9)
        process.send_signal(signal.SIGCONT)
        time.sleep(0.9)
        assert process.poll() is None
        told, _ = process.communicate("\n", timeout=50)
        assert (process.returncode, told) == (0, "over\n")


def test_row_17_zero_turns_it_off() -> None:
    """With 0 nobody watches, and the block is entered and left as ever."""
    with start("main(0, turning)") as process:
        told, _ = process.communicate("\n", timeout=50)
        assert (process.returncode, told) == (0, "begun\nover\n")


def test_row_17_what_is_served_is_no_business_of_the_collector() -> None:
    """Once a server has begun, the garbage collector passes no more over what was there: thousands of objects."""
    source = """
import asyncio, gc, uvicorn
from app.processes.serving import Server

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
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "0 True\n"
