"""Run the closing command of every lesson, and compare its figures with the page."""

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
from training.report import found_figures

FOLDER = Path(__file__).parents[2] / "docs" / "lessons"
CHECK = "## Check yourself"
# What a command may begin with.
ROOMS = (("python", "-m", "training"), ("python", "-m", "app"))
_PAGE = "[0-9][0-9]-*.md"
_BLOCK = re.compile(r"^ *```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_FIGURE = re.compile(r"(?P<label>\S.*): (?P<value>-?\d+(?:\.\d+)?) \+- (?P<tolerance>\d+(?:\.\d+)?(?:e-\d+)?)")

Command = tuple[str, ...]


@dataclass(frozen=True)
class Figure:
    """What a check must print: a label, a number, and how far from it the printed number may lie."""

    label: str
    value: float
    tolerance: float

    def is_met(self, printed: float | None) -> bool:
        """Whether the printed number, if there is one, is near enough. No number is near to NaN."""
        # Both are decimal fractions: the last place is not lost to their binary forms.
        return printed is not None and abs(printed - self.value) <= self.tolerance * (1 + 1e-9)

    def __str__(self) -> str:
        return f"{self.value:g} +- {self.tolerance:g}"


@dataclass(frozen=True)
class Lesson:
    """One page: its number ("05"), its title, every command in order, and its check."""

    number: str
    title: str
    commands: tuple[Command, ...]
    check: Command
    figures: tuple[Figure, ...]


def read_lessons(folder: Path) -> list[Lesson]:
    """Return the lessons of `folder` in order. Raises `TrainingError` where there is none, or one is not as agreed."""
    paths = sorted(folder.glob(_PAGE))
    if not paths:
        raise TrainingError(
            f"There are no lessons in {folder}; allowed: a folder with pages like 02-mlp.md, as docs/lessons in a "
            "checkout of the project."
        )
    return [read_lesson(path) for path in paths]


def read_lesson(path: Path) -> Lesson:
    """Return one page. Raises `TrainingError` where it is not as agreed."""
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
    """Return the commands of all `sh` blocks. Raises `TrainingError` for one that is none of this project's."""
    blocks = [match["text"] for match in _BLOCK.finditer(text) if match["language"] == "sh"]
    return [_command(line.strip(), page) for block in blocks for line in block.splitlines() if line.strip()]


def _command(line: str, page: str) -> Command:
    command = tuple(shlex.split(line, comments=True))
    if command[:3] not in ROOMS:
        raise TrainingError(
            f"{page} has the command {line!r}; allowed in a block of language sh: one command a line that begins with "
            "python -m training or python -m app."
        )
    return command


def _figures(block: str, page: str) -> tuple[Figure, ...]:
    figures = []
    for line in block.splitlines():
        match = _FIGURE.fullmatch(line.strip())
        if match is None:
            raise TrainingError(f"{page} promises {line!r}; allowed: a line like dev loss: 2.4536 +- 0.002.")
        figures.append(Figure(match["label"], float(match["value"]), float(match["tolerance"])))
    if not figures:
        raise TrainingError(f"{page} promises no figure; its check must have one.")
    return tuple(figures)


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


@click.command("lessons")
@click.option("--only", metavar="NUMBER", multiple=True, help="A lesson to check, as 05; repeatable (default: all).")
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), default=FOLDER, help="Folder of the lessons."
)
def command(only: tuple[str, ...], folder: Path) -> None:
    """Run the check of every lesson in docs/lessons.

    All of them together take some minutes. Nothing of yours is read or changed. The exit status is 1 where a figure is
    not what its lesson promises.
    """
    lessons = chosen(read_lessons(folder), only)
    missed = [lesson.number for lesson in lessons if not check(lesson)]
    if missed:
        again = " ".join(f"--only {number}" for number in missed)
        raise TrainingError(
            f"{len(missed)} of {len(lessons)} lessons did not print what they promise: {', '.join(missed)}. "
            f"Once that is mended, run them alone with {again}."
        )
    click.echo(f"All {len(lessons)} lessons printed what they promise.")


def chosen(lessons: Sequence[Lesson], only: Sequence[str]) -> list[Lesson]:
    """Return the lessons with the numbers `only`, all without one. Raises `TrainingError` for a number of none."""
    numbers = [lesson.number for lesson in lessons]
    wanted = [number.zfill(2) for number in only]
    for number in wanted:
        if number not in numbers:
            raise TrainingError(f"--only is {number!r}; allowed: {', '.join(numbers)}.")
    return [lesson for lesson in lessons if not wanted or lesson.number in wanted]


def check(lesson: Lesson) -> bool:
    """Run a lesson's check and say whether every figure is as promised; all of it is told as it happens."""
    click.echo(f"{lesson.title}\n   $ {shlex.join(lesson.check)}")
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        ended = run_command(lesson.check, Path(folder), lambda line: click.echo(f"   | {line}"))
    took = timedelta(seconds=round(time.monotonic() - start))
    is_met = judged(lesson, ended)
    click.echo(f"   {'as promised' if is_met else 'NOT as promised'}, {took}\n")
    return is_met


def judged(lesson: Lesson, ended: Ended) -> bool:
    """Tell each printed figure beside the promised one, and say whether all of them are as promised."""
    if ended.status:
        click.echo(f"   the command ended with status {ended.status}")
    printed = found_figures(ended.output)
    is_met = ended.status == 0
    for figure in lesson.figures:
        value = printed.get(figure.label)
        told = "nothing" if value is None else f"{value:g}"
        verdict = "ok" if figure.is_met(value) else "MISSED"
        click.echo(f"   {verdict:6} {figure.label}: {told}, promised {figure}")
        is_met = is_met and figure.is_met(value)
    return is_met
