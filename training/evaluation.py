"""The loss of names and of the parts of a split, in nats per character."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from data import Split
from models import Vocabulary
from models.networks import Network
from training.dataset import Examples, Predictor


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy of each row in nats: logits (N, V) -> (N,).

    `targets` are characters (N,) int64, for which it is -log softmax(logits)[target], or probabilities (N, V) of a
    teacher.
    """
    log_probs = torch.log_softmax(logits, dim=1)
    if targets.dtype.is_floating_point:
        return -(targets * log_probs).sum(1)
    return -log_probs.gather(1, targets[:, None])[:, 0]


# Names per chunk: some ten thousand rows, a few MB of activations.
CHUNK = 1024


def name_losses(network: Predictor, examples: Examples, device: torch.device | str = "cpu") -> Tensor:
    """Return each whole name's negative log-likelihood in nats, end token included.

    Shape (names,), float64.

    The network stays in evaluation mode.
    """
    network.eval()
    with torch.no_grad():
        return torch.cat(list(_chunks(network, examples, device)))


def _chunks(network: Predictor, examples: Examples, device: torch.device | str) -> Iterator[Tensor]:
    for first in range(0, len(examples), CHUNK):
        which = torch.arange(first, min(first + CHUNK, len(examples)))
        batch = examples.names_at(which, device)
        losses = cross_entropy(batch.logits(network), batch.targets).cpu().double()
        owner = torch.arange(len(which)).repeat_interleave(examples.lengths[which])
        yield torch.zeros(len(which), dtype=torch.float64).index_add_(0, owner, losses)


def mean_loss(network: Predictor, examples: Examples, device: torch.device | str = "cpu") -> float:
    """Return the loss over all characters of all names. The network stays in evaluation mode."""
    return float(name_losses(network, examples, device).sum() / examples.lengths.sum())


def split_losses(
    network: Network, split: Split, vocabulary: Vocabulary, device: torch.device | str = "cpu"
) -> dict[str, float]:
    """Return the loss on train, dev and test."""
    parts: Mapping[str, Sequence[str]] = {"train": split.train, "dev": split.dev, "test": split.test}
    return {part: mean_loss(network, Examples.of(names, vocabulary), device) for part, names in parts.items()}
