"""Two trainings from the same start on the same batches: one whose every gradient is found by hand, one with autograd.
Nothing is printed here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from models.networks import Network, build_model
from training.backprop import backward, forward
from training.backprop_check import named_parameters
from training.config import TrainingConfig
from training.corpus import Corpus
from training.dataset import Batch, Examples, Windows
from training.loss import cross_entropy
from training.trainer import Step, Trainer

Kind = TypeVar("Kind", bound=Trainer)


class HandTrainer(Trainer):
    """A trainer whose gradients come from `backprop` alone; everything else is as in any other."""

    @torch.no_grad()
    def gradients_of(self, batch: Batch) -> tuple[Tensor, Sequence[Tensor]]:
        """Return the loss of `batch` and the gradient of each parameter. Raises `TypeError` for whole names: by hand it
        goes over windows only.
        """
        if not isinstance(batch, Windows):
            raise TypeError("The backward pass by hand is for batches of windows.")
        outputs = forward(self.network.layers, batch.X)
        *_, logits = outputs.values()
        gradients = backward(self.network.layers, batch.X, outputs, batch.targets).parameters
        loss = cross_entropy(logits, batch.targets).mean()
        return loss, [gradients[name] + self._pull(p) for name, p in named_parameters(self.network).items()]

    def _pull(self, parameter: Tensor) -> Tensor | float:
        """Return the gradient of the penalty: l2 times the mean square of a matrix."""
        return 2 * self.config.l2 * parameter / parameter.numel() if parameter.dim() > 1 else 0.0


@dataclass(frozen=True)
class StepPair:
    """One step of both. `apart`: the largest difference between a weight of the one and the same of the other."""

    by_hand: Step
    by_autograd: Step
    apart: float


def start(config: TrainingConfig, corpus: Corpus, dtype: torch.dtype) -> tuple[HandTrainer, Trainer]:
    """Return both trainers at the same start, with generators of their own in the same state."""
    return _trainer(HandTrainer, config, corpus, dtype), _trainer(Trainer, config, corpus, dtype)


def _trainer(kind: type[Kind], config: TrainingConfig, corpus: Corpus, dtype: torch.dtype) -> Kind:
    generator = torch.Generator().manual_seed(config.seed)
    network = build_model(config.model, len(corpus.vocabulary), generator)
    set_precision(network, dtype)
    train, dev = (Examples.of(names, corpus.vocabulary) for names in (corpus.split.train, corpus.split.dev))
    return kind(network, config, train, dev, generator)


def set_precision(network: Network, dtype: torch.dtype) -> None:
    """Turn every array of the network into numbers of `dtype`, in place; parameters stay leaves that are learned."""
    for layer in network.layers.layers.values():
        for key, array in layer.arrays().items():
            setattr(layer, key, array.detach().to(dtype).requires_grad_(array.requires_grad))


def race(by_hand: Trainer, by_autograd: Trainer, show: Callable[[Step], None]) -> Iterator[StepPair]:
    """Train both to the end, a step of the one and a step of the other. Raises `TrainingError` as `Trainer.fit`."""
    for one, other in zip(by_hand.fit(), by_autograd.fit(), strict=True):
        pairs = zip(by_hand.parameters, by_autograd.parameters, strict=True)
        apart = max(float((mine - theirs).detach().abs().max()) for mine, theirs in pairs)
        show(one)
        yield StepPair(one, other, apart)
