"""Architectures: untrained loss, sizes, windows and whole names as one function, statistics, counts, pair trees."""

import itertools
import math
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models import ConfigError, ModelConfig, Vocabulary
from models.config import ARCHITECTURES
from models.inference.pair_tree import pair_tree, project
from models.networks import BatchNorm1d, Linear, Network, bigram_by_counting, build_model, count_bigrams
from training.config import load_config, preset_names
from training.dataset import Examples
from training.evaluation import mean_loss

SHAPES = [
    ModelConfig(architecture="bigram", block_size=1),
    ModelConfig(architecture="mlp", block_size=1, n_embd=3, n_hidden=5),
    ModelConfig(architecture="mlp", block_size=3, n_embd=15, n_hidden=200),
    ModelConfig(architecture="mlp", block_size=4, n_embd=10, n_hidden=30, n_layers=4, activation="relu"),
    ModelConfig(architecture="wavenet", block_size=2, n_embd=4, n_hidden=6),
    ModelConfig(architecture="wavenet", block_size=8),
    ModelConfig(architecture="wavenet", block_size=16, n_embd=5, n_hidden=9),
    ModelConfig(architecture="gated_wavenet", block_size=2, n_embd=4, n_hidden=6),
    ModelConfig(architecture="gated_wavenet", block_size=16, n_embd=7, n_hidden=5, dropout=0.2),
    ModelConfig(architecture="lstm", block_size=64, n_embd=5, n_hidden=9),
    ModelConfig(architecture="lstm", block_size=64, n_embd=6, n_hidden=4, n_layers=3, dropout=0.5),
]


def packed(names: list[list[int]]) -> tuple[Tensor, Tensor, Tensor]:
    """Names of indices as ids, positions and targets, end to end."""
    ids = [index for name in names for index in [0, *name]]
    positions = [t for name in names for t in range(len(name) + 1)]
    targets = [index for name in names for index in [*name, 0]]
    return torch.tensor(ids), torch.tensor(positions), torch.tensor(targets)


def windows(names: list[list[int]], block_size: int) -> Tensor:
    """The windows of the lectures over the same positions."""
    padded = [[0] * block_size + name for name in names]
    return torch.tensor([name[t : t + block_size] for name in padded for t in range(len(name) - block_size + 1)])


