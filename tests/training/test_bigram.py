"""The bigram twice: counting is the closed form that the descent must meet; with L2 another optimiser is the oracle."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models import Vocabulary
from models.networks import bigram_by_counting, count_bigrams
from training.bigram import descend, gradient, log_probabilities, loss_of, one_hot_loss
from training.bigram_twice import MEETINGS, PENALTIES, SMOOTHINGS, compare
from training.dataset import Examples
from training.evaluation import mean_loss

Names = tuple[tuple[str, ...], Vocabulary]


def counts_of(names: tuple[str, ...], vocabulary: Vocabulary) -> Tensor:
    return count_bigrams(names, vocabulary).double()


def end_of(N: Tensor, l2: float, steps: int) -> Tensor:
    """The weights where a descent ends."""
    *_, (_, W) = descend(N, l2, steps)
    return W


def loss_and_penalty(W: Tensor, N: Tensor, l2: float) -> Tensor:
    return -(N * W.log_softmax(1)).sum() / N.sum() + l2 * W.square().mean()


def test_probabilities_are_shares_of_the_row(ten_names: Names) -> None:
    """Each is (count + smoothing) / row sum, counted here with a dictionary; unsmoothed, the unseen is impossible."""
    names, vocabulary = ten_names
    pairs = Counter(pair for name in names for pair in pairwise(f".{name}."))
    firsts = Counter(pair[0] for pair in pairs.elements())
    N = counts_of(names, vocabulary)
    for smoothing in (0.0, 0.5, 2.0):
        log_probs = log_probabilities(N, smoothing)
        for i, one in enumerate(vocabulary.itos):
            for j, other in enumerate(vocabulary.itos):
                share = (pairs[one, other] + smoothing) / (firsts[one] + smoothing * len(vocabulary))
                assert float(log_probs[i, j]) == pytest.approx(math.log(share) if share else -math.inf)


def test_a_character_that_nothing_follows_says_nothing() -> None:
    """An empty row is even, with smoothing and without."""
    N = torch.tensor([[0.0, 3.0], [0.0, 0.0]], dtype=torch.float64)
    assert log_probabilities(N, 0.0).exp().tolist() == [[0, 1], [0.5, 0.5]]


def test_the_loss_is_the_mean_surprise(ten_names: Names) -> None:
    """Summed character by character over the names, and infinite as soon as one pair is impossible."""
    names, vocabulary = ten_names
    N = counts_of(names, vocabulary)
    log_probs = log_probabilities(N, 1.0)
    ids = [[0, *vocabulary.encode(name), 0] for name in names]
    surprises = [-float(log_probs[i, j]) for row in ids for i, j in pairwise(row)]
    assert loss_of(log_probs, N) == pytest.approx(sum(surprises) / len(surprises), rel=1e-12)
    dev = counts_of(("ae", "zoe"), Vocabulary((*vocabulary.characters[:-1], "z")))
    assert loss_of(log_probabilities(N, 0.0), dev) == math.inf
    assert math.isfinite(loss_of(log_probs, dev))


def test_one_hot_times_weights_is_the_same_loss(ten_names: Names) -> None:
    """Row by row with one-hot vectors, or pair by pair with counts: the same number."""
    names, vocabulary = ten_names
    W = torch.randn(len(vocabulary), len(vocabulary), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rows = Examples.of(names, vocabulary).rows
    expected = torch.nn.functional.cross_entropy(W[rows.ids], rows.targets)
    assert one_hot_loss(W, rows.ids, rows.targets) == pytest.approx(float(expected), rel=1e-12)
    assert loss_of(W.log_softmax(1), counts_of(names, vocabulary)) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_the_slope_is_autograds_and_the_measured_one(ten_names: Names, l2: float) -> None:
    """Expected less counted, with the penalty's pull: autograd agrees, and central differences do."""
    names, vocabulary = ten_names
    N = counts_of(names, vocabulary)
    W = torch.randn(N.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64).requires_grad_()
    slope = gradient(W.detach(), N, l2)
    (expected,) = torch.autograd.grad(loss_and_penalty(W, N, l2), W)
    assert torch.allclose(slope, expected, rtol=1e-12, atol=1e-15)
    for i, j in ((0, 1), (3, 0), (5, 5)):
        step = torch.zeros_like(N)
        step[i, j] = 1e-5
        above, below = (float(loss_and_penalty(W.detach() + s * step, N, l2)) for s in (1, -1))
        assert float(slope[i, j]) == pytest.approx((above - below) / 2e-5, abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(
    counts=st.lists(st.integers(0, 50), min_size=16, max_size=16).filter(any),
    l2=st.sampled_from([0.0, 0.001, 0.1, 10.0, 1000.0]),
)
def test_the_descent_never_climbs(counts: list[int], l2: float) -> None:
    """Whatever was counted and however strong the penalty, no step makes the loss with its penalty larger."""
    N = torch.tensor(counts, dtype=torch.float64).view(4, 4)
    losses = [float(loss_and_penalty(W, N, l2)) for _, W in descend(N, l2, 60)]
    assert losses[0] <= math.log(4) + 1e-12
    assert all(after <= before + 1e-12 for before, after in pairwise(losses))


def test_without_smoothing_the_descent_tends_to_the_counts(ten_names: Names) -> None:
    """It stays above the closed form's loss, and ten times the steps bring it about ten times nearer."""
    names, vocabulary = ten_names
    N = counts_of(names, vocabulary)
    closed = loss_of(log_probabilities(N, 0.0), N)
    gaps = [loss_of(end_of(N, 0.0, steps).log_softmax(1), N) - closed for steps in (100, 1000, 10000)]
    assert 0 < gaps[2] < 1e-3
    for nearer, further in zip(gaps[1:], gaps, strict=False):
        assert 5 < further / nearer < 20


def test_on_smoothed_counts_the_descent_meets_the_closed_form(ten_names: Names) -> None:
    """Every probability is met to 1e-9, and so is the loss of the network that training publishes."""
    names, vocabulary = ten_names
    N = counts_of(names, vocabulary)
    found = end_of(N + 1.0, 0.0, 10000).log_softmax(1)
    assert torch.allclose(found.exp(), log_probabilities(N, 1.0).exp(), rtol=0, atol=1e-9)
    network = bigram_by_counting(names, vocabulary, 1.0)
    assert loss_of(found, N) == pytest.approx(mean_loss(network, Examples.of(names, vocabulary)), abs=1e-6)


@pytest.mark.parametrize("l2", [0.01, 1.0])
def test_with_a_penalty_the_descent_finds_the_minimum(ten_names: Names, l2: float) -> None:
    """Another optimiser (L-BFGS) finds the same minimum and the same weights, whose rows add up to nothing."""
    names, vocabulary = ten_names
    N = counts_of(names, vocabulary)

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        W = torch.from_numpy(flat.reshape(N.shape)).requires_grad_()
        loss = loss_and_penalty(W, N, l2)
        return float(loss.detach()), torch.autograd.grad(loss, W)[0].numpy().ravel()

    best = scipy.optimize.minimize(
        objective, np.ones(N.numel()), jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-11}
    )
    W = end_of(N, l2, 10000)
    assert float(loss_and_penalty(W, N, l2)) == pytest.approx(best.fun, abs=1e-10)
    assert np.allclose(W.numpy().ravel(), best.x, atol=1e-4)
    assert torch.allclose(W.sum(1), torch.zeros(len(N), dtype=torch.float64), atol=1e-9)


