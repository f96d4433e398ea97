"""Progress where there is no terminal: lines now and then, with losses and times from a clock that the test turns."""

import io

import pytest
from rich.console import Console

from training.progress import Bar, Lines, progress_on
from training.trainer import Step


def steps(n: int) -> list[Step]:
    return [Step(i, n, 3.0, 0.1, 2.5 if i % 10 == 0 else None) for i in range(1, n + 1)]


def test_a_line_every_few_seconds_and_one_at_the_end() -> None:
    """At two steps a second, a hundred steps give a line every five seconds, the last one with nothing left to do."""
    console = Console(file=io.StringIO(), width=120)
    seconds = iter(range(1000))
    with Lines(console, lambda: next(seconds) / 2) as lines:
        for step in steps(100):
            lines.show(step)
    printed = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(printed) == 10
    assert printed[0] == "step 10/100  loss 3.0000  dev 2.5000  elapsed 0:00:05  left 0:00:45"
    assert printed[-1] == "step 100/100  loss 3.0000  dev 2.5000  elapsed 0:00:50  left 0:00:00"


def test_the_work_before_the_first_step_has_a_time_left_of_its_own() -> None:
    """Labelling that takes a hundred seconds is shown as it goes on, and the steps after it, two a second, are judged
    by their own speed alone.
    """
    console = Console(file=io.StringIO(), width=120)
    now = 0.0
    with Lines(console, lambda: now) as lines:
        for done in range(0, 1001, 100):
            now = done / 10
            lines.count("labelling", done, 1000)
        for step in steps(100):
            now += 0.5
            lines.show(step)
    printed = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert printed[0] == "labelling 100/1000  elapsed 0:00:10  left 0:01:30"
    assert printed[9] == "labelling 1000/1000  elapsed 0:01:40  left 0:00:00"
    assert printed[10] == "step 10/100  loss 3.0000  dev 2.5000  elapsed 0:00:05  left 0:00:45"
    assert len(printed) == 20


@pytest.mark.parametrize("made", [0, 10])
def test_the_bar_begins_anew_for_the_steps(made: int) -> None:
    """On a terminal the labelling has its name and count and no losses; what is shown at last is the work at hand."""
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    with Bar(console) as bar:
        bar.count("labelling", 4000, 4000)
        for step in steps(10)[:made]:
            bar.show(step)
    shown = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    last = next(line for line in reversed(shown) if "left" in line)
    assert ("labelling" in last, "4000/4000" in last) == (not made, not made)
    assert ("training" in last, "10/10" in last, "dev 2.5000" in last) == (bool(made),) * 3


def test_a_terminal_gets_a_bar_that_counts_the_steps() -> None:
    """On a terminal the bar shows step, total and both losses."""
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    progress = progress_on(console, lambda: 0.0)
    assert isinstance(progress, Bar)
    with progress:
        for step in steps(10):
            progress.show(step)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "10/10" in text
    assert "dev 2.5000" in text
