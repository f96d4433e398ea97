"""Progress where there is no terminal: lines now and then, with losses and times from a clock that the test turns."""

import io

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
