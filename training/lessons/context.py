"""How much it helps to see further back: a tree that joins neighbours two by two, beside a flat network that joins
them all at once and learns as many numbers. Numbers only; `context_plot` draws them, `context_command` prints them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from models import ModelConfig
from models.networks import build_model
from training.config import TrainingConfig
from training.corpus import Corpus
from training.dataset import Examples
from training.trainer import Step, Trainer

TREE, FLAT = "tree", "flat"
BLOCK_SIZES = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class Sight:
    """A network to compare: what it is called, the characters it sees, and its shape."""

    kind: str
    config: ModelConfig

    @property
    def block_size(self) -> int:
        """How many characters it sees."""
        return self.config.block_size


@dataclass(frozen=True)
class Reached:
    """What a network reached: the numbers it learned, and its lowest dev loss in nats per character."""

    sight: Sight
    parameters: int
    dev: float


def sights(shape: ModelConfig, vocab_size: int) -> Iterator[Sight]:
    """Yield the networks to compare, shortest sight first.

    With one character there is nothing to join, and two joined are both a tree and flat: there is one network each.
    """
    for block_size in BLOCK_SIZES:
        tree = shape.model_copy(update={"architecture": "wavenet", "block_size": block_size})
        flat = shape.model_copy(update={"architecture": "mlp", "block_size": block_size, "n_layers": 1})
        if block_size == 1:
            yield Sight(FLAT, flat)
            continue
        yield Sight(TREE, tree)
        if block_size > 2:
            width = flat_width(parameters_of(tree, vocab_size), flat, vocab_size)
            yield Sight(FLAT, flat.model_copy(update={"n_hidden": width}))


def parameters_of(config: ModelConfig, vocab_size: int) -> int:
    """Return how many numbers a network of this shape learns."""
    return build_model(config, vocab_size, torch.Generator()).parameter_count


def flat_width(parameters: int, flat: ModelConfig, vocab_size: int) -> int:
    """Return the n_hidden with which an mlp of one hidden layer learns as many numbers, as nearly as can be.

    It learns V C + T C H for the hidden layer, 2 H for its BatchNorm, H V + V for the logits: solved for H.
    """
    V, C, T = vocab_size, flat.n_embd, flat.block_size
    return round((parameters - V * C - V) / (T * C + 2 + V))


def compare(
    config: TrainingConfig, corpus: Corpus, show: Callable[[Step], None], networks: list[Sight]
) -> list[Reached]:
    """Return what each network reached, trained alike: the same batches, the same steps."""
    train, dev = (Examples.of(names, corpus.vocabulary) for names in (corpus.split.train, corpus.split.dev))
    reached = []
    for sight in networks:
        generator = torch.Generator().manual_seed(config.seed)
        network = build_model(sight.config, len(corpus.vocabulary), generator)
        # The weights took different numbers of random numbers: the batches begin anew.
        generator.manual_seed(config.seed)
        trainer = Trainer(network, config.model_copy(update={"model": sight.config}), train, dev, generator)
        for step in trainer.fit():
            show(step)
        reached.append(Reached(sight, network.parameter_count, trainer.best_loss))
    return reached
