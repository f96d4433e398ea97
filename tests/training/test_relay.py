"""Several runs as one: steps are counted on, and a stop request ends all of them, but not what is done already."""

import pytest

from training.errors import Interrupted
from training.lessons.relay import Relay
from training.trainer import Step


def steps(total: int) -> list[Step]:
    return [Step(number, total, 2.0, 0.1, None) for number in range(1, total + 1)]


def test_steps_are_counted_on() -> None:
    """Two runs of three steps are shown as six, with all else of a step as it was."""
    shown: list[Step] = []
    relay = Relay(shown.append, lambda: False, runs=2)
    for step in [*steps(3), *steps(3)]:
        relay(step)
    assert [(step.step, step.total) for step in shown] == [(n, 6) for n in range(1, 7)]
    assert {(step.loss, step.learning_rate) for step in shown} == {(2.0, 0.1)}


def test_a_stop_ends_all_runs() -> None:
    """After a stop request the next step is shown and ends it; after the last step of all there is nothing to end."""
    asked: list[bool] = []
    relay = Relay(lambda step: None, lambda: bool(asked), runs=2)
    for step in steps(3):
        relay(step)
    asked.append(True)
    with pytest.raises(Interrupted, match="Stopped after step 4 of 6; nothing was written"):
        relay(steps(3)[0])
    relay(steps(3)[-1])
