"""The bigram by counting: the closed form that gradient descent on the same network approaches."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from models.config import ModelConfig
from models.errors import ConfigError
from models.networks.architectures import Network, build_model
from models.vocabulary import END, Vocabulary


def count_bigrams(names: Iterable[str], vocabulary: Vocabulary, weights: Sequence[float] | None = None) -> Tensor:
    """Return N (V, V): how often character j follows i, int64. Index 0 is the start and the end of a name.

    With `weights`, each name counts by its share of them, as if as many names were drawn in proportion to them
    (float64).
    """
    pairs: list[int] = []
    size, lengths = len(vocabulary), list[int]()
    for name in names:
        indices = [END, *vocabulary.encode(name), END]
        pairs += [i * size + j for i, j in pairwise(indices)]
        lengths.append(len(indices) - 1)
    each = None
    if weights is not None:
        shares = torch.tensor(weights, dtype=torch.float64)
        each = (shares * len(shares) / shares.sum()).repeat_interleave(torch.tensor(lengths))
    counts = torch.bincount(torch.tensor(pairs, dtype=torch.int64), each, minlength=size * size)
    return counts.view(size, size)


def bigram_by_counting(
    names: Iterable[str], vocabulary: Vocabulary, smoothing: float, weights: Sequence[float] | None = None
) -> Network:
    """Return the bigram network with the probabilities (N + smoothing) / row sum (Laplace; Lidstone).

    `weights`: see `count_bigrams`. Raises `ConfigError` unless the smoothing is above 0, because unseen pairs would
    have the logarithm of 0.
    """
    if not smoothing > 0:
        raise ConfigError(f"smoothing is {smoothing}; it must be above 0.", field="smoothing", allowed="above 0")
    network = build_model(ModelConfig(architecture="bigram", block_size=1), len(vocabulary), torch.Generator())
    P = count_bigrams(names, vocabulary, weights).double() + smoothing
    network.load_state_dict({"embedding.weight": (P / P.sum(1, keepdim=True)).log().float()})
    return network
