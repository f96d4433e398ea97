"""Run the check of every lesson, and compare the printed metrics with the page."""

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import click

from training.errors import Interrupted, TrainingError
from training.report import parse_metrics

FOLDER = Path(__file__).parents[2] / "docs" / "lessons"
CHECK = "## Check yourself"
# Allowed first words of a command.
ALLOWED_COMMANDS = (("python", "-m", "training"), ("python", "-m", "app"))
_PAGE = "[0-9][0-9]-*.md"
_BLOCK = re.compile(r"^ *```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_FIGURE = re.compile(r"(?P<label>\S.*): (?P<value>-?\d+(?:\.\d+)?) \+- (?P<tolerance>\d+(?:\.\d+)?(?:e-\d+)?)")

Command = tuple[str, ...]


@dataclass(frozen=True)
class ExpectedMetric:
    """A metric that a check must print: its label, value and tolerance."""

    label: str
    value: float
    tolerance: float

    def is_met(self, printed: float | None) -> bool:
        """Return whether the printed number exists and is within the tolerance. NaN never is."""
        # The factor allows for the binary representation of decimal fractions.
        return printed is not None and abs(printed - self.value) <= self.tolerance * (1 + 1e-9)

    def __str__(self) -> str:
        return f"{self.value:g} +- {self.tolerance:g}"


@dataclass(frozen=True)
class Lesson:
    """One page: its number ("05"), title, commands in order, check, and expected metrics."""

    number: str
    title: str
    commands: tuple[Command, ...]
    check: Command
    metrics: tuple[ExpectedMetric, ...]


def read_lessons(folder: Path) -> list[Lesson]:
    """Return the lessons of `folder` in order.

    Raises `TrainingError` if there is none or one is malformed.
    """
    paths = sorted(folder.glob(_PAGE))
    if not paths:
        raise TrainingError(
            f"There are no lessons in {folder}; allowed: a folder with pages like 02-mlp.md, as docs/lessons in a "
            "checkout of the project."
        )
    return [read_lesson(path) for path in paths]


def read_lesson(path: Path) -> Lesson:
    """Return one page. Raises `TrainingError` if it is malformed."""
    text = path.read_text("utf-8")
    _, _, closing = text.partition(f"\n{CHECK}\n")
    commands, check = commands_of(text, path.name), commands_of(closing, path.name)
    blocks = [match["text"] for match in _BLOCK.finditer(closing) if match["language"] == "figure"]
    if len(check) != 1 or len(blocks) != 1:
        raise TrainingError(
            f"{path.name} has {len(check)} commands and {len(blocks)} blocks of figures under {CHECK!r}; there must "
            "be one of each."
        )
    title = text.partition("\n")[0].removeprefix("# ")
    return Lesson(path.name[:2], title, tuple(commands), check[0], _figures(blocks[0], path.name))


def commands_of(text: str, page: str) -> list[Command]:
    """Return the commands of all `sh` blocks. Raises `TrainingError` for a foreign command."""
    blocks = [match["text"] for match in _BLOCK.finditer(text) if match["language"] == "sh"]
    return [_command(line.strip(), page) for block in blocks for line in block.splitlines() if line.strip()]


def _command(line: str, page: str) -> Command:
    command = tuple(shlex.split(line, comments=True))
    if command[:3] not in ALLOWED_COMMANDS:
        raise TrainingError(
            f"{page} has the command {line!r}; allowed in a block of language sh: one command a line that begins with "
            "python -m training or python -m app."
        )
    return command


def _figures(block: str, page: str) -> tuple[ExpectedMetric, ...]:
    metrics = []
    for line in block.splitlines():
        match = _FIGURE.fullmatch(line.strip())
        if match is None:
            raise TrainingError(f"{page} has the line {line!r}; allowed: a line like dev loss: 2.4536 +- 0.002.")
        metrics.append(ExpectedMetric(match["label"], float(match["value"]), float(match["tolerance"])))
    if not metrics:
        raise TrainingError(f"{page} has no figure; its check must have one.")
    return tuple(metrics)


ROOT = Path(__file__).parents[2]
# Environment variables that would make a command use the user's own versions.
REMOVED_VARIABLES = ("NAMEWAVE_STORE", "NAMEWAVE_SHIPPED_STORE", "NAMEWAVE_RUNS")

# Seconds for a command to save its state and end.
SHUTDOWN_SECONDS = 60.0


@dataclass(frozen=True)
class CommandResult:
    """The exit status and output of a command."""

    status: int
    output: str


def environment(outer: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a command: this project, the shipped store only, no wrapped lines."""
    paths = [str(ROOT), *filter(None, [outer.get("PYTHONPATH")])]
    own = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", "COLUMNS": "120"}
    return {name: value for name, value in outer.items() if name not in REMOVED_VARIABLES} | own


def run_command(command: Command, folder: Path, on_line: Callable[[str], None]) -> CommandResult:
    """Run `command` in `folder` with this Python, and pass each line of stdout and stderr to `on_line`.

    Raises `Interrupted` after Ctrl-C, when the command has ended.
    """
    # In its own session the command does not receive Ctrl-C from the terminal, so it receives it only once.
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
    lines: list[str] = []
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _read_lines(process, lines, on_line)
        return CommandResult(process.wait(), "".join(lines))
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        # A command that ignores SIGINT, for example under nohup, is killed after the timeout.
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=SHUTDOWN_SECONDS)
        raise Interrupted("Stopped; the results so far are above.") from None
    finally:
        signal.signal(signal.SIGTERM, before)
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _read_lines(process: subprocess.Popen[str], lines: list[str], on_line: Callable[[str], None]) -> None:
    for line in process.stdout or ():
        lines.append(line)
        on_line(line.rstrip("\n"))


@click.command("lessons")
@click.option("--only", metavar="NUMBER", multiple=True, help="A lesson to check, as 05; repeatable (default: all).")
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), default=FOLDER, help="Folder of the lessons."
)
def check_lessons(only: tuple[str, ...], folder: Path) -> None:
    """Run the check of every lesson in docs/lessons.

    All lessons together take some minutes. Your own versions are not read or changed. The exit status is 1 if a
    printed number differs from the lesson.
    """
    lessons = chosen(read_lessons(folder), only)
    missed = [lesson.number for lesson in lessons if not check(lesson)]
    if missed:
        again = " ".join(f"--only {number}" for number in missed)
        raise TrainingError(
            f"{len(missed)} of {len(lessons)} lessons did not print the expected numbers: {', '.join(missed)}. "
            f"To run only these again: {again}."
        )
    click.echo(f"All {len(lessons)} lessons printed the expected numbers.")


def chosen(lessons: Sequence[Lesson], only: Sequence[str]) -> list[Lesson]:
    """Return the lessons with the numbers `only`, or all. Raises `TrainingError` for an unknown number."""
    numbers = [lesson.number for lesson in lessons]
    wanted = [number.zfill(2) for number in only]
    for number in wanted:
        if number not in numbers:
            raise TrainingError(f"--only is {number!r}; allowed: {', '.join(numbers)}.")
    return [lesson for lesson in lessons if not wanted or lesson.number in wanted]


def check(lesson: Lesson) -> bool:
    """Run a lesson's check, print its output, and return whether every metric matches."""
    click.echo(f"{lesson.title}\n   $ {shlex.join(lesson.check)}")
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result = run_command(lesson.check, Path(folder), lambda line: click.echo(f"   | {line}"))
    took = timedelta(seconds=round(time.monotonic() - start))
    is_met = check_metrics(lesson, result)
    click.echo(f"   {'as expected' if is_met else 'NOT as expected'}, {took}\n")
    return is_met


def check_metrics(lesson: Lesson, result: CommandResult) -> bool:
    """Print each metric beside the expected one, and return whether all of them match."""
    if result.status:
        click.echo(f"   the command ended with status {result.status}")
    printed = parse_metrics(result.output)
    is_met = result.status == 0
    for metric in lesson.metrics:
        value = printed.get(metric.label)
        shown = "nothing" if value is None else f"{value:g}"
        verdict = "ok" if metric.is_met(value) else "MISSED"
        click.echo(f"   {verdict:6} {metric.label}: {shown}, expected {metric}")
        is_met = is_met and metric.is_met(value)
    return is_met
