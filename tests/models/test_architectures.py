"""The architectures: untrained loss, sizes, two views of one function, statistics over real positions only."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models.config import ModelConfig
from models.networks import BatchNorm1d, Linear, Network, build_model
from training.config import load_config, preset_names

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
    """Names of indices as ids, positions and targets, laid end to end, by plain loops."""
    ids, positions, targets = [], [], []
    for name in names:
        for t, (before, after) in enumerate(zip([0, *name], [*name, 0], strict=True)):
            ids.append(before)
            positions.append(t)
            targets.append(after)
    return torch.tensor(ids), torch.tensor(positions), torch.tensor(targets)


def windows(names: list[list[int]], block_size: int) -> Tensor:
    """The lectures' windows over the same positions, by plain loops."""
    rows = []
    for name in names:
        context = [0] * block_size
        for index in [*name, 0]:
            rows.append(list(context))
            context = [*context[1:], index]
    return torch.tensor(rows)


def random_names(vocab_size: int, n: int, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 12, (n,), generator=generator)
    return [torch.randint(1, vocab_size, (int(length),), generator=generator).tolist() for length in lengths]


@pytest.mark.parametrize("vocab_size", [27, 60, 200])
@pytest.mark.parametrize("config", SHAPES + [load_config(name, "human", {}).model for name in preset_names()], ids=repr)
def test_untrained_loss_is_that_of_a_uniform_guess(config: ModelConfig, vocab_size: int) -> None:
    """Before any training the loss is within 0.05 of ln(vocab_size), in both modes; an lstm's, which learns better from
    larger output weights, within 0.1.
    """
    network = build_model(config, vocab_size, torch.Generator().manual_seed(1))
    ids, positions, targets = packed(random_names(vocab_size, 60))
    for mode in (network.train, network.eval):
        mode()
        loss = nn.functional.cross_entropy(network.names(ids, positions), targets)
        bound = 0.1 if config.architecture == "lstm" else 0.05
        assert float(loss.detach()) == pytest.approx(math.log(vocab_size), abs=bound)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(SHAPES), st.lists(st.lists(st.integers(1, 19), min_size=1, max_size=20), min_size=2, max_size=6))
def test_windows_and_whole_names_are_one_function(config: ModelConfig, names: list[list[int]]) -> None:
    """In evaluation mode, logits over windows equal those over whole names, for any names."""
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
def test_statistics_are_over_real_positions_only(config: ModelConfig) -> None:
    """In training mode each BatchNorm's mean and variance are those over the names' own positions, each once, by
    brute force.

    The slow path computes every position of every layer by itself from its inputs at earlier positions of the same
    name.
    """
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
def test_parameters_are_counted(config: ModelConfig) -> None:
    """The count follows the formula: each matrix, bias, gain and shift once."""
    assert build_model(config, 27, torch.Generator()).parameter_count == formula(config, 27)


def test_the_lectures_wavenet_has_its_size() -> None:
    """block_size 8, n_embd 24, n_hidden 128 over 27 symbols: the 76,579 parameters that the lectures print."""
    assert build_model(SHAPES[5], 27, torch.Generator()).parameter_count == 76_579


def test_the_large_wavenet_is_of_half_a_million() -> None:
    """The preset wavenet-large has about 500,000 parameters."""
    config = load_config("wavenet-large", "human", {}).model
    assert build_model(config, 27, torch.Generator()).parameter_count == pytest.approx(500_000, rel=0.1)


def test_the_same_seed_gives_the_same_weights() -> None:
    """A network's weights are a function of config and generator alone."""
    one, two = (build_model(SHAPES[5], 27, torch.Generator().manual_seed(9)).to_arrays() for _ in range(2))
    other = build_model(SHAPES[5], 27, torch.Generator().manual_seed(10)).to_arrays()
    assert all((one[name] == two[name]).all() for name in one)
    assert any((one[name] != other[name]).any() for name in one)


def test_arrays_round_trip() -> None:
    """What to_arrays gives, load_arrays takes back: the same function."""
    one, other = (build_model(SHAPES[5], 20, torch.Generator().manual_seed(seed)) for seed in (1, 2))
    warm_up(one)
    other.load_arrays(one.to_arrays())
    other.eval()
    ids, positions, _ = packed(random_names(20, 5))
    assert torch.equal(one.names(ids, positions), other.names(ids, positions))
