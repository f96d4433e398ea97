"""The same network from different beginnings: what its first guess costs, how many of its outputs are stuck, how well
it has learned after a short run. Numbers only; `starts_plot` draws them, `starts_command` prints them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from models.networks import BatchNorm1d, Network, build_model
from training.config import TrainingConfig
from training.corpus import Corpus
from training.dataset import Examples
from training.inside.diagnostics import SATURATED, Snapshot, Unnormalised, first_batch, named_matrices, snapshot
from training.trainer import Step, Trainer

# Names that are looked at before the first step.
LOOKED_AT = 256


@dataclass(frozen=True)
class Start:
    """A way to begin. `wide`: hidden weights as unit normals instead of Kaiming's; `sure`: those of the logits, too;
    `normalised`: with BatchNorm.
    """

    name: str
    wide: bool
    sure: bool
    normalised: bool


STARTS = (
    Start("all weights unit normal", wide=True, sure=True, normalised=False),
    Start("small logits", wide=True, sure=False, normalised=False),
    Start("Kaiming", wide=False, sure=False, normalised=False),
    Start("unit normal and BatchNorm", wide=True, sure=False, normalised=True),
    Start("Kaiming and BatchNorm", wide=False, sure=False, normalised=True),
)


@dataclass(frozen=True)
class Result:
    """What became of a start: the batch seen before the first step, the losses of all steps, the dev loss at the
    end.
    """

    start: Start
    shot: Snapshot
    losses: Sequence[float]
    dev: float

    @property
    def saturated(self) -> float:
        """The share of saturated outputs in the layer that has most of them."""
        return max((a.share for a in self.shot.activations if a.share is not None), default=0.0)


def begin_as(network: Network, start: Start) -> None:
    """Make a fresh network of this house, which begins as Kaiming and BatchNorm say, begin as `start`; in place."""
    layers = network.layers.layers
    for name, layer in layers.items():
        if isinstance(layer, BatchNorm1d) and not start.normalised:
            layers[name] = Unnormalised(layer)
    with torch.no_grad():
        for name, matrix in named_matrices(network).items():
            if (start.wide and name.startswith("linear")) or (start.sure and name.startswith("output")):
                matrix.div_(matrix.std())


def try_starts(
    config: TrainingConfig, corpus: Corpus, show: Callable[[Step], None], starts: Sequence[Start] = STARTS
) -> list[Result]:
    """Return what became of each of `starts`, all from the same random numbers and over the same batches."""
    train, dev = (Examples.of(names, corpus.vocabulary) for names in (corpus.split.train, corpus.split.dev))
    batch = first_batch(train, LOOKED_AT, config.seed)
    results = []
    for start in starts:
        generator = torch.Generator().manual_seed(config.seed)
        network = build_model(config.model, len(corpus.vocabulary), generator)
        begin_as(network, start)
        shot = snapshot(network, batch)
        trainer = Trainer(network, config, train, dev, generator)
        for step in trainer.fit():
            show(step)
        results.append(Result(start, shot, trainer.history.losses, trainer.best_loss))
    return results


def even_guess(vocab_size: int) -> float:
    """Return the loss of a guess that finds every character as likely: ln V."""
    return math.log(vocab_size)


def saturated_share(spread: float) -> float:
    """Return how much of a normal distribution with this standard deviation a tanh saturates: P(|tanh z| > 0.97)."""
    return math.erfc(math.atanh(SATURATED) / (spread * math.sqrt(2)))
