"""The bigram reached two ways: counts by brute force, and gradient descent that meets them."""

import itertools
import os
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models import ConfigError, ModelConfig, Vocabulary
from models.networks import Network, bigram_by_counting, build_model, count_bigrams
from training.dataset import Examples
from training.evaluation import mean_loss

NAMES = ("ada", "bob", "cab", "dab", "abba", "ababa", "cadd")


def test_counts_are_those_of_a_plain_loop() -> None:
    """Every pair of neighbours, start and end included, is counted once."""
    vocabulary = Vocabulary.of(NAMES)
    expected = Counter(pair for name in NAMES for pair in itertools.pairwise(f".{name}."))
    counts = count_bigrams(NAMES, vocabulary)
    symbols = vocabulary.itos
    assert {(symbols[i], symbols[j]): int(counts[i, j]) for i, j in counts.nonzero().tolist()} == dict(expected)


@pytest.mark.parametrize("smoothing", [0.01, 1.0, 5.0])
def test_probabilities_are_smoothed_shares(smoothing: float) -> None:
    """Row i is (N + smoothing) / sum, and sums to 1."""
    vocabulary = Vocabulary.of(NAMES)
    table = bigram_by_counting(NAMES, vocabulary, smoothing).to_arrays()["embedding.weight"]
    counts = count_bigrams(NAMES, vocabulary).double() + smoothing
    expected = counts / counts.sum(1, keepdim=True)
    torch.testing.assert_close(torch.from_numpy(table).double().exp(), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, -1.0, float("nan")])
def test_smoothing_must_be_positive(smoothing: float) -> None:
    """Without smoothing an unseen pair would have no logarithm: refused."""
    with pytest.raises(ConfigError):
        bigram_by_counting(NAMES, Vocabulary.of(NAMES), smoothing)


def descend(names: tuple[str, ...], vocabulary: Vocabulary, l2: float, steps: int, rate: float) -> Network:
    """The same network by full-batch gradient descent on the loss plus l2 times the mean square of its table."""
    network = build_model(ModelConfig(architecture="bigram", block_size=1), len(vocabulary), torch.Generator())
    rows = Examples.of(names, vocabulary).rows
    (table,) = network.parameters()
    for _ in range(steps):
        logits = network.names(rows.ids, rows.positions)
        loss = torch.nn.functional.cross_entropy(logits, rows.targets) + l2 * table.square().mean()
        (gradient,) = torch.autograd.grad(loss, [table])
        with torch.no_grad():
            table -= rate * gradient
    return network


def shares(network: Network) -> Tensor:
    """The table of probabilities."""
    return torch.from_numpy(network.to_arrays()["embedding.weight"]).softmax(1)


def test_gradient_descent_meets_the_counts() -> None:
    """Descent comes within 0.001 nats of the counted table with hardly any smoothing, which is the optimum, and never
    below.
    """
    vocabulary = Vocabulary.of(NAMES)
    examples = Examples.of(NAMES, vocabulary)
    best = mean_loss(bigram_by_counting(NAMES, vocabulary, 1e-6), examples)
    found = mean_loss(descend(NAMES, vocabulary, 0.0, 4000, 5.0), examples)
    assert best - 1e-6 <= found <= best + 0.001


def test_l2_pulls_as_smoothing_does() -> None:
    """L2 brings descent to where smoothing brings counting: the more L2, the more smoothing it amounts to, the nearer
    to even; and some smoothed table is always at most half as far away as the plain counts.
    """
    vocabulary = Vocabulary.of(NAMES)
    smoothings = [10 ** (i / 10) for i in range(-30, 21)]
    smoothed = torch.stack([shares(bigram_by_counting(NAMES, vocabulary, s)) for s in smoothings])
    to_even = [float((table - 1 / len(vocabulary)).abs().sum()) for table in smoothed]
    assert to_even == sorted(to_even, reverse=True)
    amounts, distances = [], []
    for l2 in (0.01, 0.1, 1.0, 10.0):
        found = shares(descend(NAMES, vocabulary, l2, 2000, 1.0))
        away = (smoothed - found).abs().sum((1, 2))
        assert float(away.min()) < 0.5 * float(away[0])
        amounts.append(int(away.argmin()))
        distances.append(float((found - 1 / len(vocabulary)).abs().sum()))
    assert amounts == sorted(set(amounts))
    assert distances == sorted(set(distances), reverse=True)


def test_both_ways_meet_on_names_txt() -> None:
    """On all of makemore's names.txt the counted bigram's loss is 2.454, and descent meets it within 0.005."""
    shared = Path(os.environ.get("NAMEWAVE_SHARED", Path(__file__).parents[3] / "shared"))
    path = shared / "bench" / "names.txt"
    if not path.exists():
        pytest.skip(f"{path.name} is not there: it is no part of the project")
    names = tuple(path.read_text().split())
    vocabulary = Vocabulary.of(names)
    examples = Examples.of(names, vocabulary)
    counted = mean_loss(bigram_by_counting(names, vocabulary, 1.0), examples)
    assert counted == pytest.approx(2.4543, abs=0.0003)
    network = build_model(ModelConfig(architecture="bigram", block_size=1), len(vocabulary), torch.Generator())
    counts = count_bigrams(names, vocabulary).float()
    (table,) = network.parameters()
    for _ in range(1500):
        loss = -(counts * table.log_softmax(1)).sum() / counts.sum()
        (gradient,) = torch.autograd.grad(loss, [table])
        with torch.no_grad():
            table -= 50.0 * gradient
    assert mean_loss(network, examples) == pytest.approx(counted, abs=0.005)
