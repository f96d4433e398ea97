"""From logits to boundaries, against an independent softmax and sort in float64."""

from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.inference.distribution import fill_boundaries

ALL = 2**30


@numba.njit(error_model="numpy")
def filled(logits, first, temperature, top_k, top_p, weight, boundaries):  # type: ignore[no-untyped-def]
    """`fill_boundaries`, called from a kernel."""
    fill_boundaries(logits, first, temperature, top_k, top_p, weight, boundaries)


def boundaries_of(
    logits: list[float],
    first: int = 0,
    temperature: float = 1.0,
    top_k: int = 10**6,
    top_p: float = 1.0,
    padding: int = 0,
) -> NDArray[np.int32]:
    """The boundaries of some logits, which stand before `padding` large numbers that mean nothing."""
    V = len(logits)
    padded = np.array([*logits, *[90.0] * padding], np.float32)
    weight, boundaries = np.full(V + padding + 3, np.nan, np.float32), np.full(V, -1, np.int32)
    filled(padded, first, np.float32(temperature), min(top_k, V), np.float32(top_p), weight, boundaries)
    return boundaries


def expected_shares(
    logits: list[float], first: int, temperature: float, top_k: int, top_p: float
) -> tuple[NDArray[np.float64], float]:
    """The probabilities by definition, and how near the choice of top_p was to another one."""
    x = np.array(logits, np.float32).astype(np.float64) / float(np.float32(temperature))
    x[:first] = -np.inf
    p = np.exp(x - x.max())
    order = sorted(range(len(p)), key=lambda v: (-x[v], v))
    p[order[top_k:]] = 0
    p /= p.sum()
    margin = 1.0
    if top_p < 1:
        before = np.cumsum(p[order]) - p[order]
        margin = float(np.abs(before[1:] - float(np.float32(top_p))).min(initial=1.0))
        p[[v for v, share in zip(order[1:], before[1:], strict=True) if share >= float(np.float32(top_p))]] = 0
    return p / p.sum(), margin


# Halves make many ties; other numbers make few.
LOGITS = st.one_of(
    st.lists(st.integers(-6, 6).map(lambda n: n / 2), min_size=2, max_size=40),
    st.lists(st.floats(-30, 30, width=32), min_size=2, max_size=40),
)


@settings(max_examples=600, deadline=None)
@given(
    LOGITS,
    st.integers(0, 1),
    st.one_of(st.just(1.0), st.floats(0.05, 5)),
    st.one_of(st.just(10**6), st.integers(1, 45)),
    st.one_of(st.just(1.0), st.floats(0.01, 1)),
    st.integers(0, 33),
)
@example([1.0, 1.0, 1.0, 1.0], 0, 1.0, 3, 1.0, 0)
@example([0.0] * 29, 1, 5.0, 29, 0.01, 3)
@example([30.0, -30.0], 1, 0.05, 1, 0.5, 0)
@example([-1e-12, 0.0], 0, 1.0, 10**6, 0.25, 0)
@example([0.0, 1.4e-10], 0, 1.0, 1, 1.0, 0)
def test_shares_are_the_softmaxs(
    logits: list[float], first: int, temperature: float, top_k: int, top_p: float, padding: int
) -> None:
    """Boundaries rise from 0 to exactly 2^30, and each is within 1e-6 of the cumulated probabilities; what is masked or
    cut off gets not a single word.
    """
    expected, margin = expected_shares(logits, first, temperature, top_k, top_p)
    assume(margin > 1e-5)
    boundaries = boundaries_of(logits, first, temperature, top_k, top_p, padding)
    steps = np.diff(boundaries.astype(np.int64), prepend=0)
    assert (steps >= 0).all()
    assert boundaries[-1] == ALL
    assert (steps[expected == 0] == 0).all()
    assert np.abs(boundaries / ALL - np.cumsum(expected)).max() <= 1e-6
    # What is kept gets its words: none of the likely ones is lost to an off-by-one.
    assert (steps[expected > 1e-6] > 0).all()


@pytest.mark.parametrize(
    ("top_k", "top_p", "kept"), [(2, 1.0, [0, 1]), (10, 0.5, [0, 1]), (3, 0.5, [0, 1]), (4, 0.26, [0, 1])]
)
def test_ties_go_to_the_lower_index(top_k: int, top_p: float, kept: list[int]) -> None:
    """Of four outcomes that are as probable, those of the lower indices are kept, and top_p keeps the fewest."""
    steps = np.diff(boundaries_of([2.0, 2.0, 2.0, 2.0], top_k=top_k, top_p=top_p), prepend=0)
    assert np.flatnonzero(steps).tolist() == kept
    assert (steps[kept] == ALL // len(kept)).all()


def test_ties_are_found_behind_the_most_probable() -> None:
    """The cut may fall among equals anywhere in the order: the most probable stays, then the first of the equals."""
    steps = np.diff(boundaries_of([0.0, 3.0, 0.0, 1.0, 0.0], top_k=3), prepend=0)
    assert np.flatnonzero(steps).tolist() == [0, 1, 3]


def test_top_p_takes_its_share_of_what_top_k_left() -> None:
    """Of four equals, top_k keeps two; half of what they have is one."""
    steps = np.diff(boundaries_of([0.0] * 4, top_k=2, top_p=0.5), prepend=0)
    assert steps.tolist() == [ALL, 0, 0, 0]


def test_the_mask_comes_first() -> None:
    """A masked end token is no candidate for top_k and has no share of top_p, however probable it was."""
    steps = np.diff(boundaries_of([50.0, 0.0, 1.0, 0.5], first=1, top_k=1), prepend=0)
    assert steps.tolist() == [0, 0, ALL, 0]
    steps = np.diff(boundaries_of([50.0, 0.0, 0.0, 0.0], first=1, top_p=0.6), prepend=0)
    assert steps.tolist() == [0, ALL // 2, ALL // 2, 0]


@settings(max_examples=100, deadline=None)
@given(LOGITS, st.integers(0, 1), st.floats(0.05, 5), st.integers(1, 45), st.floats(0.01, 1), st.integers(0, 40))
def test_machine_code_equals_plain_python(
    logits: list[float], first: int, temperature: float, top_k: int, top_p: float, padding: int
) -> None:
    """Compiled, and vectorised, boundaries have the bits that the same lines give when Python runs them, and what is
    behind the alphabet changes nothing.
    """
    V = len(logits)
    weight, plain = np.empty(V, np.float32), np.empty(V, np.int32)
    in_python: Any = fill_boundaries.py_func
    in_python(
        np.array(logits, np.float32), first, np.float32(temperature), min(top_k, V), np.float32(top_p), weight, plain
    )
    assert boundaries_of(logits, first, temperature, top_k, top_p, padding).tolist() == plain.tolist()
