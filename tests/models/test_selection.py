"""Selection over codes rejects, counts and remembers what the filter over text does, and what the definition says."""

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models import Kernels, Vocabulary
from models.inference import REASONS, Constraints
from models.inference.constraints import REFUSED, UNSAFE, ConstraintFilter
from models.inference.selection import FREE, NO_NAMES, empty_table, parts_of, rules_of, select, table_of
from models.kernel.sample import TOO_LONG
from tests.models.reference import coded, fits

# A list may have the signs of a pattern.
LETTERS = "abc?*"
LONGEST = 9
NAMES = st.text(LETTERS, max_size=6)
CANDIDATES = st.lists(st.sampled_from([None, "unsafe"]) | NAMES, min_size=1, max_size=30)
CONSTRAINTS = st.builds(
    Constraints,
    st.none(),
    st.text(LETTERS, max_size=2),
    st.text(LETTERS, max_size=2),
    st.text("abc??***", max_size=5),
    st.booleans(),
    st.booleans(),
)


def codes_of(candidates: list[str | None], vocabulary: Vocabulary) -> tuple[np.ndarray, np.ndarray]:
    """Candidates as the sampler gives them; "unsafe" is marked, None is too long."""
    _, codes, lengths = coded([None if name == "unsafe" else name for name in candidates], vocabulary)
    lengths[[name is None for name in candidates]] = TOO_LONG
    lengths[[name == "unsafe" for name in candidates]] = UNSAFE
    return codes, lengths


@settings(max_examples=300)
@given(CANDIDATES, CONSTRAINTS, st.frozensets(NAMES, max_size=8), st.integers(1, 20), st.integers(1, 30))
@example(["a", "a", "b", "ab"], Constraints(), frozenset(), 2, 3)
@example(["?a", "ba", "*a", "a*"], Constraints(pattern="?a"), frozenset(), 9, 9)
@example(["", "abc", "", "cba"], Constraints(pattern="*"), frozenset({"", "cba"}), 9, 2)
def test_selection_over_codes_equals_the_filter_over_text(
    kernels: Kernels,
    candidates: list[str | None],
    constraints: Constraints,
    listed: frozenset[str],
    wanted: int,
    chunk: int,
) -> None:
    vocabulary = Vocabulary(tuple(LETTERS))
    known = table_of(listed, vocabulary, kernels.place_names) if constraints.novel else NO_NAMES
    rules = rules_of(constraints, vocabulary, known)
    seen = empty_table(wanted if constraints.unique else 0, LONGEST)
    slow = ConstraintFilter(constraints, listed)
    counts, expected = np.zeros((2, REFUSED + len(REASONS)), np.int64)
    for first in range(0, len(candidates), chunk):
        part = candidates[first : first + chunk]
        codes, lengths = codes_of(part, vocabulary)
        by_text = lengths.copy()
        select(codes, lengths, rules, seen, wanted, counts)
        slow.select(
            [name if k >= 0 else None for name, k in zip(part, by_text, strict=True)], by_text, wanted, expected
        )
        assert counts.tolist() == expected.tolist()
        assert (lengths >= 0).tolist() == (by_text >= 0).tolist()


@settings(max_examples=300)
@given(st.text("abc??***", max_size=6), NAMES)
def test_patterns_mean_what_their_definition_says(pattern: str, name: str) -> None:
    vocabulary = Vocabulary(tuple(LETTERS))
    codes, lengths = codes_of([name], vocabulary)
    counts = np.zeros(REFUSED + len(REASONS), np.int64)
    select(codes, lengths, rules_of(Constraints(pattern=pattern), vocabulary, NO_NAMES), NO_NAMES, 1, counts)
    assert (lengths[0] >= 0) == (not pattern or fits(pattern, name))


@given(st.text("ab??***", max_size=6), st.text("ab[]!-", max_size=8))
def test_brackets_in_patterns_are_letters(pattern: str, name: str) -> None:
    for written in (pattern, pattern + "[!a]", f"*{pattern}[a-k]*"):
        lengths, counts = np.array([len(name)], np.int32), np.zeros(REFUSED + len(REASONS), np.int64)
        ConstraintFilter(Constraints(pattern=written), frozenset()).select([name], lengths, 1, counts)
        assert (lengths[0] >= 0) == (not written or fits(written, name))


def test_pattern_of_many_stars_does_not_backtrack() -> None:
    """With backtracking, the worst pattern would never end."""
    worst, names = "*a" * 30 + "b", ["a" * 64] * 1000
    vocabulary = Vocabulary(tuple(LETTERS))
    codes, lengths = codes_of(list(names), vocabulary)
    counts, expected = np.zeros((2, REFUSED + len(REASONS)), np.int64)
    constraints = Constraints(pattern=worst, unique=False)
    ConstraintFilter(constraints, frozenset()).select(names, lengths.copy(), 1, expected)
    select(codes, lengths, rules_of(constraints, vocabulary, NO_NAMES), NO_NAMES, 1, counts)
    assert counts.tolist() == expected.tolist()
    assert counts[REFUSED + REASONS.index("pattern")] == 1000


@settings(max_examples=100)
@given(st.sets(st.text("abcdefgh", max_size=5), max_size=60))
def test_table_holds_exactly_the_names_it_was_made_of(kernels: Kernels, names: set[str]) -> None:
    vocabulary = Vocabulary(tuple("abcdefg"))
    table = parts_of.py_func(table_of(names, vocabulary, kernels.place_names))
    rows = table.places[table.places != FREE] - 1
    found = {vocabulary.decode(table.codes[k, : table.lengths[k]].tolist()) for k in rows}
    assert found == {name for name in names if "h" not in name}
    assert len(rows) == len(found)
    assert not names or len(table.places) >= 2 * len(found)


@pytest.mark.parametrize("names", [0, 1, 2, 3, 10_000])
def test_empty_table_has_places_to_spare(names: int) -> None:
    table = parts_of.py_func(empty_table(names, LONGEST))
    assert table.codes.shape == (names, LONGEST)
    assert not table.places.any()
    assert len(table.places) == 0 if names == 0 else re.fullmatch("10*", f"{len(table.places):b}")
    assert len(table.places) >= 2 * names
