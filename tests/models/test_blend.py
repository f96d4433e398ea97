"""Blends: several models with alphabets of their own, mixed at each character."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from models import Kernels, NameGenerator, OptionError, SamplingOptions, UnknownCharacter
from models.blends import LEAST_SHARE, shares_of
from models.inference import BlendPredictor, PrefixMemory
from models.kernel.mixture import UNKNOWN
from tests.conftest import CONFIGS
from tests.models.reference import assert_same, draw, reference_boundaries, reference_draw, untrained_generator

Pair = tuple[NameGenerator, NameGenerator]
# a, e, k, l, n and r are in both; each list has letters that the other has not.
ELVES = tuple(map("".join, itertools.product(("ka", "lé", "ren", "tu"), ("el", "an", "ë"), ("mi", "ra", "k"))))
ORCS = tuple(map("".join, itertools.product(("gro", "kra", "zn"), ("ak", "ul", "en"), ("sh", "gar", "-e"))))
PAIRS = [
    ("wavenet", "lstm"),
    ("lstm", "deep_mlp"),
    ("bigram", "gated_wavenet"),
    ("deep_mlp", "bigram"),
    ("lstm", "lstm"),
]
OPTIONS = (
    SamplingOptions(),
    SamplingOptions(temperature=0.3, top_p=0.8),
    SamplingOptions(temperature=2.5, top_k=7, min_length=4),
    SamplingOptions(prefix="kr", excludes="aeGz"),
    SamplingOptions(prefix="lé", temperature=1.4),
    SamplingOptions(prefix="zn", min_length=6),
)


@pytest.fixture(scope="module", params=PAIRS, ids="+".join)
def pair(request: pytest.FixtureRequest, kernels: Kernels) -> Pair:
    """Generators of two architectures over two lists."""
    first, second = request.param
    return untrained_generator(CONFIGS[first], ELVES, kernels), untrained_generator(CONFIGS[second], ORCS, kernels)


def blend(generators: Pair, *shares: float) -> NameGenerator:
    """The blend of two generators."""
    kernels = generators[0].kernels
    predictor = BlendPredictor([generator.predictor for generator in generators], kernels)
    return NameGenerator(predictor, frozenset().union(*(g.names for g in generators)), 16, kernels, shares)


def following(generator: NameGenerator, text: str) -> dict[str, float]:
    """The probabilities of what may follow `text`."""
    return {c.character: c.probability for c in generator.next_characters(text)}


@pytest.mark.parametrize("options", OPTIONS, ids=repr)
def test_blend_draws_equal_the_reference(pair: Pair, options: SamplingOptions) -> None:
    memory = PrefixMemory(8)
    for shares in ((0.6, 0.4), (0.05, 0.95)):
        mixed = blend(pair, *shares)
        expected = reference_draw(mixed, options, 5, 3, 40)
        for kept in (None, memory, memory):
            assert_same(draw(mixed, options, 5, 3, 40, kept), expected)
        assert len({row.tobytes() for row in expected[0]}) > 10 or options.top_p


def own_distribution(generator: NameGenerator, text: str) -> dict[str, float]:
    """One model's own distribution after `text`, in float64."""
    ids = np.array([0, *generator.vocabulary.encode(text)], np.int64)
    logits = generator.predictor.logits(ids, generator.shares)[-1].astype(np.float64)
    chances = np.exp(logits - logits.max())
    return dict(zip(generator.vocabulary.itos, (chances / chances.sum()).tolist(), strict=True))


def geometric_mean(generators: Pair, shares: tuple[float, ...], text: str) -> dict[str, float]:
    """The weighted geometric mean of the models that know `text`, in float64 by definition."""
    there = [(g, w) for g, w in zip(generators, shares, strict=True) if set(text) <= set(g.vocabulary.characters)]
    whole = sum(weight for _, weight in there)
    mean = {
        character: math.exp(
            sum(w / whole * math.log(own_distribution(g, text).get(character, UNKNOWN)) for g, w in there)
        )
        for character in set().union(*(g.vocabulary.itos for g, _ in there))
    }
    return {character: value / sum(mean.values()) for character, value in mean.items()}


