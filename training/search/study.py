"""An Optuna study that can be continued, and one of its trials."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from training.errors import Interrupted, TrainingError
from training.paths import exclusive_lock, prepare_output
from training.search.sweep_plan import Choices, Range, Ranges, Value, is_whole
from training.trainer import Step, Trainer

FILE = "study.db"
NAME = "namewave"
# Trials drawn at random before the sampler has an opinion, and trials that end before one can be cut short.
STARTUP_TRIALS = 8
# Streams of random numbers of one sweep lie next to each other, those of another seed far away.
STRIDE = 1_000_003
SEEDS = 2**32

Verdict = Literal["complete", "pruned", "failed"]
_STATES: dict[Verdict, TrialState] = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


@dataclass(frozen=True)
class Row:
    """A finished trial. `number`: from 1; `dev_loss`: its best, in nats, None where it failed; `note`: why it did."""

    number: int
    verdict: Verdict
    values: dict[str, Value]
    dev_loss: float | None
    seconds: float
    note: str = ""


class Study:
    """The trials of one sweep: finished ones are counted, one that was broken off is forgotten and drawn again."""

    def __init__(self, study: optuna.Study, ranges: Ranges, seed: int) -> None:
        self._study, self._seed = study, seed
        self._distributions = {field: _distribution(field, given) for field, given in ranges.items()}
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            _settle(study, trial)

    def rows(self) -> list[Row]:
        """Return the finished trials in their order."""
        finished = [trial for trial in self._study.get_trials(deepcopy=False) if "outcome" in trial.user_attrs]
        return [_row(number, trial) for number, trial in enumerate(finished, start=1)]

    def ask(self) -> Trial:
        """Return the next trial: made of the seed and the finished trials alone, so that a broken one comes again."""
        # The sampler's generator is not kept in the file; a fresh one for each trial needs no keeping.
        seed = (self._seed * STRIDE + len(self.rows())) % SEEDS
        self._study.sampler = TPESampler(n_startup_trials=STARTUP_TRIALS, seed=seed, constant_liar=False)
        return self._study.ask(self._distributions)

    def tell(self, trial: Trial, verdict: Verdict, dev_loss: float | None, seconds: float, note: str = "") -> None:
        """Note how a trial ended."""
        # One entry, so that a crash leaves the whole outcome or none.
        trial.set_user_attr("outcome", {"verdict": verdict, "dev_loss": dev_loss, "seconds": seconds, "note": note})
        _end(self._study, trial.number, verdict, dev_loss)


@contextmanager
def open_study(folder: Path, ranges: Ranges, seed: int, marks: dict[str, str], resume: bool) -> Iterator[Study]:
    """Give the study in `folder`, a new one or, with `resume`, the one that lies there, and close it in the end.

    `marks`: what makes a sweep the same one, by what a person calls it. Raises `TrainingError` where a study lies there
    and is not wanted, or is wanted and not there, or is of another sweep, or where another sweep is at work.
    """
    path = folder / FILE
    if not path.exists() and resume:
        raise TrainingError(f"No sweep lies in {folder}; leave out --resume to start one.")
    prepare_output(folder)
    # Two sweeps would take each other's running trial for one that a crash broke off.
    with exclusive_lock(folder, "sweep"):
        if path.exists() and not resume:
            raise TrainingError(
                f"A sweep lies in {folder} already; --resume goes on with it. For a new one give another --output."
            )
        with _opened(path) as storage:
            yield Study(_load(storage, marks, folder), ranges, seed)


@contextmanager
def _opened(path: Path) -> Iterator[optuna.storages.RDBStorage]:
    # What a trial brings is said by whoever runs it.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
        try:
            yield storage
        finally:
            storage.remove_session()
            storage.engine.dispose()
    except SQLAlchemyError as error:
        raise TrainingError(f"{path} cannot be used ({_first_line(error)}). Give another --output.") from error


def _load(storage: optuna.storages.RDBStorage, marks: dict[str, str], folder: Path) -> optuna.Study:
    pruner = MedianPruner(n_startup_trials=STARTUP_TRIALS)
    study = optuna.create_study(storage=storage, study_name=NAME, pruner=pruner, load_if_exists=True)
    if not study.user_attrs and not study.trials:
        for mark, value in marks.items():
            study.set_user_attr(mark, value)
    differing = [mark for mark, value in marks.items() if study.user_attrs.get(mark) != value]
    if differing:
        raise TrainingError(
            f"The sweep in {folder} was made with another {' and another '.join(differing)}. "
            "Give the same again, or another --output without --resume."
        )
    return study


def _settle(study: optuna.Study, trial: FrozenTrial) -> None:
    """End a trial that a crash left running: as it was noted, or else as one that never was."""
    if outcome := trial.user_attrs.get("outcome"):
        _end(study, trial.number, outcome["verdict"], outcome["dev_loss"])
    else:
        study.tell(trial.number, state=TrialState.FAIL)


def _end(study: optuna.Study, number: int, verdict: Verdict, dev_loss: float | None) -> None:
    study.tell(number, dev_loss if verdict == "complete" else None, state=_STATES[verdict])


def _distribution(field: str, given: Range | Choices) -> BaseDistribution:
    if isinstance(given, Choices):
        return CategoricalDistribution(given.choices)
    if is_whole(field):
        return IntDistribution(int(given.low), int(given.high), log=given.log, step=int(given.step or 1))
    return FloatDistribution(given.low, given.high, log=given.log, step=given.step)


def _row(number: int, trial: FrozenTrial) -> Row:
    return Row(number=number, values=trial.params, **trial.user_attrs["outcome"])


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


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
