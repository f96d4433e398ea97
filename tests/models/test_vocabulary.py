"""Vocabulary: round trips over any script, and alphabets that are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import ConfigError, UnknownCharacter, Vocabulary


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


def test_long_alphabets_are_described_in_brief() -> None:
    """A run of a to z is shortened, and an alphabet of thousands ends in its size instead of filling a page."""
    assert Vocabulary.of(["abcdefghijklmnopqrstuvwxyz ' "]).describe() == "␣'a-z"
    many = Vocabulary(tuple(chr(0x4E00 + i) for i in range(3000)))
    assert many.describe().endswith("… (3000 in all)")
    assert len(many.describe()) < 100
