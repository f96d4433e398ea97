"""Vocabulary and config: round trips over any script, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models import ConfigError, ModelConfig, UnknownCharacter, Vocabulary


@given(st.lists(st.text(min_size=1), min_size=1, max_size=20))
def test_decoding_undoes_encoding(names: list[str]) -> None:
    """decode(encode(name)) == name for any text; index 0 is never a character's."""
    vocabulary = Vocabulary.of(names)
    for name in names:
        indices = vocabulary.encode(name)
        assert 0 not in indices
        assert vocabulary.decode(indices) == name
        assert vocabulary.decode([*indices, 0, 1]) == name
    assert len(vocabulary) == len(set().union(*names)) + 1


def test_a_full_stop_is_a_character_of_its_own() -> None:
    """The end token is shown as a full stop, but a full stop in a list has its own index."""
    vocabulary = Vocabulary.of(["st. ives"])
    assert vocabulary.itos[0] == "."
    assert vocabulary.stoi["."] != 0


def test_unknown_characters_are_named() -> None:
    """The error names what is unknown, and in its safe part only what is known."""
    with pytest.raises(UnknownCharacter, match="'é'") as caught:
        Vocabulary.of(["abc"]).encode("aéb")
    assert "é" not in caught.value.allowed


@pytest.mark.parametrize("characters", [("a", "a"), ("ab",), ("",)])
def test_misshapen_alphabets_are_refused(characters: tuple[str, ...]) -> None:
    """Characters must be single, each once."""
    with pytest.raises(ConfigError):
        Vocabulary(characters)


@pytest.mark.parametrize(
    "fields",
    [
        {"architecture": "transformer"},
        {"architecture": "bigram", "block_size": 2},
        {"architecture": "wavenet", "block_size": 6},
        {"architecture": "wavenet", "block_size": 1},
        {"architecture": "mlp", "n_hidden": 0},
        {"architecture": "mlp", "block_size": 65},
        {"architecture": "mlp", "n_layers": "2"},
        {"architecture": "mlp", "dropout": 0.1},
    ],
)
def test_impossible_configs_are_refused(fields: dict[str, object]) -> None:
    """Hyperparameters that cannot be built never become a config."""
    with pytest.raises(ValidationError):
        ModelConfig.model_validate(fields)


@pytest.mark.parametrize(
    ("config", "fans"),
    [
        (ModelConfig(architecture="bigram", block_size=1), ()),
        (ModelConfig(architecture="mlp", block_size=3, n_layers=3), (3, 1, 1)),
        (ModelConfig(architecture="wavenet", block_size=16), (2, 2, 2, 2)),
    ],
)
def test_fans_multiply_to_the_block_size(config: ModelConfig, fans: tuple[int, ...]) -> None:
    """Hidden layers join, in all, block_size positions."""
    assert config.fans == fans
