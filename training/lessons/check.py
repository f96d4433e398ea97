"""`python -m training lessons`: runs the check of each lesson in full and compares what it prints with what the lesson
promises. How pages are read is `pages`' business, how commands are run `child`'s.
"""

import shlex
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import click

from training.errors import TrainingError
from training.figures import found_figures
from training.lessons.child import Ended, run_command
from training.lessons.pages import FOLDER, Lesson, read_lessons


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
