"""A command of a lesson in a process of its own, in an empty folder: what it prints is handed on line by line, and
Ctrl-C reaches it as a polite request. What its output means is decided elsewhere.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from training.errors import Interrupted
from training.lessons.pages import Command

ROOT = Path(__file__).parents[2]
# What would lead a command to the user's own versions, whose numbers are not the lesson's.
FOREIGN = ("NAMEWAVE_STORE", "NAMEWAVE_SHIPPED_STORE", "NAMEWAVE_RUNS")

# Seconds in which a command may save what it has.
PATIENCE = 60.0


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status, and all that it printed."""

    status: int
    output: str


def environment(outer: Mapping[str, str]) -> dict[str, str]:
    """Return what a command of a lesson sees: this project, no store but the one that ships, no wrapped lines."""
    paths = [str(ROOT), *filter(None, [outer.get("PYTHONPATH")])]
    own = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", "COLUMNS": "120"}
    return {name: value for name, value in outer.items() if name not in FOREIGN} | own


def run_command(command: Command, folder: Path, hear: Callable[[str], None]) -> Ended:
    """Run `command`, whose first word stands for this Python, in `folder`; `hear` is given each line, errors too.

    Raises `Interrupted` after Ctrl-C, when the command has ended.
    """
    # In a session of its own the command does not hear Ctrl-C itself, and so hears it only once.
    process = subprocess.Popen(
        [sys.executable, *command[1:]],
        cwd=folder,
        env=environment(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )
    heard: list[str] = []
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _listen(process, heard, hear)
        return Ended(process.wait(), "".join(heard))
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        # One that was started deaf to Ctrl-C, as all are behind a nohup, is ended in the end.
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=PATIENCE)
        raise Interrupted("Stopped; what was checked before is told above.") from None
    finally:
        signal.signal(signal.SIGTERM, before)
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _listen(process: subprocess.Popen[str], heard: list[str], hear: Callable[[str], None]) -> None:
    for line in process.stdout or ():
        heard.append(line)
        hear(line.rstrip("\n"))