def random_names(vocab_size: int, n: int, seed: int = 0) -> list[list[int]]:
    """Names of 1 to 11 random indices."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 12, (n,), generator=generator)
    return [torch.randint(1, vocab_size, (int(length),), generator=generator).tolist() for length in lengths]


@pytest.mark.parametrize("vocab_size", [27, 60, 200])
@pytest.mark.parametrize("config", SHAPES + [load_config(name, "human", {}).model for name in preset_names()], ids=repr)
def test_untrained_loss_is_ln_vocab_size_in_both_modes(config: ModelConfig, vocab_size: int) -> None:
    """Within 0.05; an lstm, which learns better from larger output weights, within 0.1."""
    network = build_model(config, vocab_size, torch.Generator().manual_seed(1))
    ids, positions, targets = packed(random_names(vocab_size, 60))
    for mode in (network.train, network.eval):
        mode()
        loss = nn.functional.cross_entropy(network.names(ids, positions), targets)
        bound = 0.1 if config.architecture == "lstm" else 0.05
        assert float(loss.detach()) == pytest.approx(math.log(vocab_size), abs=bound)


@settings(max_examples=30)
@given(st.sampled_from(SHAPES), st.lists(st.lists(st.integers(1, 19), min_size=1, max_size=20), min_size=2, max_size=6))
def test_logits_over_windows_equal_those_over_whole_names(config: ModelConfig, names: list[list[int]]) -> None:
    network = build_model(config, 20, torch.Generator().manual_seed(2))
    warm_up(network)
    ids, positions, _ = packed(names)
    over_windows = network.windows(windows(names, config.block_size))
    torch.testing.assert_close(network.names(ids, positions), over_windows, atol=1e-5, rtol=1e-5)


def warm_up(network: Network) -> None:
    """Move the running statistics away from their first values, and make the logits lively."""
    ids, positions, _ = packed(random_names(20, 40, seed=5))
    for _ in range(10):
        network.names(ids, positions)
    state = network.state_dict()
    state["output.weight" if "output.weight" in state else "embedding.weight"].mul_(10)
    network.eval()


@pytest.mark.parametrize("config", [c for c in SHAPES if c.architecture in ("mlp", "wavenet")], ids=repr)
def test_batch_norm_statistics_count_each_real_position_once(config: ModelConfig) -> None:
    """Brute force computes each position of each layer from earlier positions of the same name."""
    network = build_model(config, 20, torch.Generator().manual_seed(3))
    names = random_names(20, 12)
    ids, positions, _ = packed(names)
    network.names(ids, positions)
    layers = network.layers.layers
    table = layers["embedding"].arrays()["weight"].detach()
    values = [[table[i] for i in [0, *name]] for name in names]
    dilation = 1
    for i, fan in enumerate(config.fans):
        linear, norm = layers[f"linear{i}"], layers[f"norm{i}"]
        assert isinstance(linear, Linear)
        assert isinstance(norm, BatchNorm1d)
        before = [
            [torch.cat([name[max(0, t - j * dilation)] for j in range(fan - 1, -1, -1)]) for t in range(len(name))]
            for name in values
        ]
        rows = torch.stack([row for name in before for row in name]) @ linear.weight.detach()
        torch.testing.assert_close(norm.running_mean, 0.1 * rows.mean(0), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * rows.var(0), atol=1e-5, rtol=1e-4)
        normal = (rows - rows.mean(0)) / (rows.var(0, unbiased=False) + 1e-5).sqrt()
        flat = iter(torch.tanh(normal) if config.activation == "tanh" else torch.relu(normal))
        values = [[next(flat) for _ in name] for name in values]
        dilation *= fan


def formula(config: ModelConfig, V: int) -> int:
    """Parameters in closed form."""
    E, H, depth = config.n_embd, config.n_hidden, len(config.fans)
    if config.architecture == "bigram":
        return V * V
    ends = V * E + H * V + V
    if config.architecture == "lstm":
        return ends + sum(4 * H * (width + H + 1) for width in [E, *[H] * (config.n_layers - 1)])
    if config.architecture == "gated_wavenet":
        blocks = depth * (2 * E * 2 * H + 4 * H) + (depth - 1) * (H * E + E)
        return ends + blocks + (depth * H * H + 2 * H) + (H * H + 2 * H)
    fans_in = [fan * width for fan, width in zip(config.fans, [E, *[H] * (depth - 1)], strict=True)]
    return ends + sum(fan_in * H + 2 * H for fan_in in fans_in)


@pytest.mark.parametrize("config", SHAPES, ids=repr)
def test_parameter_count_follows_the_formula(config: ModelConfig) -> None:
    assert build_model(config, 27, torch.Generator()).parameter_count == formula(config, 27)


def test_wavenet_large_preset_has_about_500_000_parameters() -> None:
    config = load_config("wavenet-large", "human", {}).model
    assert build_model(config, 27, torch.Generator()).parameter_count == pytest.approx(500_000, rel=0.1)


def test_same_seed_gives_the_same_weights() -> None:
    one, two = (build_model(SHAPES[5], 27, torch.Generator().manual_seed(9)).to_arrays() for _ in range(2))
    other = build_model(SHAPES[5], 27, torch.Generator().manual_seed(10)).to_arrays()
    assert all((one[name] == two[name]).all() for name in one)
    assert any((one[name] != other[name]).any() for name in one)


def test_arrays_round_trip_to_the_same_function() -> None:
    one, other = (build_model(SHAPES[5], 20, torch.Generator().manual_seed(seed)) for seed in (1, 2))
    warm_up(one)
    other.load_arrays(one.to_arrays())
    other.eval()
    ids, positions, _ = packed(random_names(20, 5))
    assert torch.equal(one.names(ids, positions), other.names(ids, positions))


@pytest.mark.parametrize("block_size", [2, 8, 32])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_pair_tree_logits_equal_the_torch_network(block_size: int, activation: str) -> None:
    config = ModelConfig(architecture="wavenet", block_size=block_size, n_embd=5, n_hidden=12, activation=activation)
    generator = torch.Generator().manual_seed(3)
    network = build_model(config, 11, generator)
    for _ in range(5):
        network.windows(torch.randint(0, 11, (64, block_size), generator=generator))
    network.eval()
    for length in (0, 1, block_size, block_size + 3):
        ids = torch.randint(1, 11, (length,), generator=generator).tolist()
        tree = pair_tree(config, network.to_arrays(), ids)
        with torch.no_grad():
            expected = network.windows(torch.tensor([([0] * block_size + ids)[-block_size:]]))[0].numpy()
        np.testing.assert_allclose(tree.logits, expected, atol=1e-5)
        assert len(tree.layers) == block_size.bit_length() - 1


@pytest.mark.parametrize("architecture", sorted(set(ARCHITECTURES) - {"wavenet"}))
def test_architectures_other_than_wavenet_have_no_pair_tree(architecture: str) -> None:
    config = ModelConfig(architecture=architecture, block_size={"bigram": 1, "lstm": 64}.get(architecture, 8))
    with pytest.raises(ValueError, match="no tree of pairs"):
        pair_tree(config, {}, [])


def test_projection_handles_degenerate_embeddings() -> None:
    seen = project(np.array([[0.0, 0.0, 3.0], [0.0, 0.0, -4.0]]))
    np.testing.assert_allclose(np.abs(seen.points), [[1, 0], [1, 0]], atol=1e-12)
    np.testing.assert_allclose(seen.explained, [1, 0], atol=1e-12)
    assert seen.nearest.tolist() == [1, 0]
    assert project(np.ones((2, 3))).explained.tolist() == [0, 0]
    assert project(np.zeros((2, 3))).explained.tolist() == [0, 0]
    assert project(np.array([[1.0], [-2.0], [4.0]])).points[:, 1].tolist() == [0, 0, 0]


NAMES = ("ada", "bob", "cab", "dab", "abba", "ababa", "cadd")
VOCABULARY = Vocabulary.of(NAMES)


def test_bigram_counts_equal_a_plain_loop() -> None:
    expected = Counter(pair for name in NAMES for pair in itertools.pairwise(f".{name}."))
    counts = count_bigrams(NAMES, VOCABULARY)
    symbols = VOCABULARY.itos
    assert {(symbols[i], symbols[j]): int(counts[i, j]) for i, j in counts.nonzero().tolist()} == dict(expected)


@pytest.mark.parametrize("smoothing", [0.01, 1.0, 5.0])
def test_probabilities_are_smoothed_shares(smoothing: float) -> None:
    """Row i is (N + smoothing) / sum."""
    table = bigram_by_counting(NAMES, VOCABULARY, smoothing).to_arrays()["embedding.weight"]
    counts = count_bigrams(NAMES, VOCABULARY).double() + smoothing
    expected = counts / counts.sum(1, keepdim=True)
    torch.testing.assert_close(torch.from_numpy(table).double().exp(), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, -1.0, float("nan")])
def test_smoothing_must_be_positive(smoothing: float) -> None:
    with pytest.raises(ConfigError):
        bigram_by_counting(NAMES, VOCABULARY, smoothing)


def descend(l2: float, steps: int, rate: float) -> Network:
    """The bigram by full-batch gradient descent on the loss plus l2 times the mean square of its table."""
    network = build_model(ModelConfig(architecture="bigram", block_size=1), len(VOCABULARY), torch.Generator())
    rows = Examples.of(NAMES, VOCABULARY).rows
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


@pytest.mark.slow
def test_gradient_descent_converges_to_the_counts() -> None:
    """The counted table with hardly any smoothing is the optimum: within 0.001 nats, and never below."""
    examples = Examples.of(NAMES, VOCABULARY)
    best = mean_loss(bigram_by_counting(NAMES, VOCABULARY, 1e-6), examples)
    assert best - 1e-6 <= mean_loss(descend(0.0, 4000, 5.0), examples) <= best + 0.001


@pytest.mark.slow
def test_l2_regularisation_acts_like_smoothing() -> None:
    """Some smoothed table is at most half as far away as the plain counts, and more L2 is nearer to even."""
    smoothings = [10 ** (i / 10) for i in range(-30, 21)]
    smoothed = torch.stack([shares(bigram_by_counting(NAMES, VOCABULARY, s)) for s in smoothings])
    to_even = [float((table - 1 / len(VOCABULARY)).abs().sum()) for table in smoothed]
    assert to_even == sorted(to_even, reverse=True)
    amounts, distances = [], []
    for l2 in (0.01, 0.1, 1.0, 10.0):
        found = shares(descend(l2, 2000, 1.0))
        away = (smoothed - found).abs().sum((1, 2))
        assert float(away.min()) < 0.5 * float(away[0])
        amounts.append(int(away.argmin()))
        distances.append(float((found - 1 / len(VOCABULARY)).abs().sum()))
    assert amounts == sorted(set(amounts))
    assert distances == sorted(set(distances), reverse=True)


def test_counting_and_descent_reach_the_loss_of_makemore() -> None:
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
