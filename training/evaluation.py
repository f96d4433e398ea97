"""The loss of names and of the parts of a split, in nats per character."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from data import Split
from models import Vocabulary
from models.networks import Network
from training.dataset import Examples, Predictor
from training.styles import StyleTable


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
# The most names of a part that its loss is measured on: the standard error is then below 0.003 nats a character.
MOST_NAMES = 30_000


def measured(split: Split) -> Split:
    """Return the names of each part that losses are measured on: all, or the first of them, as parts are shuffled."""
    return Split(split.train[:MOST_NAMES], split.dev[:MOST_NAMES], split.test[:MOST_NAMES])


def name_losses(
    network: Predictor,
    examples: Examples,
    device: torch.device | str = "cpu",
    on_progress: Callable[[int], None] = lambda done: None,
    styles: StyleTable | None = None,
) -> Tensor:
    """Return each whole name's negative log-likelihood in nats, end token included: (names,) float64.

    The network stays in evaluation mode. `on_progress` receives the number of names done. With `styles` each name has
    the values of its heaviest row.
    """
    network.eval()
    with torch.no_grad():
        return torch.cat(list(_chunks(network, examples, device, on_progress, styles)))


def _chunks(
    network: Predictor,
    examples: Examples,
    device: torch.device | str,
    on_progress: Callable[[int], None],
    styles: StyleTable | None,
) -> Iterator[Tensor]:
    for first in range(0, len(examples), CHUNK):
        on_progress(first)
        which = torch.arange(first, min(first + CHUNK, len(examples)))
        batch = examples.names_at(which, device, None if styles is None else styles.likeliest(which))
        losses = cross_entropy(batch.logits(network), batch.targets).cpu().double()
        owner = torch.arange(len(which)).repeat_interleave(examples.lengths[which])
        yield torch.zeros(len(which), dtype=torch.float64).index_add_(0, owner, losses)


def mean_loss(
    network: Predictor, examples: Examples, device: torch.device | str = "cpu", styles: StyleTable | None = None
) -> float:
    """Return the loss over all characters of all names, as `name_losses` has it."""
    return float(name_losses(network, examples, device, styles=styles).sum() / examples.lengths.sum())


def split_losses(
    network: Network,
    split: Split,
    vocabulary: Vocabulary,
    device: torch.device | str = "cpu",
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, float]:
    """Return the losses on the `measured` names of train, dev and test. `on_progress`: names done, and their total."""
    part = measured(split)
    parts: Mapping[str, Sequence[str]] = {"train": part.train, "dev": part.dev, "test": part.test}
    total, losses, before = sum(map(len, parts.values())), dict[str, float](), 0
    for name, names in parts.items():
        examples = Examples.of(names, vocabulary)
        nats = name_losses(network, examples, device, partial(_shift, on_progress, before, total))
        losses[name] = float(nats.sum() / examples.lengths.sum())
        before += len(names)
    on_progress(total, total)
    return losses


def _shift(on_progress: Callable[[int, int], None], before: int, total: int, done: int) -> None:
    on_progress(before + done, total)
