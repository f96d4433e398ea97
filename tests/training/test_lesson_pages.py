"""Lessons as files: which commands and figures a page gives, and what is said of a page that is not as agreed."""

from pathlib import Path

import pytest

from training.errors import TrainingError
from training.figures import figure_line, found_figures
from training.lessons.pages import Figure, read_lesson, read_lessons

PAGE = """# The bigram

```sh
python -m training sample human/mlp@3 --prefix "van " --seed 1   # with a comment

python -m app generate
```

```text
dev loss: 9 +- 9
```

## Check yourself

```sh
python -m training bigram-picture --steps 10000
```

```figure
dev loss by counting, smoothing 1: 2.4715 +- 0.0002
names that differ: 0 +- 1
```
"""


def page(folder: Path, text: str, name: str = "01-bigram.md") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_a_page_gives_its_commands_and_its_check(tmp_path: Path) -> None:
    """Commands are those of `sh` blocks, split as a shell would; figures those of the check's `figure` block alone."""
    lesson = read_lesson(page(tmp_path, PAGE))
    assert (lesson.number, lesson.title) == ("01", "The bigram")
    sample = ("python", "-m", "training", "sample", "human/mlp@3", "--prefix", "van ", "--seed", "1")
    assert lesson.commands == (sample, ("python", "-m", "app", "generate"), lesson.check)
    assert lesson.check == ("python", "-m", "training", "bigram-picture", "--steps", "10000")
    assert lesson.figures == (
        Figure("dev loss by counting, smoothing 1", 2.4715, 0.0002),
        Figure("names that differ", 0.0, 1.0),
    )


def test_lessons_come_in_order(tmp_path: Path) -> None:
    """Pages are read by their number; other files of the folder are none."""
    page(tmp_path, PAGE, "10-later.md")
    page(tmp_path, PAGE)
    page(tmp_path, "# Lessons", "README.md")
    assert [lesson.number for lesson in read_lessons(tmp_path)] == ["01", "10"]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("python -m app generate", "rm -rf lists", "allowed in a block of language sh: one command a line"),
        ("2.4715 +- 0.0002", "2.4715", "promises 'dev loss by counting, smoothing 1: 2.4715'; allowed: a line like"),
        ("## Check yourself", "## Check", "has 0 commands and 0 blocks of figures"),
        ("```figure\n", "```figure\n```\n\n```text\n", "promises no figure"),
        ("--steps 10000", "--steps 10000\npython -m app next", "has 2 commands and 1 blocks"),
    ],
)
def test_a_page_that_is_not_as_agreed_is_refused(tmp_path: Path, before: str, after: str, words: str) -> None:
    """The page is named, with what it has and what is allowed."""
    assert before in PAGE
    with pytest.raises(TrainingError, match=r"01-bigram\.md") as error:
        read_lesson(page(tmp_path, PAGE.replace(before, after)))
    assert words in str(error.value)


def test_a_folder_without_lessons_is_refused(tmp_path: Path) -> None:
    """Where there is no lesson, none is said to be as promised."""
    with pytest.raises(TrainingError, match=r"There are no lessons in .*; allowed: a folder with pages like"):
        read_lessons(tmp_path)


@pytest.mark.parametrize(
    ("printed", "is_met"),
    [(2.4715, True), (2.4717, True), (2.4713, True), (2.4718, False), (2.4712, False), (float("nan"), False)],
)
def test_a_figure_is_met_within_its_tolerance(printed: float, is_met: bool) -> None:
    """The ends of the tolerance are within it, in decimals as they are written; NaN never is, nor is nothing."""
    figure = Figure("dev loss", 2.4715, 0.0002)
    assert figure.is_met(printed) is is_met
    assert not figure.is_met(None)


def test_printed_figures_are_found_again() -> None:
    """What `figure_line` writes is found by its label, however the number is written; the last one counts, and lines
    that hold more than a figure are none.
    """
    lines = [
        figure_line("dev loss", 9),
        "step 10/10  loss 2.1  dev 2.2",
        figure_line("dev loss", 2.45361),
        figure_line("apart by at most", 3.81e-6, ".1e"),
        figure_line("names", 500, "d"),
        figure_line("broken", float("nan")),
        "dev loss: 3.1 nats",
        'entropy after "a: b" at 1: 0.5',
    ]
    found = found_figures("\n".join(lines))
    assert str(found.pop("broken")) == "nan"
    assert found == {"dev loss": 2.4536, "apart by at most": 3.8e-6, "names": 500, 'entropy after "a: b" at 1': 0.5}
