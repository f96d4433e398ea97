"""Constraints: every name obeys them all, and candidates are looked at one by one in the order of their indices."""

import fnmatch
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import NameGenerator, OptionError, SamplingOptions
from models.inference import REASONS, Constraints, PrefixMemory
from models.inference.constraints import Sieve
from models.networks import Network

LETTERS = "adehiklmnorstuv"
PIECES = st.text(alphabet=LETTERS, max_size=2)
PATTERNS = st.text(alphabet=LETTERS + "??***", max_size=6)
ANY_CONSTRAINTS = st.builds(
    Constraints,
    max_length=st.integers(3, 14),
    ends_with=st.one_of(st.just(""), PIECES),
    contains=st.one_of(st.just(""), PIECES),
    pattern=st.one_of(st.just(""), PATTERNS),
    novel=st.booleans(),
    unique=st.booleans(),
)
ANY_OPTIONS = st.builds(
    SamplingOptions,
    temperature=st.floats(0.3, 3.0),
    prefix=st.one_of(st.just(""), PIECES),
    min_length=st.integers(1, 5),
    excludes=st.one_of(st.just(""), PIECES),
)
ANYWHERE = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def fits(pattern: str, name: str) -> bool:
    """A pattern by its definition, a character at a time."""
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(fits(pattern[1:], name[k:]) for k in range(len(name) + 1))
    return bool(name) and pattern[0] in ("?", name[0]) and fits(pattern[1:], name[1:])


def reason_against(name: str | None, wishes: Constraints, listed: frozenset[str], seen: set[str]) -> str | None:
    """Why a candidate is refused, by the words of the documentation."""
    if name is None:
        return "max_length"
    if not name.endswith(wishes.ends_with):
        return "ends_with"
    if wishes.contains not in name:
        return "contains"
    if wishes.pattern and not fits(wishes.pattern, name):
        return "pattern"
    if wishes.novel and name in listed:
        return "novel"
    return "unique" if wishes.unique and name in seen else None


@ANYWHERE
@given(ANY_OPTIONS, ANY_CONSTRAINTS, st.integers(1, 30), st.integers(0, 2**53 - 500), st.integers(1, 200))
def test_each_candidate_is_judged_alone_and_in_order(
    any_generator: tuple[NameGenerator, Network],
    options: SamplingOptions,
    wishes: Constraints,
    count: int,
    offset: int,
    budget: int,
) -> None:
    """An answer has the names, attempts and refusals of a loop that draws one candidate after the other and asks the
    constraints of the documentation; no candidate is left out, looked at twice or changed.
    """
    generator, _ = any_generator
    arguments = {"seed": 6, "options": options, "constraints": wishes}
    try:
        batch = generator.generate(count, offset=offset, max_attempts=budget, memory=PrefixMemory(1), **arguments)  # type: ignore[arg-type]
    except OptionError:
        return
    prefix, longest = generator.opening(options, wishes, 6, offset)
    names: list[str] = []
    refused, attempts = dict.fromkeys(REASONS, 0), 0
    while len(names) < count and attempts < budget:
        name = generator.candidates(prefix, options, longest, 6, offset + attempts, 1)[0]
        attempts += 1
        reason = reason_against(name, wishes, generator.names, set(names))
        if reason:
            refused[reason] += 1
        else:
            names.append(str(name))
    assert (batch.names, batch.attempts, batch.refused) == (names, attempts, refused)
    assert batch.next_offset == offset + attempts
    assert batch.complete == (len(names) == count)
    for name in names:
        assert name.startswith(options.prefix)
        assert options.min_length <= len(name) <= longest
        assert not set(name) & set(options.excludes)


@ANYWHERE
@given(ANY_OPTIONS, ANY_CONSTRAINTS, st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_pages_under_constraints_have_no_gap_and_no_overlap(
    any_generator: tuple[NameGenerator, Network], options: SamplingOptions, wishes: Constraints, counts: list[int]
) -> None:
    """Pages that go on at next_offset are, one after the other, the names of one large answer without `unique`."""
    generator, _ = any_generator
    wishes = Constraints(wishes.max_length, wishes.ends_with, wishes.contains, wishes.pattern, wishes.novel, False)
    pages, offset = [], 0
    try:
        for count in counts:
            page = generator.generate(
                count, seed=1, offset=offset, options=options, constraints=wishes, max_attempts=90
            )
            pages += page.names
            offset = page.next_offset
    except OptionError:
        return
    whole = generator.generate(10**6, seed=1, options=options, constraints=wishes, max_attempts=offset)
    assert whole.names == pages
    assert whole.next_offset == offset


@given(PATTERNS, st.text(alphabet=LETTERS + "[]!-", max_size=8))
def test_patterns_mean_what_they_say(pattern: str, name: str) -> None:
    """? is one character and * any run, whatever a name holds; brackets mean themselves."""
    for written in (pattern, pattern + "[!a]", f"*{pattern}[a-k]*"):
        sieve = Sieve(Constraints(pattern=written, unique=False), frozenset())
        passing, _ = sieve.sift([name, name + "[!a]"], 2)
        assert list(passing) == [
            k for k, text in enumerate([name, name + "[!a]"]) if not written or fits(written, text)
        ]


def test_a_pattern_of_many_stars_takes_no_longer_than_the_name() -> None:
    """The expression that patterns become tries no star twice: the worst one ends at once, and is the library's."""
    worst = "*a" * 30 + "b"
    sieve = Sieve(Constraints(pattern=worst, unique=False), frozenset())
    assert sieve.sift(["a" * 64] * 1000, 1)[0] == []
    assert sieve.refused["pattern"] == 1000
    assert not re.compile(fnmatch.translate(worst)).fullmatch("a" * 64)


def test_excluded_characters_leave_the_others_in_proportion(any_generator: tuple[NameGenerator, Network]) -> None:
    """What is drawn under `excludes` has the model's own probabilities divided by what is left at each step."""
    generator, _ = any_generator
    free = {c.character: c.probability for c in generator.next_characters("k")}
    gone = "ae"
    options = SamplingOptions(prefix="k", excludes=gone)
    prefix, _ = generator.opening(options, Constraints(), 3, 0)
    codes, lengths = generator.draw(prefix, options, 2, 3, 0, 20_000)
    # One that goes on has a second character; one of length 1 has ended.
    drawn = np.where(lengths == 1, 0, codes[:, 1])
    left = 1 - sum(free.get(c, 0.0) for c in gone)
    for character, probability in free.items():
        found = (drawn == generator.vocabulary.itos.index(character)).mean()
        expected = 0.0 if character in gone else probability / left
        assert found == pytest.approx(expected, abs=4 * (expected * (1 - expected) / len(drawn)) ** 0.5 + 1e-9)
