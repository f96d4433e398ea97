"""Blends: several models with alphabets of their own, mixed at each character."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models import Kernels, ModelConfig, NameGenerator, OptionError, SamplingOptions, UnknownCharacter
from models.blends import LEAST_SHARE, shares_of
from models.inference import BlendPredictor, PrefixMemory
from models.inference.mixing import UNKNOWN

Names = tuple[str, ...]
Drawn = tuple[NDArray[np.int32], NDArray[np.int32]]
SlowPath = Callable[[NameGenerator, SamplingOptions, int, int, int, int], Drawn]
BoundariesAfter = Callable[[NameGenerator, SamplingOptions, list[int]], NDArray[np.int32]]
MakeGenerator = Callable[[ModelConfig, Names], NameGenerator]

CONFIGS = {
    "bigram": ModelConfig(architecture="bigram", block_size=1),
    "mlp": ModelConfig(architecture="mlp", block_size=4, n_embd=6, n_hidden=11, n_layers=3, activation="relu"),
    "wavenet": ModelConfig(architecture="wavenet", block_size=8, n_embd=6, n_hidden=20),
    "gated_wavenet": ModelConfig(architecture="gated_wavenet", block_size=16, n_embd=7, n_hidden=10, dropout=0.1),
    "lstm": ModelConfig(architecture="lstm", block_size=64, n_embd=6, n_hidden=9, n_layers=2, dropout=0.1),
}
# a, e, k, l, n and r are in both; each list has letters that the other has not.
ELVES = tuple(
    "".join(parts) for parts in itertools.product(("ka", "lé", "ren", "tu"), ("el", "an", "ë"), ("mi", "ra", "k"))
)
ORCS = tuple(
    "".join(parts) for parts in itertools.product(("gro", "kra", "zn"), ("ak", "ul", "en"), ("sh", "gar", "-e"))
)
PAIRS = [("wavenet", "lstm"), ("lstm", "mlp"), ("bigram", "gated_wavenet"), ("mlp", "bigram"), ("lstm", "lstm")]
LONGEST = 12
OPTIONS = (
    SamplingOptions(),
    SamplingOptions(temperature=0.3, top_p=0.8),
    SamplingOptions(temperature=2.5, top_k=7, min_length=4),
    SamplingOptions(prefix="kr", excludes="aeGz"),
    SamplingOptions(prefix="lé", temperature=1.4),
    SamplingOptions(prefix="zn", min_length=6),
)


@pytest.fixture(scope="module", params=PAIRS, ids="+".join)
def pair(request: pytest.FixtureRequest, make_generator: MakeGenerator) -> tuple[NameGenerator, NameGenerator]:
    """Generators of two architectures over two lists."""
    first, second = request.param
    return make_generator(CONFIGS[first], ELVES), make_generator(CONFIGS[second], ORCS)


def blend(kernels: Kernels, generators: tuple[NameGenerator, ...], shares: tuple[float, ...]) -> NameGenerator:
    """The blend of generators."""
    predictor = BlendPredictor([generator.predictor for generator in generators], kernels)
    return NameGenerator(predictor, frozenset().union(*(g.names for g in generators)), 16, kernels, shares)


@pytest.mark.parametrize("options", OPTIONS, ids=repr)
def test_a_blend_draws_what_the_slow_path_does(
    pair: tuple[NameGenerator, NameGenerator], kernels: Kernels, slow_path: SlowPath, options: SamplingOptions
) -> None:
    """Codes and lengths are those of one candidate at a time, position by position, each model by its plain form; with
    and without a memory of prefixes, for two mixtures that share one memory.
    """
    memory = PrefixMemory(8)
    for shares in ((0.6, 0.4), (0.05, 0.95)):
        mixed = blend(kernels, pair, shares)
        codes, lengths = slow_path(mixed, options, LONGEST, 5, 3, 40)
        prefix = np.array(mixed.vocabulary.encode(options.prefix), np.int64)
        for kept in (None, memory, memory):
            drawn = mixed.draw(prefix, options, LONGEST, 5, 3, 40, kept)
            assert (drawn[0] == codes).all()
            assert (drawn[1] == lengths).all()
        assert len({row.tobytes() for row in codes}) > 10 or options.top_p


def alone(generator: NameGenerator, text: str) -> dict[str, float]:
    """One model's own distribution after `text`, in float64."""
    ids = np.array([0, *generator.vocabulary.encode(text)], np.int64)
    logits = generator.predictor.logits(ids, generator.shares)[-1].astype(np.float64)
    chances = np.exp(logits - logits.max())
    return dict(zip(generator.vocabulary.itos, (chances / chances.sum()).tolist(), strict=True))


def by_definition(generators: tuple[NameGenerator, ...], shares: tuple[float, ...], text: str) -> dict[str, float]:
    """What may follow `text`, in float64 and in the words of the definition."""
    there = [(g, w) for g, w in zip(generators, shares, strict=True) if set(text) <= set(g.vocabulary.characters)]
    whole = sum(weight for _, weight in there)
    characters = set().union(*(g.vocabulary.itos for g, _ in there))
    mean = {
        character: math.exp(sum(w / whole * math.log(alone(g, text).get(character, UNKNOWN)) for g, w in there))
        for character in characters
    }
    return {character: value / sum(mean.values()) for character, value in mean.items()}


