"""The lessons keep their word: every command runs, short; every link leads to what it names; samples are real. The
figures themselves are checked by `make lessons`, in full.
"""

import ast
import json
import math
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from app.cli.main import main as app_main
from app.settings import Settings
from tests.harness.app_client import app_client
from training.cli import main as training_main
from training.lessons.check import CHECK, FOLDER, Command, Lesson, read_lessons
from training.report import parse_metrics

PAGES = sorted(FOLDER.glob("*.md"))
LESSONS = read_lessons(FOLDER)
PICTURES = FOLDER / "pictures"
# Steps that a test can wait for; more than the least that any command takes.
SHORT = "20"
GROUPS = {"training": training_main, "app": app_main}
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
_SAMPLE = re.compile(r"^```sh\npython -m app (generate [^\n]+)\n```\n+```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ASKED = re.compile(r"^\$ curl 'localhost:8000(/\S+)'\n(\{.*\})$", re.MULTILINE)


def short(command: Command) -> list[str]:
    """The command's words after `python -m ROOM`, with few steps where it makes any."""
    _, _, room, *words = command
    group = GROUPS[room]
    found = group.get_command(click.Context(group), words[0])
    assert found is not None, words
    takes_steps = any("--steps" in parameter.opts for parameter in found.params)
    return [*words, "--steps", SHORT] if takes_steps else words


def names_of(path: Path) -> set[str]:
    """The classes, functions and constants that a source defines, and its classes' own functions as Class.name."""
    return set(_names(ast.parse(path.read_text("utf-8")).body, ""))


def _names(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name
            if isinstance(node, ast.ClassDef):
                yield from _names(node.body, f"{node.name}.")
        elif isinstance(node, ast.Assign):
            yield from (prefix + target.id for target in node.targets if isinstance(target, ast.Name))


@cache
def every_command() -> list[Command]:
    """All different commands of all lessons."""
    return list(dict.fromkeys(command for lesson in LESSONS for command in lesson.commands))


def different_runs() -> list[Command]:
    """The commands that still differ once they make few steps: by more than the steps and the file they write."""
    runs = dict[str, Command]()
    # The last one with a key stays: a closing command, if there is one, whose figures are checked.
    for command in sorted(every_command(), key=lambda each: any(lesson.check == each for lesson in LESSONS)):
        runs[re.sub(r" --steps \S+|(?<= --out) \S+", "", " ".join(command))] = command
    return list(runs.values())


def test_contents_list_every_lesson_with_its_figure() -> None:
    contents = (FOLDER / "README.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| \d \| \[[^\]]+\]\((\d\d)-[^)]+\.md\) \| (.+)$", contents, re.MULTILINE))
    assert {lesson.number for lesson in LESSONS} <= set(rows)
    for lesson in LESSONS:
        values = {f"{abs(metric.value):.4f}" for metric in lesson.metrics}
        values |= {f"{metric.value:g}" for metric in lesson.metrics}
        values |= {f"{100 * metric.value:.2f} %" for metric in lesson.metrics}
        assert any(re.search(rf"(?<![\d.]){re.escape(value)}(?![\d.])", rows[lesson.number]) for value in values)


def test_every_lesson_command_is_understood() -> None:
    for command in every_command():
        _, _, room, word, *arguments = command
        found = GROUPS[room].get_command(click.Context(GROUPS[room]), word)
        assert found is not None, command
        with found.make_context(word, list(arguments)) as context:
            assert context.params, command


@pytest.mark.parametrize("command", different_runs(), ids=" ".join)
def test_lesson_command_runs_and_prints_its_figures(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner(env={"NAMEWAVE_STORE": str(tmp_path / "store")}).invoke(GROUPS[command[2]], short(command))
    assert result.exit_code == 0, result.output
    for lesson in LESSONS:
        if lesson.check == command:
            check_figures(lesson, result.output)


def check_figures(lesson: Lesson, output: str) -> None:
    """Shape and direction: all promised labels with numbers, and no dev loss that knows less than nothing."""
    printed = parse_metrics(output)
    assert {metric.label for metric in lesson.metrics} <= set(printed)
    assert all(math.isfinite(printed[metric.label]) for metric in lesson.metrics)
    for label, value in printed.items():
        if label.startswith("dev loss") and "all weights unit normal" not in label:
            assert 1.5 < value < math.log(27), label


def test_closing_commands_run_and_take_steps() -> None:
    for lesson in LESSONS:
        assert lesson.check in different_runs(), lesson.number
        assert "--steps" in short(lesson.check), lesson.number


def test_contents_name_the_commands_without_steps() -> None:
    text = " ".join((FOLDER / "README.md").read_text("utf-8").split())
    sentence = re.search(r"The others \(([^)]+)\) take a moment and know no `--steps`", text)
    assert sentence is not None
    without = {f"{command[2]} {command[3]}" for command in every_command() if "--steps" not in short(command)}
    assert set(re.findall(r"`([^`]+)`", sentence[1])) == without


def test_lab_pages_and_lessons_refer_to_each_other() -> None:
    lab = (FOLDER.parents[1] / "app" / "static" / "lab" / "index.html").read_text("utf-8")
    there = set(re.findall(r'<a href="(#/\w+)">', lab))
    texts = {page.name[:2]: page.read_text("utf-8") for page in PAGES}
    tops = {number: re.findall(r"^In the lab: `/lab(#/\w+)`", text, re.MULTILINE) for number, text in texts.items()}
    shown = {number: found[0] for number, found in tops.items() if found}
    assert there == set(shown.values())
    assert there >= {part for text in texts.values() for part in re.findall(r"/lab(#/\w+)", text)}
    listed = re.findall(r"`/lab(#/\w+)`\s+for\s+lessons?\s+(\d(?:\s+and\s+\d)?)", texts["RE"])
    assert shown == {f"0{digit}": part for part, digits in listed for digit in re.findall(r"\d", digits)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_lesson_resolve(page: Path) -> None:
    links = _LINK.findall(page.read_text("utf-8"))
    assert links
    for text, target in links:
        path = (page.parent / target).resolve()
        assert path.is_relative_to(FOLDER.parents[1]), target
        assert path.is_file(), target
        name = re.fullmatch(r"`([\w.]+)`", text)
        if path.suffix == ".py" and name and not name[1].endswith(".py"):
            assert name[1] in names_of(path), f"{name[1]} is not in {target}"


def test_pictures_are_small_shown_and_reproducible() -> None:
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    shown = dict(re.findall(r"!\[([^\]]{20,})\]\(pictures/([^)]+)\)", text))
    written = " ".join(word for command in every_command() for word in command)
    pictures = sorted(PICTURES.iterdir())
    assert pictures
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_size <= 150_000
        assert picture.name in shown.values()
        assert f"pictures/{picture.name}" in written or picture.name == "learning_rates.png"


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [sample for page in PAGES for sample in _SAMPLE.findall(page.read_text("utf-8"))],
)
def test_lesson_cli_samples_are_real(
    arguments: str, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAMEWAVE_STORE", str(tmp_path))
    assert CliRunner().invoke(app_main, arguments.split()).stdout == printed


@pytest.mark.anyio
async def test_lesson_http_samples_are_real() -> None:
    text = (FOLDER / "07-from-notebook-to-service.md").read_text("utf-8")
    asked = _ASKED.findall(text)
    assert len(asked) == 2
    async with app_client(Settings(store=Path("/nonexistent/store"))) as client:
        answers = [(await client.get(link)).text for link, _ in asked]
    for answer, (_, shown) in zip(answers, asked, strict=True):
        for part in shown.split(" ... "):
            assert part in answer
    five, two = (json.loads(answer)["names"] for answer in answers)
    assert two == five[3:]
    assert f"the notebook says: {', '.join(five)}\nthe service says: {', '.join(five)}\n" in text
    assert "\n".join(five) in text


def test_lessons_end_with_their_check() -> None:
    for page in PAGES:
        if page.name != "README.md":
            headings = re.findall(r"^## .+$", page.read_text("utf-8"), re.MULTILINE)
            assert headings[-1] == CHECK
            assert headings.count(CHECK) == 1
