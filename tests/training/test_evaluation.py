"""Losses against brute force over windows, one name at a time."""

import math

import pytest
import torch

from models import ModelConfig, Vocabulary
from models.networks import build_model
from training.dataset import Examples
from training.evaluation import mean_loss, name_losses
from training.loss import surprise

MLP = ModelConfig(architecture="mlp", block_size=3, n_embd=4, n_hidden=10)
WAVENET = ModelConfig(architecture="wavenet", block_size=8, n_embd=4, n_hidden=10)


def test_surprise_is_the_cross_entropy_of_torch() -> None:
    """Each row's loss equals torch's own, also where a logit is huge."""
    logits = torch.randn(50, 9, generator=torch.Generator().manual_seed(0)) * 5
    logits[3, 4] = 200.0
    targets = torch.arange(50) % 9
    expected = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    torch.testing.assert_close(surprise(logits, targets), expected)


@pytest.mark.parametrize("config", [MLP, WAVENET], ids=["mlp", "wavenet"])
def test_losses_are_those_of_brute_force_over_windows(
    config: ModelConfig, ten_names: tuple[tuple[str, ...], Vocabulary]
) -> None:
    """Each name's loss is the sum over its windows of -log p, in float64, and the mean counts the end token too."""
    names, vocabulary = ten_names
    network = build_model(config, len(vocabulary), torch.Generator().manual_seed(2))
    network.state_dict()["output.weight"].mul_(20)
    network.windows(Examples.of(names, vocabulary).windows(config.block_size).X)  # running statistics of its own
    network.eval()
    expected = []
    for name in names:
        windows = Examples.of([name], vocabulary).windows(config.block_size)
        logits = network.windows(windows.X).double().tolist()
        rows = zip(logits, windows.targets.tolist(), strict=True)
        expected.append(sum(math.log(sum(map(math.exp, row))) - row[target] for row, target in rows))
    examples = Examples.of(names, vocabulary)
    assert name_losses(network, examples).tolist() == pytest.approx(expected, rel=1e-5)
    characters = sum(len(name) + 1 for name in names)
    assert mean_loss(network, examples) == pytest.approx(sum(expected) / characters, rel=1e-5)


def test_evaluation_leaves_the_running_statistics_alone(ten_names: tuple[tuple[str, ...], Vocabulary]) -> None:
    """Measuring changes no stored number of the network."""
    names, vocabulary = ten_names
    network = build_model(WAVENET, len(vocabulary), torch.Generator().manual_seed(2))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    mean_loss(network, Examples.of(names, vocabulary))
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
