"""Config: which hyperparameters make a network, and which are refused."""

import math

import pytest
from pydantic import ValidationError

from models import ModelConfig
from models.config import ARCHITECTURES
from models.networks.architectures import BUILDERS


@pytest.mark.parametrize(
    ("fields", "culprit"),
    [
        ({"architecture": "transformer"}, "architecture"),
        ({"architecture": "bigram", "block_size": 2}, "block_size of a bigram is 1"),
        ({"architecture": "wavenet", "block_size": 6}, "block_size of a wavenet is a power of two"),
        ({"architecture": "wavenet", "block_size": 1}, "block_size of a wavenet is a power of two"),
        ({"architecture": "mlp", "n_hidden": 0}, "n_hidden"),
        ({"architecture": "mlp", "block_size": 65}, "block_size"),
        ({"architecture": "mlp", "n_layers": "2"}, "n_layers"),
        ({"architecture": "gated_wavenet", "block_size": 6}, "block_size of a gated_wavenet is a power of two"),
        ({"architecture": "lstm", "block_size": 8}, "block_size of an lstm is 64"),
        ({"architecture": "mlp", "dropout": 0.1}, "dropout of a mlp is 0"),
        ({"architecture": "lstm", "block_size": 64, "dropout": 1.0}, "dropout"),
        ({}, "architecture"),
    ],
)
def test_impossible_configs_are_refused(fields: dict[str, object], culprit: str) -> None:
    """Hyperparameters that cannot be built never become a config, and the error names the culprit."""
    with pytest.raises(ValidationError, match=culprit):
        ModelConfig.model_validate(fields)


@pytest.mark.parametrize(
    ("config", "fans"),
    [
        (ModelConfig(architecture="bigram", block_size=1), ()),
        (ModelConfig(architecture="mlp", block_size=3, n_layers=3), (3, 1, 1)),
        (ModelConfig(architecture="wavenet", block_size=16), (2, 2, 2, 2)),
        (ModelConfig(architecture="gated_wavenet", block_size=8), (2, 2, 2)),
    ],
)
def test_fans_multiply_to_the_block_size(config: ModelConfig, fans: tuple[int, ...]) -> None:
    """Hidden layers join, in all, block_size positions; a bigram has no hidden layer."""
    assert config.fans == fans
    assert math.prod(config.fans) == config.block_size


def test_a_config_is_fixed_and_round_trips() -> None:
    """A config cannot be changed once parsed, and JSON gives back an equal one."""
    config = ModelConfig(architecture="mlp", block_size=3, n_embd=15, n_hidden=200, n_layers=2, activation="relu")
    assert ModelConfig.model_validate_json(config.model_dump_json()) == config
    with pytest.raises(ValidationError, match="frozen"):
        config.block_size = 4  # type: ignore[misc]


def test_every_architecture_can_be_built() -> None:
    """The words that a config allows are the words of the table that builds networks, neither more nor fewer."""
    assert set(ARCHITECTURES) == set(BUILDERS)
