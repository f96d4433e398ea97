"""An Optuna study that can be continued, and one of its trials."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from training.errors import Interrupted, TrainingError
from training.paths import exclusive_lock, prepare_output
from training.search.sweep_plan import Choices, Range, Ranges, Value, is_whole
from training.trainer import Step, Trainer

FILE = "study.db"
NAME = "namewave"
# Random trials before the sampler is used, and finished trials before pruning starts.
STARTUP_TRIALS = 8
# Distance between the random streams of two seeds; the streams of one sweep are adjacent.
STRIDE = 1_000_003
SEEDS = 2**32

# How often a shared database is tried, and the seconds between.
TRIES, PAUSE = 3, 0.5

Verdict = Literal["complete", "pruned", "failed"]
_STATES: dict[Verdict, TrialState] = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


@dataclass(frozen=True)
class Row:
    """A finished trial.

    `number`: from 1; `dev_loss`: its best in nats, None if it failed; `note`: why it failed.
    """

    number: int
    verdict: Verdict
    values: dict[str, Value]
    dev_loss: float | None
    seconds: float
    note: str = ""


class Study:
    """The trials of one sweep. Finished ones count; an interrupted one is dropped and drawn again.

    `seed`: None where several machines share the study.
    """

    def __init__(self, study: optuna.Study, ranges: Ranges, seed: int | None) -> None:
        self._study, self._seed = study, seed
        self._distributions = {field: _distribution(field, given) for field, given in ranges.items()}

    @property
    def is_shared(self) -> bool:
        """Whether other machines may run trials at the same time."""
        return self._seed is None

    def settle(self) -> None:
        """End the trials that a crash left running; no other process may run any."""
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            _settle(self._study, trial)

    def rows(self) -> list[Row]:
        """Return the finished trials in order."""
        finished = [trial for trial in self._study.get_trials(deepcopy=False) if "outcome" in trial.user_attrs]
        return [_row(number, trial) for number, trial in enumerate(finished, start=1)]

    def ask(self, trials: int) -> Trial | None:
        """Return the next of `trials` trials, or None where all are finished or run elsewhere.

        It depends only on the seed and the finished trials, except in a shared study.
        """
        if self._taken() >= trials:
            return None
        # The file does not store the sampler's generator, so each trial gets a fresh one.
        seed = None if self._seed is None else (self._seed * STRIDE + len(self.rows())) % SEEDS
        # The liar keeps machines from trying the same values at the same time.
        self._study.sampler = TPESampler(n_startup_trials=STARTUP_TRIALS, seed=seed, constant_liar=self.is_shared)
        trial = self._study.ask(self._distributions)
        # Two machines may both have found one trial missing: the storage numbers trials, and the lower number has it.
        if self._taken(trial.number) > trials:
            self.drop(trial)
            return None
        return trial

    def drop(self, trial: Trial) -> None:
        """End a trial without a result; it does not count."""
        self._study.tell(trial.number, state=TrialState.FAIL)

    def _taken(self, number: int | None = None) -> int:
        """Return how many trials are finished or running; with `number`, up to this one."""
        return sum(
            (number is None or trial.number <= number)
            and (trial.state is TrialState.RUNNING or "outcome" in trial.user_attrs)
            for trial in self._study.get_trials(deepcopy=False)
        )

    def tell(self, trial: Trial, verdict: Verdict, dev_loss: float | None, seconds: float, note: str = "") -> None:
        """Record the result of a trial."""
        # One entry, so that a crash leaves the whole result or none.
        trial.set_user_attr("outcome", {"verdict": verdict, "dev_loss": dev_loss, "seconds": seconds, "note": note})
        _end(self._study, trial.number, verdict, dev_loss)


@contextmanager
def open_study(folder: Path, ranges: Ranges, seed: int, marks: dict[str, str], resume: bool) -> Iterator[Study]:
    """Open a new study in `folder`, or the existing one with `resume`, and close it at the end.

    `marks`: the values that identify a sweep, by readable name. Raises `TrainingError` if a study exists without
    `resume`, is missing with it, belongs to another sweep, or is in use.
    """
    path = folder / FILE
    if not path.exists() and resume:
        raise TrainingError(f"No sweep lies in {folder}; leave out --resume to start one.")
    prepare_output(folder)
    # Without the lock, a second sweep would take a running trial for an interrupted one.
    with exclusive_lock(folder, "sweep"):
        if path.exists() and not resume:
            raise TrainingError(
                f"A sweep lies in {folder} already; --resume continues it. For a new one give another --output."
            )
        with _opened(path) as storage:
            study = Study(_load(storage, NAME, marks, str(folder)), ranges, seed)
            study.settle()
            yield study


@contextmanager
def join_study(url: str, title: str, ranges: Ranges, marks: dict[str, str], resume: bool) -> Iterator[Study]:
    """Open the study `title` of a storage that several machines share, and start it where it is new.

    `url`: of a database (SQLAlchemy), or the path of a journal file. `resume` drops the trials that a crash left
    running. Raises `TrainingError` if the storage cannot be used or has another sweep of this title.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = Study(_load(_shared_storage(url), f"{NAME} {title}", marks, "the storage"), ranges, None)
        if resume:
            study.settle()
        yield study
    except SQLAlchemyError as error:
        raise TrainingError(f"--storage cannot be used: {_first_line(error)}") from error


