"""Choose the model of a short list by cross-validation: a fine-tuned shipped version, or counts of pairs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from models import Kernels, ModelRegistry
from models.networks import Network, bigram_by_counting, build_model
from training.config import load_config
from training.dataset import Examples
from training.evaluation import mean_loss, name_losses
from training.pretrained import load_start
from training.publishing import QUANTIZED
from training.run import Job
from training.trainer import Trainer, make_batches
from training.transfer import copy_weights

# With more names, training from random weights finds more than a few dozen steps do.
SHORT_LIST = 500
FOLDS = 5
# Steps of fine-tuning in each fold, and those between two looks at the held-out names.
STEPS, EVERY = 80, 5
# Shipped versions that are tried, of those that find the list likeliest as they are.
STARTS = 2
FINE_TUNE, COUNTS = "lstm-fine-tune", "bigram"
# Added to each count: of 0.01, 0.1, 0.3 and 1, the best on held-out names of lists of 60 to 600 names.
SMOOTHING = 0.3


@dataclass(frozen=True)
class Candidate:
    """One way to model a short list. `loss`: nats per character of held-out names, the end of a name included.

    `seen`: how many of these names the version has learned before, which makes its loss look too good.
    """

    job: Job
    loss: float
    seen: int = 0

    def __str__(self) -> str:
        """Return what it is and its loss, in one line."""
        if self.job.start is None:
            return f"counts of pairs of characters: {self.loss:.4f}"
        known = f" (it had seen {self.seen} of these names)" if self.seen else ""
        return f"{self.job.start.name}, fine-tuned for {self.job.config.steps} steps: {self.loss:.4f}{known}"


def candidates(job: Job, kernels: Kernels, on_progress: Callable[[int, int], None]) -> list[Candidate]:
    """Return the ways to model the list of `job` with their losses in cross-validation, the best one first.

    The folds divide the train and dev names. `on_progress` receives the folds done and their total. The seeds are those
    of `job`.
    """
    names = [*job.corpus.split.train, *job.corpus.split.dev]
    jobs = [_counting(job), *_fine_tuning(job, kernels)]
    # A shipped version knows the names of its own list; where it knows all of these, they have to do.
    known = frozenset[str]().union(*(each.start.names for each in jobs if each.start))
    known = frozenset() if known.issuperset(names) else known
    found = []
    for i, each in enumerate(jobs):
        nats, characters = np.zeros(1), 0
        for k in range(FOLDS):
            held_out = [name for name in names[k::FOLDS] if name not in known]
            if held_out:
                train = [name for j, name in enumerate(names) if j % FOLDS != k]
                nats = nats + _losses(each, train, held_out)
                split = each.corpus.vocabulary.split
                characters += sum(len(split(name)) + 1 for name in held_out)
            on_progress(i * FOLDS + k + 1, len(jobs) * FOLDS)
        best = int(nats.argmin())
        steps = {"steps": (best + 1) * EVERY} if each.start else {}
        chosen = replace(each, config=each.config.model_copy(update=steps))
        seen = len(each.start.names.intersection(names) - known) if each.start else 0
        found.append(Candidate(chosen, float(nats[best]) / characters, seen))
    return sorted(found, key=lambda candidate: candidate.loss)


def comparison(found: Sequence[Candidate]) -> list[str]:
    """Return lines for the card: what was compared, the best first."""
    return [f"Held-out names in {FOLDS}-fold cross-validation, {candidate}" for candidate in found]


def _counting(job: Job) -> Job:
    seeds = {"seed": job.config.seed, "split_seed": job.config.split_seed}
    config = load_config(COUNTS, job.corpus.dataset, {**seeds, "smoothing": SMOOTHING})
    return replace(job, config=config, preset=COUNTS)


def _fine_tuning(job: Job, kernels: Kernels) -> list[Job]:
    """Return jobs that start from shipped LSTMs: the newest of one layer of each list, of them the best `STARTS`."""
    registry = ModelRegistry.open(kernels)
    newest = dict[str, str]()
    for version in registry.versions():
        model = version.manifest.config
        if (model.architecture, model.n_layers) == ("lstm", 1) and QUANTIZED not in version.manifest.training:
            newest[version.dataset] = version.reference
    seeds = {"seed": job.config.seed, "split_seed": job.config.split_seed}
    preset = load_config(FINE_TUNE, job.corpus.dataset, {**seeds, "steps": STEPS, "eval_every": STEPS})
    jobs = []
    for reference in newest.values():
        start, config = load_start(reference, registry, preset)
        jobs.append(replace(job, config=config, preset=FINE_TUNE, start=start))
    examples = Examples.of(job.corpus.names, job.corpus.vocabulary)
    return sorted(jobs, key=lambda each: mean_loss(_started(each, torch.Generator().manual_seed(0)), examples))[:STARTS]


def _started(job: Job, generator: torch.Generator) -> Network:
    """Return a network over the list's alphabet with the weights that the job starts from."""
    network = build_model(job.config.model, len(job.corpus.vocabulary), generator)
    if job.start is not None:
        copy_weights(network, job.corpus.vocabulary, job.start)
    return network


def _losses(job: Job, train: Sequence[str], held_out: Sequence[str]) -> NDArray[np.float64]:
    """Return the nats of the held-out names after counting (1,), or after each `EVERY` steps of fine-tuning."""
    corpus, config = job.corpus, job.config
    vocabulary, weights = corpus.vocabulary, corpus.weights_of(train)
    examples = Examples.of(held_out, vocabulary)
    if job.start is None:
        network = bigram_by_counting(train, vocabulary, config.smoothing, weights)
        return np.array([float(name_losses(network, examples).sum())])
    generator = torch.Generator().manual_seed(config.seed)
    network = _started(job, generator)
    given = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    rows = Examples.of(train, vocabulary)
    trainer = Trainer(
        network, config, rows, examples, generator, batches=make_batches(config, rows, generator, "cpu", given)
    )
    curve = []
    while not trainer.is_over:
        trainer.learn(config.learning_rate)
        if trainer.step % EVERY == 0:
            curve.append(float(name_losses(network, examples).sum()))
    return np.array(curve)