@pytest.mark.parametrize("text", ["", "k", "ka", "gré", "zn", "rena", "le-", "ë"])
def test_the_mixture_is_the_weighted_geometric_mean(
    pair: tuple[NameGenerator, NameGenerator], kernels: Kernels, text: str
) -> None:
    """What may come next has the probabilities of the definition, models that do not know the text left out."""
    shares = (0.7, 0.3)
    mixed = blend(kernels, pair, shares)
    if text == "gré":
        with pytest.raises(UnknownCharacter):
            mixed.next_characters(text)
        return
    found = {c.character: c.probability for c in mixed.next_characters(text)}
    assert found == pytest.approx(by_definition(pair, shares, text), abs=2e-6)


def test_a_model_that_does_not_know_a_letter_has_left(
    pair: tuple[NameGenerator, NameGenerator], kernels: Kernels
) -> None:
    """After a letter that one of two models alone knows, the blend is that model, and draws its letters only."""
    elves, orcs = pair
    for known, unknown, prefix in ((elves, orcs, "lé"), (orcs, elves, "zn")):
        mixed = blend(kernels, (elves, orcs), (0.2, 0.8))
        one = {c.character: c.probability for c in known.next_characters(prefix)}
        both = {c.character: c.probability for c in mixed.next_characters(prefix)}
        assert both == pytest.approx(one, abs=2e-6)
        options = SamplingOptions(temperature=5.0, prefix=prefix)
        names = [n for n in mixed.generate(200, seed=1, options=options).names if n]
        assert names
        assert not set("".join(names)) & (set(unknown.vocabulary.characters) - set(known.vocabulary.characters))


def test_a_model_mixed_with_itself_is_itself(pair: tuple[NameGenerator, NameGenerator], kernels: Kernels) -> None:
    """The geometric mean of equals is each of them."""
    for generator in pair:
        mixed = blend(kernels, (generator, generator), (0.5, 0.5))
        for text in ("", "k", "ka"):
            one = {c.character: c.probability for c in generator.next_characters(text)}
            assert {c.character: c.probability for c in mixed.next_characters(text)} == pytest.approx(one, abs=2e-6)


def test_scores_of_a_blend_add_up(
    pair: tuple[NameGenerator, NameGenerator], kernels: Kernels, boundaries_after: BoundariesAfter
) -> None:
    """A name's log-probability is the sum of its steps, each of which is what the sampler draws with; a name that no
    model knows whole has none.
    """
    mixed = blend(kernels, pair, (0.5, 0.5))
    for name in mixed.generate(30, seed=2).names:
        score = mixed.score([name])[0]
        assert score.log_prob == pytest.approx(sum(c.log_prob for c in score.characters), abs=1e-6)
        ids = mixed.vocabulary.encode(name)
        for t, outcome in enumerate([*ids, 0]):
            bounds = boundaries_after(mixed, SamplingOptions(), ids[:t]).astype(np.float64) / 2**30
            drawn_with = bounds[outcome] - (bounds[outcome - 1] if outcome else 0.0)
            if t > 0 and drawn_with > 1e-3:
                assert math.log(drawn_with) == pytest.approx(score.characters[t].log_prob, abs=1e-3)
    with pytest.raises(UnknownCharacter):
        mixed.score(["éz"])


def test_shares_add_up_to_one_and_stay_what_they_are() -> None:
    """Weights become shares that give the same shares again, in the order of the names; weights that vanish are
    refused.
    """
    for weights in ({"b": 3, "a": 2}, {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, {"x": 0.123456789, "y": 7.7}, {"a": 5}):
        shares = shares_of(weights)
        assert list(shares) == sorted(weights)
        assert sum(shares.values()) == pytest.approx(1, abs=3e-6)
        assert shares_of(shares) == shares
    for odd in ({}, {"a": 1, "b": 1e-5}, dict.fromkeys("abcde", 1.0)):
        with pytest.raises(OptionError):
            shares_of(odd)


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 999) | st.floats(0.01, 9), min_size=1))
@example({"animal": 921, "human": 999})
def test_shares_are_their_own_shares(weights: dict[str, float]) -> None:
    """Whatever the weights: the shares are whole millionths, add up to one million of them, are as near to the weights
    as that allows, and as weights they give themselves.
    """
    assume(min(weights.values()) / sum(weights.values()) > LEAST_SHARE)
    shares = shares_of(weights)
    millionths = {name: round(share * 10**6) for name, share in shares.items()}
    assert all(share == millionths[name] / 10**6 for name, share in shares.items())
    assert sum(millionths.values()) == 10**6
    total = sum(weights.values())
    assert all(abs(shares[name] - weights[name] / total) < len(weights) * 1e-6 for name in weights)
    assert shares_of(shares) == shares