def _shared_storage(url: str) -> optuna.storages.BaseStorage:
    try:
        if "://" in url:
            return _database(url)
        Path(url).parent.mkdir(parents=True, exist_ok=True)
        return optuna.storages.JournalStorage(JournalFileBackend(url))
    # A missing driver, an address that is none, a folder that cannot be written.
    except (ImportError, ValueError, OSError) as error:
        raise TrainingError(
            f"--storage cannot be used: {_first_line(error)} Give the address of a database, such as "
            "postgresql://user@host/sweeps, or the path of a file on a disk that all machines share."
        ) from error


def _database(url: str) -> optuna.storages.RDBStorage:
    for _ in range(TRIES - 1):
        try:
            return optuna.storages.RDBStorage(url)
        # Of two machines that begin at the same time only one can make the tables.
        except SQLAlchemyError:
            time.sleep(PAUSE)
    return optuna.storages.RDBStorage(url)


@contextmanager
def _opened(path: Path) -> Iterator[optuna.storages.RDBStorage]:
    # The caller prints the result of a trial.
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


def _load(storage: optuna.storages.BaseStorage, name: str, marks: dict[str, str], place: str) -> optuna.Study:
    pruner = MedianPruner(n_startup_trials=STARTUP_TRIALS)
    study = optuna.create_study(storage=storage, study_name=name, pruner=pruner, load_if_exists=True)
    if not study.trials:
        # Of two machines that begin at the same time each writes what the other has not.
        for mark in marks.keys() - study.user_attrs.keys():
            study.set_user_attr(mark, marks[mark])
    differing = [mark for mark, value in marks.items() if study.user_attrs.get(mark) != value]
    if differing:
        raise TrainingError(
            f"The sweep in {place} was made with another {' and another '.join(differing)}. "
            "Give the same again, or another --output without --resume."
        )
    return study


def _settle(study: optuna.Study, trial: FrozenTrial) -> None:
    """End a trial that a crash left running: with its recorded result, or as failed."""
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


# Dev losses of trials are compared at equal progress, in thousandths of their steps.
WHOLE = 1000


@dataclass(frozen=True)
class TrialContext:
    """Callbacks of a trial: show a step, stop the sweep, prune the trial.

    `is_hopeless(progress, dev_loss)`: `progress` is in thousandths of the trial's steps.
    """

    show: Callable[[Step], None]
    is_stopped: Callable[[], bool]
    is_hopeless: Callable[[int, float], bool]


@dataclass(frozen=True)
class Result:
    """The result of a trial. `dev_loss`: its lowest in nats, None if it failed; `note`: why it failed."""

    verdict: Verdict
    dev_loss: float | None
    note: str = ""


def run_trial(trainer: Trainer, context: TrialContext) -> Result:
    """Train and return the result. Raises `Interrupted` after a stop request."""
    try:
        for step in trainer.fit():
            context.show(step)
            if context.is_stopped():
                raise Interrupted(f"Stopped after step {step.step:,} of {step.total:,}.")
            if step.dev_loss is None:
                continue
            if not math.isfinite(step.dev_loss):
                return Result("failed", None, f"The dev loss is {step.dev_loss} after step {step.step:,}.")
            progress = WHOLE * step.step // step.total
            if context.is_hopeless(progress, step.dev_loss) and not trainer.is_over:
                return Result("pruned", trainer.best_loss)
    except Interrupted:
        raise
    except TrainingError as error:
        return Result("failed", None, str(error))
    return Result("complete", trainer.best_loss)
