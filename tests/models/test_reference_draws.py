"""Draws of every network, alphabet and option equal the reference sampler's, with and without a memory of prefixes."""

import random

import numpy as np
import pytest

from models import Kernels, ModelConfig, NameGenerator, SamplingOptions
from models.inference import MAX_SEED, PrefixMemory
from tests.models.reference import assert_same, draw, joined, reference_draw, untrained_generator

OPTIONS = (
    SamplingOptions(),
    SamplingOptions(temperature=0.05),
    SamplingOptions(temperature=5.0, top_k=3),
    SamplingOptions(temperature=0.5, top_p=0.6),
    SamplingOptions(temperature=1.7, top_k=8, top_p=0.9),
    SamplingOptions(top_k=1000, top_p=1.0),
    SamplingOptions(prefix="k", min_length=3),
    SamplingOptions(prefix="shave", min_length=7, temperature=1.3, top_p=0.95),
    SamplingOptions(prefix="kalomiren", top_k=2),
    SamplingOptions(min_length=14, temperature=0.7),
    SamplingOptions(excludes="ak"),
    SamplingOptions(prefix="lo", excludes="einrst", temperature=1.4, top_k=3, min_length=5),
)
# (seed, first candidate): the ends of both ranges among them.
STREAMS = ((0, 0), (1, 63), (MAX_SEED, 2**32 - 5), (77, MAX_SEED - 11))
LONGEST = 14


@pytest.mark.parametrize("options", OPTIONS, ids=repr)
def test_draw_equals_reference_with_any_memory(generator: NameGenerator, options: SamplingOptions) -> None:
    warm, tiny = PrefixMemory(8), PrefixMemory(0.05)
    for n in (3, 700, 700):
        for memory in (warm, tiny):
            draw(generator, options, 5, 0, n, memory, LONGEST)
    distinct = set()
    for seed, first in STREAMS:
        expected = reference_draw(generator, options, seed, first, 11, LONGEST)
        distinct.update(expected[1].tolist())
        for memory in (None, PrefixMemory(0), PrefixMemory(8), warm, warm, tiny, tiny):
            assert_same(draw(generator, options, seed, first, 11, memory, LONGEST), expected)
    assert len(distinct) > 3 or options != SamplingOptions()


def test_one_memory_keeps_all_options_apart(generator: NameGenerator) -> None:
    large, tiny = PrefixMemory(8), PrefixMemory(0.05)
    expected = {options: reference_draw(generator, options, 3, 20, 9, LONGEST) for options in OPTIONS}
    for _ in range(3):
        for options in OPTIONS:
            for memory in (large, tiny):
                assert_same(draw(generator, options, 3, 20, 9, memory, LONGEST), expected[options])


def test_draw_equals_reference_at_every_max_length(generator: NameGenerator) -> None:
    memory, options = PrefixMemory(8), SamplingOptions(temperature=1.5)
    for longest in (1, 2, 3, 4, 5, 8, 64):
        expected = reference_draw(generator, options, 8, 100, 12, longest)
        for kept in (None, memory):
            assert_same(draw(generator, options, 8, 100, 12, kept, longest), expected)


@pytest.mark.parametrize("prefix", ["kalo", "kr", "tuv", "vodhnikalomirensh"])
def test_prefix_of_max_length_ends_or_is_too_long(generator: NameGenerator, prefix: str) -> None:
    options, longest = SamplingOptions(prefix=prefix), len(prefix)
    expected = reference_draw(generator, options, 1, 0, 300, longest)
    assert set(expected[1].tolist()) <= {-1, longest}
    assert_same(draw(generator, options, 1, 0, 300, longest=longest), expected)


def test_candidates_are_independent_of_batch_boundaries(generator: NameGenerator) -> None:
    options, memory = SamplingOptions(temperature=1.2), PrefixMemory(2)
    codes, lengths = draw(generator, options, 9, 1000, 1500)
    for firsts, n, kept in ((range(0, 1500, 97), 100, memory), (range(0, 1500, 53), 1, None)):
        for first in firsts:
            some = draw(generator, options, 9, 1000 + first, n, kept)
            part = slice(first, first + n)
            assert_same((some[0][: 1500 - first], some[1][: 1500 - first]), (codes[part], lengths[part]))


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


def names_of(alphabet: str) -> tuple[str, ...]:
    """A list with every letter of the alphabet in it."""
    words = random.Random(0)
    return (alphabet[:40], alphabet[40:], *("".join(words.choices(alphabet, k=n)) for n in (1, 2, 3, 4, 5)))


def assert_equals_reference(generator: NameGenerator, options: SamplingOptions) -> None:
    """The first and last of 400 candidates equal the reference, and a memory changes none of them."""
    n, each, longest = 400, 5, 10
    codes, lengths = draw(generator, options, 4, 50, n, longest=longest)
    for first in (0, n - each):
        part = slice(first, first + each)
        expected = reference_draw(generator, options, 4, 50 + first, each, longest)
        assert_same((codes[part], lengths[part]), expected)
    for memory in (PrefixMemory(4), PrefixMemory(0.05)):
        for _ in range(2):
            pieces = [draw(generator, options, 4, 50 + k, 80, memory, longest) for k in range(0, n, 80)]
            assert_same(joined(pieces), (codes, lengths))
    assert len(np.unique(codes, axis=0)) > (5 if generator.vocab_size > 3 else 1)


@pytest.mark.parametrize("letters", list(ALPHABETS))
@pytest.mark.parametrize("config", EACH_ARCHITECTURE, ids=lambda config: config.architecture)
def test_draw_equals_reference_for_alphabets_of_any_size(kernels: Kernels, config: ModelConfig, letters: str) -> None:
    generator = untrained_generator(config, names_of(ALPHABETS[letters]), kernels)
    assert generator.vocab_size == len(ALPHABETS[letters]) + 1
    for options in (SamplingOptions(), SamplingOptions(temperature=2.0, top_p=0.9, min_length=4)):
        assert_equals_reference(generator, options)


@pytest.mark.parametrize("config", SHAPES, ids=repr)
@pytest.mark.parametrize("letters", ["two letters", "50 letters", "90 letters"])
def test_draw_equals_reference_for_networks_of_any_shape(kernels: Kernels, config: ModelConfig, letters: str) -> None:
    generator = untrained_generator(config, names_of(ALPHABETS[letters]), kernels)
    for options in (
        SamplingOptions(temperature=2.0, top_p=0.9, min_length=4),
        SamplingOptions(temperature=0.8, top_k=5),
    ):
        assert_equals_reference(generator, options)
