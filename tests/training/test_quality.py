"""Sample quality: closed forms on tiny lists, scipy as an oracle, and the published row of real names."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from benchmarks.lists import lecture_split
from training.quality import jensen_shannon, measure, quality_rows, total_variation, yardstick

NAMES_TXT = Path(__file__).parents[3] / "shared/bench/names.txt"


def test_a_tiny_sample_has_the_figures_one_counts_by_hand() -> None:
    """New, repeated, lengths and shared beginnings of four names against three are what one counts on paper."""
    quality = measure(["anna", "anna", "anne", "bo"], ["anna", "anton", "cleo"], ["lea", "mia", "otto", "jo"])
    assert quality.count == 4
    assert quality.new == 2 / 4
    assert quality.repeated == 1 / 4
    assert quality.lengths == pytest.approx((abs(3 / 4 - 1 / 4) + abs(1 / 4 - 1 / 4) + abs(0 - 2 / 4)) / 2)
    assert quality.prefix == pytest.approx((1 + 1 + 3 / 4 + 0) / 4)
    sample = Counter(
        ["<a", "an", "nn", "na", "a>", "<a", "an", "nn", "na", "a>", "<a", "an", "nn", "ne", "e>", "<b", "bo", "o>"]
    )
    dev = Counter(["<l", "le", "ea", "a>", "<m", "mi", "ia", "a>", "<o", "ot", "tt", "to", "o>", "<j", "jo", "o>"])
    shared_pairs = ([pairs.get(pair, 0) for pair in sorted({*sample, *dev})] for pairs in (sample, dev))
    assert quality.pairs == pytest.approx(jensenshannon(*shared_pairs, base=2) ** 2)


def test_a_sample_like_the_dev_names_has_no_distance() -> None:
    """The dev names themselves, all of them unknown, have no distance in length and pairs."""
    names = ["lea", "mia", "otto"]
    quality = measure(names, ["xyz"], names)
    assert (quality.new, quality.repeated, quality.prefix) == (1, 0, 0)
    assert quality.lengths == quality.pairs == 0


counts = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 50), min_size=1)


@given(counts, counts)
def test_divergence_is_scipys(a: dict[str, int], b: dict[str, int]) -> None:
    """The Jensen-Shannon divergence is the square of scipy's distance to the base 2."""
    keys = sorted({*a, *b})
    P, Q = ([d.get(key, 0) for key in keys] for d in (a, b))
    assert jensen_shannon(a, b) == pytest.approx(jensenshannon(P, Q, base=2) ** 2, abs=1e-7)


@given(st.lists(st.integers(1, 9), min_size=1), st.lists(st.integers(1, 9), min_size=1))
def test_total_variation_is_the_greatest_difference_of_any_event(a: list[int], b: list[int]) -> None:
    """It is the probability that the better of two guesses gains: the sum of the positive differences."""
    P, Q = (np.bincount(values, minlength=10) / len(values) for values in (a, b))
    assert total_variation(Counter(a), Counter(b)) == pytest.approx(np.maximum(P - Q, 0).sum())


def test_the_yardstick_is_as_long_as_dev_and_judged_by_other_names() -> None:
    """It draws as many names as dev has; distinct names are then all new and never repeated."""
    train = [f"name{i}" for i in range(50)]
    real = yardstick(train, ["otto"] * 10)
    assert (real.count, real.new, real.repeated) == (10, 1, 0)
    assert len(quality_rows(real, real, -13.2)) == 7


@pytest.mark.skipif(not NAMES_TXT.is_file(), reason="names.txt is not beside the project")
def test_real_names_have_the_published_figures() -> None:
    """Real dev names against test, with train as the known ones: 86.8 % new, 99.0 % distinct, lengths 0.023 and pairs
    0.0088 apart, as published.
    """
    train, dev, test = lecture_split(NAMES_TXT.read_text().split())
    quality = measure(dev, train, test)
    assert round(quality.new, 3) == 0.868
    assert round(1 - quality.repeated, 3) == 0.990
    assert round(quality.lengths, 3) == 0.023
    assert round(quality.pairs, 4) == 0.0088
