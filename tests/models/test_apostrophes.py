"""Signs that look like an apostrophe mean the one of the list, in options, constraints and scores."""

import pytest

from models import Constraints, Kernels, NameGenerator, SamplingOptions
from models.config import ModelConfig
from tests.models.reference import untrained_generator

CONFIG = ModelConfig(architecture="bigram", block_size=1)
LISTED = ("o’brien", "d’arc", "n’golo", "anna")


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
