"""Progress of one run or several, with an injected clock: lines without a terminal, a bar on one."""

import io
from itertools import count

import pytest
from rich.console import Console

from tests.training.conftest import steps_of
from training.errors import Interrupted
from training.progress import Bar, Lines, MultiRunProgress, progress_on
from training.trainer import Step


@pytest.fixture
def printed() -> io.StringIO:
    return io.StringIO()


def test_line_is_printed_every_five_seconds_and_at_the_end(printed: io.StringIO) -> None:
    seconds = count(0, 0.5)
    with Lines(Console(file=printed, width=120), lambda: next(seconds)) as lines:
        for step in steps_of(100):
            lines.show(step)
    shown = printed.getvalue().splitlines()
    assert len(shown) == 10
    assert shown[0] == "step 10/100  loss 3.0000  dev 2.5000  elapsed 0:00:05  left 0:00:45"
    assert shown[-1] == "step 100/100  loss 3.0000  dev 2.5000  elapsed 0:00:50  left 0:00:00"


def test_labelling_and_steps_have_separate_times_left(printed: io.StringIO) -> None:
    now = 0.0
    with Lines(Console(file=printed, width=120), lambda: now) as lines:
        for done in range(0, 1001, 100):
            now = done / 10
            lines.count("labelling", done, 1000)
        for step in steps_of(100):
            now += 0.5
            lines.show(step)
    shown = printed.getvalue().splitlines()
    assert shown[0] == "labelling 100/1000  elapsed 0:00:10  left 0:01:30"
    assert shown[9] == "labelling 1000/1000  elapsed 0:01:40  left 0:00:00"
    assert shown[10] == "step 10/100  loss 3.0000  dev 2.5000  elapsed 0:00:05  left 0:00:45"
    assert len(shown) == 20


@pytest.mark.parametrize("made", [0, 10])
def test_terminal_gets_a_bar_that_restarts_after_labelling(made: int, printed: io.StringIO) -> None:
    bar = progress_on(Console(file=printed, width=120, force_terminal=True), lambda: 0.0)
    assert isinstance(bar, Bar)
    with bar:
        bar.count("labelling", 4000, 4000)
        for step in steps_of(made):
            bar.show(step)
    last = next(line for line in reversed(printed.getvalue().splitlines()) if "left" in line)
    assert ("labelling" in last, "4000/4000" in last) == (not made, not made)
    assert ("training" in last, "10/10" in last, "dev 2.5000" in last) == (bool(made),) * 3


def test_steps_of_several_runs_are_numbered_consecutively() -> None:
    shown: list[Step] = []
    relay = MultiRunProgress(shown.append, lambda: False, runs=2)
    for step in [*steps_of(3), *steps_of(3)]:
        relay(step)
    assert [(step.step, step.total) for step in shown] == [(n, 6) for n in range(1, 7)]
    assert {(step.loss, step.learning_rate) for step in shown} == {(3.0, 0.1)}


def test_stop_request_ends_runs_unless_all_steps_are_done() -> None:
    requests: list[bool] = []
    relay = MultiRunProgress(lambda step: None, lambda: bool(requests), runs=2)
    for step in steps_of(3):
        relay(step)
    requests.append(True)
    with pytest.raises(Interrupted, match="Stopped after step 4 of 6; nothing was written"):
        relay(steps_of(3)[0])
    relay(steps_of(3)[-1])