def test_a_descent_ends_where_the_ground_is_flat(ten_names: Names) -> None:
    """With a strong penalty it is there after a few steps; nothing counted is refused."""
    N = counts_of(*ten_names)
    assert [step for step, _ in descend(N, 10.0, 10000)][-1] < 100
    with pytest.raises(ValueError, match="no pairs"):
        next(descend(torch.zeros_like(N), 0.0, 10))


def test_the_comparison_is_of_both_ways_and_of_all_strengths(ten_names: Names) -> None:
    """Losses are those of the single functions; both ends of either way are the bare counts and the even guess."""
    names, vocabulary = ten_names
    train, dev = counts_of(names[:8], vocabulary), counts_of(names[8:], vocabulary)
    told: list[tuple[int, int]] = []
    twice = compare(train, dev, 2000, lambda done, total: told.append((done, total)))
    assert [one.smoothing for one in twice.meetings] == list(MEETINGS)
    for one in twice.meetings:
        closed = log_probabilities(train, one.smoothing)
        assert (one.counted.train, one.counted.dev) == (loss_of(closed, train), loss_of(closed, dev))
        assert one.descended.train == pytest.approx(one.counted.train, abs=2e-3)
        assert one.apart < 2e-2
    assert len(twice.smoothed) == len(SMOOTHINGS) == len(PENALTIES) == len(twice.penalised)
    assert twice.penalised[0] == twice.meetings[0].descended
    even = math.log(len(vocabulary))
    for losses in (twice.smoothed, twice.penalised):
        trains = [one.train for one in losses]
        assert trains == sorted(trains)
        assert trains[-1] == pytest.approx(even, abs=0.06)
    l2 = PENALTIES.index(0.1)
    found = end_of(train, 0.1, 2000).log_softmax(1)
    assert twice.penalised[l2].dev == pytest.approx(loss_of(found, dev), abs=1e-9)
    assert told[-1][0] == told[-1][1] == 2000 * (len(MEETINGS) + len(PENALTIES) - 1)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
