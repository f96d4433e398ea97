"""The notebook's loop beside the service: the same names for every architecture, and what is told where they differ."""

import itertools

import numpy as np
import pytest

from models import NameGenerator, SamplingOptions
from models.inference import AS_DRAWN
from models.networks import Network
from tests.conftest import untrained
from training.lessons.notebook import Comparison, compare, notebook_name, random_words
from training.lessons.notebook_command import lines

Pair = tuple[NameGenerator, Network]


def test_both_draw_the_same_names(any_generator: Pair) -> None:
    """Candidate after candidate the loop in torch comes to the service's names, and logits agree within 1e-4; the clock
    is read around each and nothing else.
    """
    generator, network = any_generator
    told: list[tuple[int, int]] = []
    clock = itertools.count(0.0, 1.5)
    found = compare(network, generator, 120, 3, lambda: next(clock), lambda *progress: told.append(progress))
    assert found.different == 0
    assert len(set(found.notebook)) > 10
    assert list(found.service) == generator.generate(len(found.notebook), seed=3, constraints=AS_DRAWN).names
    assert found.apart < 1e-4
    assert (found.notebook_seconds, found.service_seconds) == (1.5, 1.5)
    assert told == [(i, 120) for i in range(1, 121)]


def test_another_network_draws_other_names(any_generator: Pair) -> None:
    """With the weights of another seed names and logits differ: the comparison could fail."""
    generator, network = any_generator
    other = untrained(network.config, generator.vocab_size, seed=2)
    found = compare(other, generator, 120, 3, lambda: 0.0, lambda *progress: None)
    assert found.different > 5
    assert found.apart > 0.01


def test_random_words_are_even() -> None:
    """They lie from 0 to below 1, as many in each tenth, and no two streams or places share them."""
    words = np.array([[random_words(7, index, t) for t in range(8)] for index in range(500)])
    assert ((words >= 0) & (words < 1)).all()
    assert np.histogram(words, bins=10, range=(0, 1))[0] == pytest.approx(np.full(10, 400), abs=80)
    assert len(np.unique(words)) > 3990


def test_too_long_a_candidate_is_none(any_generator: Pair) -> None:
    """What passes the longest length is refused, never cut, and such are the service's refusals."""
    generator, network = any_generator
    drawn = [notebook_name(network, generator.vocabulary, 3, 1, index) for index in range(60)]
    prefix = np.zeros(0, np.int64)
    _, lengths = generator.draw(prefix, SamplingOptions(), 3, 1, 0, 60)
    assert [name is None for name in drawn] == (lengths < 0).tolist()
    assert {len(name) for name in drawn if name is not None} <= {1, 2, 3}


def test_a_difference_is_told() -> None:
    """Names that differ are counted, missing ones among them, and the lines say so."""
    found = Comparison(["anna", "bob", "eve"], ["anna", "rob"], 2.0, 0.5, 2.5e-6)
    assert found.different == 2
    told = lines(found)
    assert "the notebook says: Anna, Bob, Eve" in told
    assert "the service draws 4 names a second" in told
    assert told[-2:] == ["names that differ: 2", "logits apart by at most: 2.5e-06"]
