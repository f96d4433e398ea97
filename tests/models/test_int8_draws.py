"""Models of format 2 in the sampler: names equal the plain-Python oracle's, alone, cached, blended and as shipped."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import Constraints, Kernels, ModelConfig, ModelRegistry, NameGenerator, SamplingOptions, Vocabulary
from models.inference import BlendPredictor, PrefixMemory
from models.inference.predictor import predictor_of
from models.kernel.int8.lstm import LOGIT_BITS
from tests.models import int8_oracle as oracle
from tests.models.int8_kernels import as_arrays
from tests.models.reference import assert_same, draw, reference_draw, untrained_generator

LETTERS = tuple("abcdefghijk")
MODEL = oracle.formula_model(24, len(LETTERS) + 1, 0)
LONGEST = 9


def generator_of(model: oracle.Arrays, kernels: Kernels) -> NameGenerator:
    """The generator of a model made from a formula."""
    config = ModelConfig(architecture="lstm", block_size=64, n_hidden=len(model["recurrent.weight"]))
    arrays = {name: array for name, array in as_arrays(model).items() if array.size}
    predictor = predictor_of(config, arrays, Vocabulary(LETTERS), kernels)
    return NameGenerator(predictor, (), LONGEST, kernels)


@pytest.fixture(scope="module")
def int8_generator(kernels: Kernels) -> NameGenerator:
    return generator_of(MODEL, kernels)


PIECES = st.text("abcdef", max_size=3)
OPTIONS = st.builds(
    SamplingOptions,
    st.floats(0.05, 5),
    st.none() | st.integers(1, 13),
    st.none() | st.floats(0.01, 1),
    PIECES,
    st.integers(1, 6),
    st.text("ghijk", max_size=3),
)


def expected_names(options: SamplingOptions, seed: int, first: int, n: int) -> list[str | None]:
    """The oracle's candidates."""
    vocabulary = Vocabulary(LETTERS)
    plain = oracle.Options(
        options.temperature,
        options.top_k,
        options.top_p,
        tuple(vocabulary.encode(options.prefix)),
        options.min_length,
        LONGEST,
        tuple(vocabulary.encode(options.excludes)),
    )
    found = [oracle.draw({**MODEL, "styles": []}, seed, first + c, plain) for c in range(n)]
    return [None if ids is None else vocabulary.decode(ids) for ids in found]


@settings(max_examples=60)
@given(OPTIONS, st.integers(0, 2**53 - 1), st.integers(0, 2**53 - 10), st.sampled_from([None, 0.01, 4]))
def test_candidates_equal_the_oracle(
    int8_generator: NameGenerator, options: SamplingOptions, seed: int, first: int, mebibytes: float | None
) -> None:
    memory = None if mebibytes is None else PrefixMemory(mebibytes)
    sampler = int8_generator.prepare(options)
    expected = expected_names(options, seed, first, 3)
    for _ in range(2 if memory else 1):
        assert sampler.candidates(seed, first, 3, memory) == expected


def test_any_history_of_options_changes_no_draw(int8_generator: NameGenerator) -> None:
    memory, random = PrefixMemory(0.2), np.random.default_rng(0)
    for _ in range(60):
        options = SamplingOptions(float(random.choice([0.4, 1.0, 1.7])), min_length=int(random.integers(1, 4)))
        n, first = int(random.integers(1, 200)), int(random.integers(0, 500))
        assert_same(draw(int8_generator, options, 1, first, n, memory), draw(int8_generator, options, 1, first, n))


def test_logits_of_scores_are_the_oracles(int8_generator: NameGenerator) -> None:
    ids = [0, 3, 1, 4, 1, 5, 9, 2, 6]
    found = int8_generator.predictor.logits(np.array(ids), int8_generator.shares)
    expected = oracle.prefix_logits({**MODEL, "styles": []}, ids)
    assert (found * 2**LOGIT_BITS).tolist() == expected


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.2, 0.8)])
def test_blend_with_integer_models_equals_the_plain_sampler(
    int8_generator: NameGenerator, kernels: Kernels, shares: tuple[float, float]
) -> None:
    bigram = untrained_generator(ModelConfig(architecture="bigram", block_size=1), ("bad", "cafe", "mix"), kernels)
    other = generator_of(oracle.formula_model(40, len(LETTERS) + 1, 0, salt=5), kernels)
    for first, second in ((int8_generator, bigram), (bigram, other), (other, int8_generator)):
        predictor = BlendPredictor([first.predictor, second.predictor], kernels)
        blend = NameGenerator(predictor, (), LONGEST, kernels, shares)
        for options in (SamplingOptions(), SamplingOptions(0.7, prefix="ab")):
            expected = reference_draw(blend, options, 3, 0, 12)
            for memory in (None, PrefixMemory(1)):
                assert_same(draw(blend, options, 3, 0, 12, memory), expected)


@pytest.mark.parametrize("dataset", ["human", "animal"])
def test_shipped_default_draws_the_names_of_the_specification(kernels: Kernels, dataset: str) -> None:
    version = ModelRegistry.open(kernels).resolve(dataset)
    model = {name: array.tolist() for name, array in version.arrays().items()} | {"styles": []}
    longest, vocabulary = version.generator.longest, version.manifest.alphabet
    options = oracle.Options(temperature=0.8, top_p=0.95, max_length=longest)
    sampler = version.generator.prepare(SamplingOptions(0.8, top_p=0.95), Constraints())
    found = [oracle.draw(model, 7, index, options) for index in range(4)]
    assert sampler.candidates(7, 0, 4) == [None if ids is None else vocabulary.decode(ids) for ids in found]
