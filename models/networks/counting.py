"""The bigram by counting: the closed form that gradient descent on the same network approaches."""

from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor

from models.config import ModelConfig
from models.errors import ConfigError
from models.networks.architectures import Network, build_model
from models.vocabulary import END, Vocabulary


def count_bigrams(names: Iterable[str], vocabulary: Vocabulary) -> Tensor:
    """Return N (V, V) int64: how often character j follows i. Index 0 is the start and the end of a name."""
    pairs: list[int] = []
    size = len(vocabulary)
    for name in names:
        indices = [END, *vocabulary.encode(name), END]
        pairs += [i * size + j for i, j in pairwise(indices)]
    return torch.bincount(torch.tensor(pairs, dtype=torch.int64), minlength=size * size).view(size, size)


def bigram_by_counting(names: Iterable[str], vocabulary: Vocabulary, smoothing: float) -> Network:
    """Return the bigram network with the probabilities (N + smoothing) / row sum (Laplace; Lidstone).

    Raises `ConfigError` unless the smoothing is above 0, because unseen pairs would have the logarithm of 0.
    """
    if not smoothing > 0:
        raise ConfigError(f"smoothing is {smoothing}; it must be above 0.", field="smoothing", allowed="above 0")
    network = build_model(ModelConfig(architecture="bigram", block_size=1), len(vocabulary), torch.Generator())
    P = count_bigrams(names, vocabulary).double() + smoothing
    network.load_state_dict({"embedding.weight": (P / P.sum(1, keepdim=True)).log().float()})
    return network
