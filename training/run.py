"""One training run: from a list and hyperparameters to a trained network with its losses.

A callback receives each step. A stop request saves the state and ends the run. This module prints and publishes
nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from models import Kernels
from models.networks import Network, bigram_by_counting, folded
from training.config import TrainingConfig
from training.corpus import Corpus
from training.dataset import Batches, Examples
from training.distillation import (
    SAMPLED_NAMES,
    Ensemble,
    SoftTargetBatches,
    label_names,
    sample_names,
    sample_styled,
    scaled_styles,
    teacher_generator,
)
from training.errors import Interrupted, TrainingError
from training.evaluation import mean_loss, measured, split_losses
from training.progress import Clock
from training.run_state import RunState, Saved
from training.trainer import History, Step, Trainer, learned_styles, new_trainer, style_table
from training.transfer import WarmStart

# The loss on the dev names, each with its values of styles.
STYLED_DEV = "dev with styles"
# Seconds between two saved states: the most that a power cut can lose.
SAVE_EVERY = 60.0


@dataclass(frozen=True)
class Distillation:
    """The teachers, by name and as networks in evaluation mode, and how many names each of them samples."""

    names: tuple[str, ...]
    networks: tuple[Network, ...]
    kernels: Kernels
    sample_count: int = SAMPLED_NAMES


@dataclass(frozen=True)
class Job:
    """A training job: corpus, hyperparameters, device, and optional pretrained models.

    `start` gives the initial weights. With a `distillation`, the targets are its teachers' predictions.
    """

    corpus: Corpus
    config: TrainingConfig
    preset: str
    device: torch.device
    distillation: Distillation | None = None
    start: WarmStart | None = None

    def origin(self) -> dict[str, str]:
        """Return the pretrained versions that the run uses, as a manifest stores them."""
        start = {"start": self.start.name} if self.start else {}
        return start | ({"teachers": ", ".join(self.distillation.names)} if self.distillation else {})


@dataclass(frozen=True)
class RunCallbacks:
    """Callbacks of a run, its clock, and the place of its saved state.

    `on_step` receives each step, `log` a line of text, and `on_progress(what, done, total)` the progress of work before
    the first step or after the last one. `is_stopped` returns whether to stop. With `resume` the run goes on from its
    saved state, and with `finish` it ends there, with the best weights so far.
    """

    on_step: Callable[[Step], None]
    is_stopped: Callable[[], bool]
    clock: Clock
    state: RunState | None = None
    resume: bool = False
    finish: bool = False
    log: Callable[[str], None] = lambda line: None
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None


@dataclass(frozen=True)
class RunResult:
    """A finished run. The network is on the CPU, in evaluation mode; `losses` has train, dev and test.

    Where the network learned styles, it has `STYLED_DEV` as well.
    """

    job: Job
    network: Network
    losses: dict[str, float]
    history: History
    best_step: int
    seconds: float


def run(job: Job, callbacks: RunCallbacks) -> RunResult:
    """Train to the end.

    Raises `TrainingError`, or `Interrupted` after a stop request, with the state saved.
    """
    if job.config.method == "counting":
        return _count(job, callbacks)
    # Load the state first: a state of another run fails before the teachers work for minutes.
    saved = callbacks.state.load() if callbacks.state is not None and callbacks.resume else None
    batches = None if job.distillation is None else _soft_target_batches(job, job.distillation, callbacks)
    trainer = new_trainer(job.config, job.corpus, job.device, job.start, batches)
    if saved is not None:
        _restore(trainer, saved)
    if callbacks.finish and saved is not None:
        trainer.finish()
        seconds = saved.seconds
    else:
        seconds = _drive(trainer, callbacks, saved.seconds if saved else 0.0)
    network = folded(trainer.network, len(job.corpus.vocabulary), len(learned_styles(job.config, job.corpus)))
    # A student has learned from teachers whose styles are scaled already.
    network = network if job.distillation else scaled_styles(network, job.config.style_scale)
    network.to(job.device)
    losses = split_losses(
        network, job.corpus.split, job.corpus.vocabulary, job.device, partial(callbacks.on_progress, "losses")
    )
    losses |= _styled_loss(job, network)
    network.to("cpu")
    return RunResult(job, network, losses, trainer.history, trainer.best_step, seconds)


def _styled_loss(job: Job, network: Network) -> dict[str, float]:
    """Return the loss on the dev names where the values of styles are known, if the network learned any."""
    names = measured(job.corpus.split).dev
    table = style_table(job.config, job.corpus, names)
    if table is None:
        return {}
    return {STYLED_DEV: mean_loss(network, Examples.of(names, job.corpus.vocabulary), job.device, table)}


def _soft_target_batches(job: Job, distillation: Distillation, callbacks: RunCallbacks) -> Batches:
    """Return batches of the list and of sampled names, labelled by the teachers.

    Raises `Interrupted` after a stop request.
    """
    corpus, seed = job.corpus, job.config.seed
    longest = corpus.vocabulary.longest(corpus.names, max(map(len, corpus.names)))
    names = list(corpus.split.train)
    generator = torch.Generator().manual_seed(seed)
    table = style_table(job.config, corpus, names)
    values: list[Tensor] = []
    teachers = [scaled_styles(teacher, job.config.style_scale) for teacher in distillation.networks]
    if table is not None:
        # Each name once with some of its values, and once without any.
        drawn = table.draw(torch.arange(len(names)), job.config.style_dropout, generator)
        names, values = [*names, *names], [drawn, torch.zeros_like(drawn)]
    for i, teacher in enumerate(teachers):
        callbacks.log(f"{distillation.names[i]} invents {distillation.sample_count:,} names")
        stream = seed * len(distillation.networks) + i
        learned = learned_styles(job.config, corpus)
        source = teacher_generator(teacher, corpus.vocabulary, longest, distillation.kernels, learned)
        if table is None:
            names += sample_names(source, distillation.sample_count, stream)
            continue
        which = torch.randint(len(corpus.split.train), (distillation.sample_count,), generator=generator)
        some, styles = sample_styled(source, table.draw(which, job.config.style_dropout, generator), stream)
        names, values = [*names, *some], [*values, styles]
    callbacks.log(f"the teachers say what they think of {len(names):,} names")

    def on_progress(done: int, total: int) -> None:
        callbacks.on_progress("labelling", done, total)
        if callbacks.is_stopped():
            raise Interrupted("Stopped before the first step; nothing was kept.")

    labelled = label_names(
        names, corpus.vocabulary, Ensemble(teachers), on_progress, torch.cat(values) if values else None
    )
    return SoftTargetBatches(labelled, job.config.batch_size, generator, job.device)


def _count(job: Job, callbacks: RunCallbacks) -> RunResult:
    split, vocabulary = job.corpus.split, job.corpus.vocabulary
    start = callbacks.clock()
    network = bigram_by_counting(split.train, vocabulary, job.config.smoothing, job.corpus.weights_of(split.train))
    losses = split_losses(network, split, vocabulary)
    return RunResult(job, network, losses, History(), 0, callbacks.clock() - start)


def _drive(trainer: Trainer, callbacks: RunCallbacks, before: float) -> float:
    """Run the trainer to its end. Return the seconds it took, including those `before` an interruption."""
    start = callbacks.clock() - before
    kept = callbacks.clock()
    for step in trainer.fit():
        callbacks.on_step(step)
        if callbacks.is_stopped() and not trainer.is_over:
            _keep(trainer, callbacks, start)
            raise Interrupted(_interruption_message(step, trainer, callbacks))
        if callbacks.clock() - kept > SAVE_EVERY:
            _keep(trainer, callbacks, start)
            kept = callbacks.clock()
    # Later steps may fail, for example on a full disk; the training is not lost then.
    _keep(trainer, callbacks, start)
    return callbacks.clock() - start


def _restore(trainer: Trainer, saved: Saved) -> None:
    """Restore the saved state. Raises `TrainingError` if it does not fit."""
    try:
        trainer.load_state(saved.tensors)
    except (KeyError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"The state of the interrupted run does not fit ({error}); leave out --resume to start again."
        ) from error


def _keep(trainer: Trainer, callbacks: RunCallbacks, start: float) -> None:
    if callbacks.state is not None:
        callbacks.state.save(Saved(trainer.step, callbacks.clock() - start, trainer.state()))


def _interruption_message(step: Step, trainer: Trainer, callbacks: RunCallbacks) -> str:
    lead = f"Stopped after step {step.step:,} of {step.total:,}; nothing was published."
    if callbacks.state is None:
        return lead
    more = f"{lead} The same command with --resume continues from here (state in {callbacks.state.folder})."
    if trainer.best_step:
        more += f" With --publish it publishes the best weights so far: dev loss {trainer.best_loss:.4f} after step "
        more += f"{trainer.best_step:,}."
    return more
