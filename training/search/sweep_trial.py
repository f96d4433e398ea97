"""One trial of a sweep: trained to its end, or until it is hopeless or diverges. Test names are not looked at."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from training.errors import Interrupted, TrainingError
from training.search.study import Verdict
from training.trainer import Step, Trainer

# A trial's dev losses are compared with those of others that are as far, in thousandths of their steps.
WHOLE = 1000


@dataclass(frozen=True)
class Surroundings:
    """The world around a trial: who is shown each step, who may stop the sweep, who calls a trial hopeless.

    `is_hopeless(place, dev_loss)`: `place` is how far the trial is, in thousandths of its steps.
    """

    show: Callable[[Step], None]
    is_stopped: Callable[[], bool]
    is_hopeless: Callable[[int, float], bool]


@dataclass(frozen=True)
class Result:
    """How a trial ended; `dev_loss`: its lowest, in nats, None where it failed; `note`: why it failed."""

    verdict: Verdict
    dev_loss: float | None
    note: str = ""


def run_trial(trainer: Trainer, world: Surroundings) -> Result:
    """Train and return what came of it. Raises `Interrupted` after a stop request."""
    try:
        for step in trainer.fit():
            world.show(step)
            if world.is_stopped():
                raise Interrupted(f"Stopped after step {step.step:,} of {step.total:,}.")
            if step.dev_loss is None:
                continue
            if not math.isfinite(step.dev_loss):
                return Result("failed", None, f"The dev loss is {step.dev_loss} after step {step.step:,}.")
            place = WHOLE * step.step // step.total
            if world.is_hopeless(place, step.dev_loss) and not trainer.is_over:
                return Result("pruned", trainer.best_loss)
    except Interrupted:
        raise
    except TrainingError as error:
        return Result("failed", None, str(error))
    return Result("complete", trainer.best_loss)
