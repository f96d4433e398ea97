"""Lessons as files: the commands that a page of docs/lessons gives, and the figures that its check promises. Nothing is
run here.

A page's commands stand in fenced blocks of language `sh`, one a line. Its last section, `## Check yourself`, has one
such block with one command, and below it a block of language `figure` with lines like `dev loss: 2.4536 +- 0.002`.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from training.errors import TrainingError

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
