"""The story of one run on one page: a list and hyperparameters go in, a trained network with its losses comes out.

Steps drip to whoever watches; a stop request keeps the state and ends the run. No printing; publishing is `draft`'s
and the registry's job.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from models import Kernels
from models.networks import Network, bigram_by_counting
from training.config import TrainingConfig
from training.corpus import Corpus
from training.dataset import Batches
from training.distillation import IMAGINED, Ensemble, TaughtBatches, imagined, lessons
from training.errors import Interrupted, TrainingError
from training.evaluation import split_losses
from training.progress import Clock
from training.run_state import RunState, Saved
from training.trainer import History, Step, Trainer, new_trainer
from training.transfer import Start

# Seconds between two states kept during a run: what a power cut can cost.
SAVE_EVERY = 60.0


@dataclass(frozen=True)
class Distillation:
    """Who teaches, by name and as networks in evaluation mode, and how many names each of them invents for it."""

    names: tuple[str, ...]
    networks: tuple[Network, ...]
    kernels: Kernels
    imagined: int = IMAGINED


@dataclass(frozen=True)
class Job:
    """What to train, on which list, and where: from fresh weights or those of a `start`; with a `distillation`, on what
    its teachers say instead of the list.
    """

    corpus: Corpus
    config: TrainingConfig
    preset: str
    device: torch.device
    distillation: Distillation | None = None
    start: Start | None = None

    def origin(self) -> dict[str, str]:
        """Return where the run got its knowledge from, beside the list, as a manifest keeps it."""
        start = {"start": self.start.name} if self.start else {}
        return start | ({"teachers": ", ".join(self.distillation.names)} if self.distillation else {})


@dataclass(frozen=True)
class Watch:
    """The world around a run: who is shown each step and told of what takes long, who may stop it, the clock, and where
    its state is kept. `count(what, done, total)`: how far the work before the first step is.
    """

    show: Callable[[Step], None]
    is_stopped: Callable[[], bool]
    clock: Clock
    state: RunState | None = None
    resume: bool = False
    say: Callable[[str], None] = lambda line: None
    count: Callable[[str, int, int], None] = lambda what, done, total: None


@dataclass(frozen=True)
class Outcome:
    """A finished run. The network lies on the CPU, in evaluation mode; `losses`: train, dev and test."""

    job: Job
    network: Network
    losses: dict[str, float]
    history: History
    best_step: int
    seconds: float


def run(job: Job, watch: Watch) -> Outcome:
    """Train to the end. Raises `Interrupted` after a stop request, the state kept; `TrainingError` otherwise."""
    if job.config.method == "counting":
        return _count(job, watch)
    # First of all: a state of another run is refused before teachers speak for minutes.
    saved = watch.state.load() if watch.state is not None and watch.resume else None
    batches = None if job.distillation is None else _taught(job, job.distillation, watch)
    trainer = new_trainer(job.config, job.corpus, job.device, job.start, batches)
    network = trainer.network
    if saved is not None:
        _restore(trainer, saved)
    seconds = _drive(trainer, watch, saved.seconds if saved else 0.0)
    losses = split_losses(network, job.corpus.split, job.corpus.vocabulary, job.device)
    network.to("cpu")
    return Outcome(job, network, losses, trainer.history, trainer.best_step, seconds)


def _taught(job: Job, distillation: Distillation, watch: Watch) -> Batches:
    """Return batches of the list and of as many names as the teachers invent, with what they say about each. Raises
    `Interrupted` after a stop request.
    """
    corpus, seed = job.corpus, job.config.seed
    longest = max(map(len, corpus.names))
    names = list(corpus.split.train)
    for i, teacher in enumerate(distillation.networks):
        watch.say(f"{distillation.names[i]} invents {distillation.imagined:,} names")
        stream = seed * len(distillation.networks) + i
        names += imagined(teacher, corpus.vocabulary, longest, distillation.kernels, distillation.imagined, stream)
    watch.say(f"the teachers say what they think of {len(names):,} names")

    def told(done: int, total: int) -> None:
        watch.count("labelling", done, total)
        if watch.is_stopped():
            raise Interrupted("Stopped before the first step; nothing was kept.")

    labelled = lessons(names, corpus.vocabulary, Ensemble(distillation.networks), told)
    generator = torch.Generator().manual_seed(seed)
    return TaughtBatches(labelled, job.config.batch_size, generator, job.device)


def _count(job: Job, watch: Watch) -> Outcome:
    split, vocabulary = job.corpus.split, job.corpus.vocabulary
    start = watch.clock()
    network = bigram_by_counting(split.train, vocabulary, job.config.smoothing)
    losses = split_losses(network, split, vocabulary)
    return Outcome(job, network, losses, History(), 0, watch.clock() - start)


def _drive(trainer: Trainer, watch: Watch, before: float) -> float:
    """Run the trainer to its end and return how many seconds it took, with those `before` an interruption."""
    start = watch.clock() - before
    kept = watch.clock()
    for step in trainer.fit():
        watch.show(step)
        if watch.is_stopped() and not trainer.is_over:
            _keep(trainer, watch, start)
            raise Interrupted(_farewell(step, watch))
        if watch.clock() - kept > SAVE_EVERY:
            _keep(trainer, watch, start)
            kept = watch.clock()
    # What comes after may fail, on a full disk for one; then the training at least is not lost.
    _keep(trainer, watch, start)
    return watch.clock() - start


def _restore(trainer: Trainer, saved: Saved) -> None:
    """Put the kept state back. Raises `TrainingError` where it does not fit."""
    try:
        trainer.load_state(saved.tensors)
    except (KeyError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"The state of the interrupted run does not fit ({error}); leave out --resume to start anew."
        ) from error


def _keep(trainer: Trainer, watch: Watch, start: float) -> None:
    if watch.state is not None:
        watch.state.save(Saved(trainer.step, watch.clock() - start, trainer.state()))


def _farewell(step: Step, watch: Watch) -> str:
    lead = f"Stopped after step {step.step:,} of {step.total:,}; nothing was published."
    if watch.state is None:
        return lead
    return f"{lead} The same command with --resume goes on from here (state in {watch.state.folder})."
