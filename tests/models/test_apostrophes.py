"""Signs and letters of requests mean those of the list: apostrophes, the capitals of i, and sigmas."""

import pytest

from models import Constraints, Kernels, NameGenerator, SamplingOptions, Vocabulary
from models.config import ModelConfig
from models.inference import ModelPredictor
from tests.models.reference import untrained_generator

CONFIG = ModelConfig(architecture="bigram", block_size=1)
LISTED = ("o’brien", "d’arc", "n’golo", "anna")


def replace_vocabulary(predictor: object, locale: str) -> ModelPredictor:
    """Return the predictor with the same alphabet in this locale."""
    assert isinstance(predictor, ModelPredictor)
    predictor.vocabulary = Vocabulary(predictor.vocabulary.characters, locale)
    return predictor


@pytest.fixture(scope="module")
def curly(kernels: Kernels) -> NameGenerator:
    """A generator whose list has the curly apostrophe."""
    return untrained_generator(CONFIG, LISTED, kernels)


@pytest.mark.parametrize("sign", ["'", "’", "ʼ"])
def test_any_apostrophe_means_that_of_the_list(curly: NameGenerator, sign: str) -> None:
    options = SamplingOptions(prefix=f"o{sign}", temperature=2.0)
    constraints = Constraints(max_length=9, contains=f"{sign}", pattern=f"o{sign}*")
    names = curly.generate(5, seed=1, options=options, constraints=constraints).names
    assert len(names) == 5
    assert all(name.startswith("o’") for name in names)
    without = curly.generate(50, seed=1, options=SamplingOptions(excludes=sign)).names
    assert not any("’" in name for name in without)
    score, expected = curly.score([f"O{sign}Brien", "O’Brien"])
    assert score == expected
    assert score.in_training
    assert curly.next_characters(f"o{sign}") == curly.next_characters("o’")


def test_list_with_two_apostrophes_keeps_them_apart(kernels: Kernels) -> None:
    both = untrained_generator(CONFIG, (*LISTED, "o'neil"), kernels)
    for sign in "'’":
        names = both.generate(3, seed=1, options=SamplingOptions(prefix=f"o{sign}")).names
        assert all(name.startswith(f"o{sign}") for name in names)


def test_turkic_requests_mean_the_letters_of_the_list(kernels: Kernels) -> None:
    listed = ("ılgaz", "idris", "ışıl", "işil")
    turkish = NameGenerator(
        replace_vocabulary(untrained_generator(CONFIG, listed, kernels).predictor, "tr"), listed, 5, kernels
    )
    for prefix, letter in (("I", "ı"), ("İ", "i"), ("i", "i")):
        options = SamplingOptions(prefix=prefix, temperature=2.0)
        constraints = Constraints(contains=prefix, pattern=f"{prefix}*")
        names = turkish.generate(3, seed=1, options=options, constraints=constraints).names
        assert len(names) == 3
        assert all(name.startswith(letter) for name in names)
    assert turkish.score(["ILGAZ"])[0].in_training
    assert turkish.score(["İDRİS"])[0].in_training
    drawn = turkish.generate(300, seed=2, max_attempts=300).names
    assert {"ı", "i"} < set("".join(drawn))


def test_no_final_sigma_stands_inside_a_greek_name(kernels: Kernels) -> None:
    listed = ("μασας", "σασης", "σας")
    greek = untrained_generator(CONFIG, listed, kernels)
    for options, constraints in (
        (SamplingOptions(prefix="ΜΑΣ", excludes="ς", temperature=5), Constraints()),
        (SamplingOptions(excludes="ς", temperature=5), Constraints(pattern="*ΑΣ*")),
        (SamplingOptions(excludes="ς", temperature=5), Constraints(contains="ΑΣ")),
        (SamplingOptions(temperature=5), Constraints(ends_with="Σ")),
        (SamplingOptions(temperature=5), Constraints(pattern="*Σ")),
    ):
        names = greek.generate(3, seed=1, options=options, constraints=constraints).names
        assert len(names) == 3
        assert all(name.endswith("ς") for name in names) == (not options.excludes)
