"""Distances between lists of names: against scipy, against searching every pair, and by hand."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from training.distances import length_distance, pair_divergence, shared_beginnings

names = st.lists(st.text("abcé.\n", max_size=7), min_size=1, max_size=12)


@given(names, names)
def test_pair_divergence_is_scipys(a: list[str], b: list[str]) -> None:
    """It is the square of scipy's distance to the base 2, over pairs that a slow loop counts with numbers as edges."""
    A, B = (
        Counter(
            (row[i], row[i + 1]) for name in part for row in [[0, *map(ord, name), -1]] for i in range(len(row) - 1)
        )
        for part in (a, b)
    )
    keys = sorted({*A, *B})
    expected = jensenshannon([A[key] for key in keys], [B[key] for key in keys], base=2) ** 2
    assert pair_divergence(a, b) == pytest.approx(expected, abs=1e-7)


@given(names, names)
def test_length_distance_is_the_best_guessers_gain(a: list[str], b: list[str]) -> None:
    """The total variation is the sum of the positive differences of the two histograms."""
    P, Q = (np.bincount([len(name) for name in part], minlength=8) / len(part) for part in (a, b))
    assert length_distance(a, b) == pytest.approx(np.maximum(P - Q, 0).sum())


@given(names, names)
def test_shared_beginnings_are_those_of_a_search_of_every_pair(a: list[str], known: list[str]) -> None:
    """The neighbour in order shares as much as any known name does."""
    expected = [max(n for n in range(len(name) + 1) for o in known if o.startswith(name[:n])) for name in a]
    assert shared_beginnings(a, known) == expected


def test_distances_by_hand() -> None:
    """Lengths 1 and 2 against 1 differ by a half; names without a common pair are a whole bit apart, equal ones 0."""
    assert length_distance(["a", "bo"], ["x", "y"]) == pytest.approx(1 / 2)
    assert pair_divergence(["ab"], ["cd"]) == pytest.approx(1)
    assert pair_divergence(["ab"], ["ab", "ab"]) == 0
    assert shared_beginnings(["anna", "zoe"], ["anton", "anni"]) == [3, 0]
    assert shared_beginnings(["anna"], []) == [0]


def test_an_empty_list_has_no_distance() -> None:
    """Nothing can be compared with no names at all, and that is said."""
    for distance in (length_distance, pair_divergence):
        with pytest.raises(ValueError, match="empty list"):
            distance([], ["a"])
