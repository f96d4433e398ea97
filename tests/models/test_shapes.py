"""The sampler for alphabets and networks of every shape: small and large tables, odd widths, shallow and deep ones."""

import random
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from models import ModelConfig, NameGenerator, SamplingOptions
from models.inference import PrefixMemory

Names = tuple[str, ...]
Drawn = tuple[NDArray[np.int32], NDArray[np.int32]]
SlowPath = Callable[[NameGenerator, SamplingOptions, int, int, int, int], Drawn]
MakeGenerator = Callable[[ModelConfig, Names], NameGenerator]

LATIN, GREEK, CYRILLIC = "abcdefghijklmnopqrstuvwxyz", "αβγδεζηθικλμνξοπρστυφχψω", "абвгдежзийклмнопрстуфхцчшщъыьэюя"
HANGUL = "가나다라마바사아자차카타파하"
# Alphabets by the size of their tables: three characters, two, or one fit into them; and the sizes at the edges.
ALPHABETS = {
    "one letter": "a",
    "two letters": "xy",
    "31 letters": CYRILLIC[:31],
    "32 letters": CYRILLIC,
    "50 letters": LATIN + GREEK,
    "63 letters": LATIN + CYRILLIC + GREEK[:5],
    "64 letters": LATIN + CYRILLIC + GREEK[:6],
    "90 letters": (LATIN + GREEK + CYRILLIC + HANGUL)[:90],
    "96 letters": LATIN + GREEK + CYRILLIC + HANGUL,
}
EACH_ARCHITECTURE = (
    ModelConfig(architecture="bigram", block_size=1),
    ModelConfig(architecture="mlp", block_size=3, n_embd=5, n_hidden=19),
    ModelConfig(architecture="wavenet", block_size=8, n_embd=6, n_hidden=21),
    ModelConfig(architecture="gated_wavenet", block_size=8, n_embd=7, n_hidden=10),
    ModelConfig(architecture="lstm", block_size=64, n_embd=6, n_hidden=9, n_layers=2),
)
SHAPES = (
    ModelConfig(architecture="wavenet", block_size=2, n_embd=3, n_hidden=33),
    ModelConfig(architecture="wavenet", block_size=4, n_embd=1, n_hidden=1),
    ModelConfig(architecture="wavenet", block_size=4, n_embd=5, n_hidden=12, activation="relu"),
    ModelConfig(architecture="wavenet", block_size=16, n_embd=4, n_hidden=13),
    ModelConfig(architecture="gated_wavenet", block_size=2, n_embd=5, n_hidden=6),
    ModelConfig(architecture="gated_wavenet", block_size=4, n_embd=40, n_hidden=3),
    ModelConfig(architecture="gated_wavenet", block_size=32, n_embd=8, n_hidden=32),
    ModelConfig(architecture="mlp", block_size=1, n_embd=4, n_hidden=17),
    ModelConfig(architecture="mlp", block_size=1, n_embd=4, n_hidden=9, n_layers=3),
    ModelConfig(architecture="mlp", block_size=2, n_embd=4, n_hidden=31, activation="relu"),
    ModelConfig(architecture="mlp", block_size=3, n_embd=2, n_hidden=10, n_layers=2, activation="relu"),
    ModelConfig(architecture="mlp", block_size=5, n_embd=3, n_hidden=64),
    ModelConfig(architecture="lstm", block_size=64, n_embd=5, n_hidden=7, n_layers=1),
    ModelConfig(architecture="lstm", block_size=64, n_embd=3, n_hidden=32, n_layers=3),
    ModelConfig(architecture="lstm", block_size=64, n_embd=2, n_hidden=1, n_layers=1),
)
OPTIONS = (
    SamplingOptions(temperature=2.0, top_p=0.9, min_length=4),
    SamplingOptions(temperature=0.8, top_k=5),
)
EACH = 5


def names_of(alphabet: str) -> Names:
    """A list with every letter of the alphabet in it."""
    words = random.Random(0)
    return (alphabet[:40], alphabet[40:], *("".join(words.choices(alphabet, k=n)) for n in (1, 2, 3, 4, 5)))


def check(generator: NameGenerator, slow_path: SlowPath, options: SamplingOptions) -> None:
    """The first and the last of 400 candidates are the slow path's, and a memory changes none of them."""
    prefix, longest, n = np.zeros(0, np.int64), 10, 400
    codes, lengths = generator.draw(prefix, options, longest, 4, 50, n)
    for first in (0, n - EACH):
        slow_codes, slow_lengths = slow_path(generator, options, longest, 4, 50 + first, EACH)
        assert (codes[first : first + EACH] == slow_codes).all()
        assert (lengths[first : first + EACH] == slow_lengths).all()
    for memory in (PrefixMemory(4), PrefixMemory(0.05)):
        for _ in range(2):
            pieces = [generator.draw(prefix, options, longest, 4, 50 + k, 80, memory) for k in range(0, n, 80)]
            assert np.array_equal(np.concatenate([piece[0] for piece in pieces]), codes)
            assert np.array_equal(np.concatenate([piece[1] for piece in pieces]), lengths)
    assert len(np.unique(codes, axis=0)) > (5 if generator.vocab_size > 3 else 1)


@pytest.mark.parametrize("letters", list(ALPHABETS))
@pytest.mark.parametrize("config", EACH_ARCHITECTURE, ids=lambda config: config.architecture)
def test_alphabets_of_every_size(
    make_generator: MakeGenerator, slow_path: SlowPath, config: ModelConfig, letters: str
) -> None:
    """From one letter to 96 of four scripts, on both sides of each limit of the tables, draws are the slow path's."""
    generator = make_generator(config, names_of(ALPHABETS[letters]))
    assert generator.vocab_size == len(ALPHABETS[letters]) + 1
    for options in (SamplingOptions(), OPTIONS[0]):
        check(generator, slow_path, options)


@pytest.mark.parametrize("config", SHAPES, ids=repr)
@pytest.mark.parametrize("letters", ["two letters", "50 letters", "90 letters"])
def test_networks_of_every_shape(
    make_generator: MakeGenerator, slow_path: SlowPath, config: ModelConfig, letters: str
) -> None:
    """Shallow and deep, narrow and odd, with few characters in sight or many: draws are the slow path's."""
    generator = make_generator(config, names_of(ALPHABETS[letters]))
    for options in OPTIONS:
        check(generator, slow_path, options)