@pytest.mark.parametrize("text", ["", "k", "ka", "zn", "rena", "le-", "ë"])
def test_blend_is_the_weighted_geometric_mean(pair: Pair, text: str) -> None:
    shares = (0.7, 0.3)
    assert following(blend(pair, *shares), text) == pytest.approx(geometric_mean(pair, shares, text), abs=2e-6)


def test_text_that_no_model_knows_whole_is_refused(pair: Pair) -> None:
    with pytest.raises(UnknownCharacter):
        blend(pair, 0.7, 0.3).next_characters("gré")
    with pytest.raises(UnknownCharacter):
        blend(pair, 0.5, 0.5).score(["éz"])


def test_model_leaves_the_blend_at_an_unknown_character(pair: Pair) -> None:
    elves, orcs = pair
    mixed = blend(pair, 0.2, 0.8)
    for known, unknown, prefix in ((elves, orcs, "lé"), (orcs, elves, "zn")):
        assert following(mixed, prefix) == pytest.approx(following(known, prefix), abs=2e-6)
        options = SamplingOptions(temperature=5.0, prefix=prefix)
        names = [n for n in mixed.generate(200, seed=1, options=options).names if n]
        assert names
        assert not set("".join(names)) & (set(unknown.vocabulary.characters) - set(known.vocabulary.characters))


def test_blend_of_a_model_with_itself_is_the_model(pair: Pair) -> None:
    for generator in pair:
        mixed = blend((generator, generator), 0.5, 0.5)
        for text in ("", "k", "ka"):
            assert following(mixed, text) == pytest.approx(following(generator, text), abs=2e-6)


def test_blend_scores_sum_the_sampled_log_probabilities(pair: Pair) -> None:
    mixed = blend(pair, 0.5, 0.5)
    for name in mixed.generate(30, seed=2).names:
        score = mixed.score([name])[0]
        assert score.log_prob == pytest.approx(sum(c.log_prob for c in score.characters), abs=1e-6)
        ids = mixed.vocabulary.encode(name)
        for t, outcome in enumerate([*ids, 0]):
            bounds = reference_boundaries(mixed, SamplingOptions(), ids[:t]).astype(np.float64) / 2**30
            drawn_with = bounds[outcome] - (bounds[outcome - 1] if outcome else 0.0)
            if t > 0 and drawn_with > 1e-3:
                assert math.log(drawn_with) == pytest.approx(score.characters[t].log_prob, abs=1e-3)


@pytest.mark.parametrize("weights", [{}, {"a": 1, "b": 1e-5}, dict.fromkeys("abcde", 1.0)])
def test_vanishing_shares_and_too_many_models_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(OptionError):
        shares_of(weights)


@given(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 999) | st.floats(0.01, 9), min_size=1))
@example({"animal": 921, "human": 999})
@example({"b": 3, "a": 2})
@example({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3})
@example({"x": 0.123456789, "y": 7.7})
@example({"a": 5})
def test_shares_are_sorted_millionths_and_idempotent(weights: dict[str, float]) -> None:
    """They add up to one million millionths, as near to the weights as that allows."""
    assume(min(weights.values()) / sum(weights.values()) > LEAST_SHARE)
    shares = shares_of(weights)
    assert list(shares) == sorted(weights)
    millionths = {name: round(share * 10**6) for name, share in shares.items()}
    assert all(share == millionths[name] / 10**6 for name, share in shares.items())
    assert sum(millionths.values()) == 10**6
    total = sum(weights.values())
    assert all(abs(shares[name] - weights[name] / total) < len(weights) * 1e-6 for name in weights)
    assert shares_of(shares) == shares
