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

    Where characters have several code points, what smoothing adds to a row is divided as pairs of code points are.
    `weights`: see `count_bigrams`. Raises `ConfigError` unless the smoothing is above 0, because unseen pairs would
    have the logarithm of 0.
    """
    if not smoothing > 0:
        raise ConfigError(f"smoothing is {smoothing}; it must be above 0.", field="smoothing", allowed="above 0")
    network = build_model(ModelConfig(architecture="bigram", block_size=1), len(vocabulary), torch.Generator())
    N = count_bigrams(names, vocabulary, weights).double()
    P = N + smoothing * (len(vocabulary) * _by_code_points(N, vocabulary, smoothing) if vocabulary.clustered else 1)
    network.load_state_dict({"embedding.weight": (P / P.sum(1, keepdim=True)).log().float()})
    return network


def _by_code_points(N: Tensor, vocabulary: Vocabulary, smoothing: float) -> Tensor:
    """Return the probabilities (V, V) that pairs of code points give each character after another.

    Pairs within a character, its end included, and pairs across two of them are counted apart, from N (V, V).
    """
    letters = Vocabulary.of(vocabulary.characters)
    spelled = [[END], *map(letters.encode, vocabulary.characters)]
    first, last = torch.tensor([s[0] for s in spelled]), torch.tensor([s[-1] for s in spelled])
    across, within = torch.zeros(2, len(letters), len(letters), dtype=N.dtype)
    across.index_put_((last[:, None].expand_as(N), first.expand_as(N)), N, accumulate=True)
    steps = [(i, a, b) for i, s in enumerate(spelled) for a, b in pairwise([*s, END])]
    of, here, there = torch.tensor(steps).T
    within.index_put_((here, there), N.sum(0)[of], accumulate=True)
    across, within = (((T + smoothing) / (T + smoothing).sum(1, keepdim=True)).log() for T in (across, within))
    inside = torch.zeros(len(spelled), dtype=N.dtype).index_add_(0, of, within[here, there])
    logs: Tensor = across[last][:, first] + inside
    return logs.softmax(1)
