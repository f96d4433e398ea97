"""Constraints and streams: every name obeys, candidates are judged in order, in pieces of any size."""

import itertools
import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models import NameGenerator, OptionError, SamplingOptions
from models.inference import AS_DRAWN, NDJSON, REASONS, TEXT, Constraints, NameStream, PrefixMemory
from models.inference.stream import CHUNK_SECONDS, FIRST_CHUNK, MIN_CHUNK
from models.kernel.prefix_cache import MAX_CHUNK
from models.spelling import capitalize
from tests.models.reference import fits

LETTERS = "adehiklmnorstuv"
PIECES = st.just("") | st.text(alphabet=LETTERS, max_size=2)
PATTERNS = st.text(alphabet=LETTERS + "??***", max_size=6)
LENGTHS = st.integers(3, 14)
ANY_CONSTRAINTS = st.one_of(
    st.builds(Constraints, max_length=LENGTHS, novel=st.booleans(), unique=st.booleans()),
    st.builds(Constraints, LENGTHS, PIECES, PIECES, st.just("") | PATTERNS, st.booleans(), st.booleans()),
)
ANY_OPTIONS = st.builds(
    SamplingOptions, temperature=st.floats(0.3, 3.0), prefix=PIECES, min_length=st.integers(1, 5), excludes=PIECES
)


def reason_against(name: str | None, rules: Constraints, listed: frozenset[str], seen: list[str]) -> str | None:
    """The reason for which the documentation refuses a candidate."""
    if name is None:
        return "max_length"
    if not name.endswith(rules.ends_with):
        return "ends_with"
    if rules.contains not in name:
        return "contains"
    if rules.pattern and not fits(rules.pattern, name):
        return "pattern"
    if rules.novel and name in listed:
        return "novel"
    return "unique" if rules.unique and name in seen else None


@settings(max_examples=110)
@given(ANY_OPTIONS, ANY_CONSTRAINTS, st.integers(1, 40), st.integers(0, 2**53 - 500), st.integers(1, 200))
@example(SamplingOptions(), Constraints(12, novel=True), 40, 60, 60)
@example(SamplingOptions(temperature=0.3), Constraints(12), 40, 0, 200)
def test_generate_equals_a_loop_over_single_candidates(
    generator: NameGenerator, options: SamplingOptions, rules: Constraints, count: int, offset: int, budget: int
) -> None:
    try:
        sampler = generator.prepare(options, rules)
    except OptionError:
        with pytest.raises(OptionError):
            generator.generate(count, seed=6, offset=offset, options=options, constraints=rules)
        return
    names: list[str] = []
    refused, attempts = dict.fromkeys(REASONS, 0), 0
    while len(names) < count and attempts < budget:
        name = sampler.candidates(6, offset + attempts, 1)[0]
        attempts += 1
        reason = reason_against(name, rules, generator.names, names)
        if reason:
            refused[reason] += 1
        else:
            names.append(str(name))
    for memory in (None, PrefixMemory(1)):
        batch = generator.generate(
            count, seed=6, offset=offset, options=options, constraints=rules, max_attempts=budget, memory=memory
        )
        assert (batch.names, batch.attempts, batch.refused) == (names, attempts, refused)
        assert batch.next_offset == offset + attempts
        assert batch.complete == (len(names) == count)
    for name in names:
        assert name.startswith(options.prefix)
        assert options.min_length <= len(name) <= sampler.longest
        assert not set(name) & set(options.excludes)


@settings(max_examples=80)
@given(ANY_OPTIONS, ANY_CONSTRAINTS, st.lists(st.integers(1, 9), min_size=1, max_size=5))
@example(SamplingOptions(), Constraints(), [1, 7, 20, 22])
def test_pages_join_without_gap_or_overlap(
    generator: NameGenerator, options: SamplingOptions, rules: Constraints, counts: list[int]
) -> None:
    rules = Constraints(rules.max_length, rules.ends_with, rules.contains, rules.pattern, rules.novel, False)
    arguments = {"seed": 1, "options": options, "constraints": rules}
    pages, offset = [], 0
    try:
        for count in counts:
            page = generator.generate(count, offset=offset, max_attempts=90, **arguments)
            pages += page.names
            offset = page.next_offset
    except OptionError:
        return
    whole = generator.generate(10**6, max_attempts=offset, **arguments)
    assert whole.names == pages
    assert whole.next_offset == offset


def test_excludes_renormalises_the_remaining_probabilities(generator: NameGenerator) -> None:
    free = {c.character: c.probability for c in generator.next_characters("k")}
    gone = "ae"
    options = SamplingOptions(prefix="k", excludes=gone)
    codes, lengths = generator.prepare(options, Constraints(max_length=2)).draw(3, 0, 20_000)
    # One that goes on has a second character; one of length 1 has ended.
    drawn = np.where(lengths == 1, 0, codes[:, 1])
    left = 1 - sum(free.get(c, 0.0) for c in gone)
    for character, probability in free.items():
        found = (drawn == generator.vocabulary.itos.index(character)).mean()
        expected = 0.0 if character in gone else probability / left
        assert found == pytest.approx(expected, abs=4 * (expected * (1 - expected) / len(drawn)) ** 0.5 + 1e-9)


def unsteady_clock(seed: int) -> Callable[[], float]:
    """A clock by which a chunk takes any time."""
    rng = np.random.default_rng(seed)
    return itertools.accumulate(rng.choice([1e-5, 1e-2, 1.0], 10_000)).__next__


@settings(max_examples=40)
@given(
    st.integers(1, 600),
    st.builds(
        lambda longest, spelling, novel, unique: Constraints(
            longest, ends_with=spelling[0], pattern=spelling[1], novel=novel, unique=unique
        ),
        st.integers(4, 12),
        st.sampled_from([("", ""), ("a", ""), ("", "k*?i*"), ("i", "*l*")]),
        st.booleans(),
        st.booleans(),
    ),
    st.booleans(),
    st.integers(1, 900),
    st.integers(0, 2**53 - 1001),
    st.integers(0, 99),
)
def test_stream_equals_generate(
    generator: NameGenerator, count: int, constraints: Constraints, title: bool, budget: int, offset: int, times: int
) -> None:
    options = SamplingOptions(0.7, prefix="ka")
    arguments = {"seed": 3, "offset": offset, "max_attempts": budget}
    sampler = generator.prepare(options, constraints)
    stream = NameStream(sampler, count, **arguments, clock=unsteady_clock(times))
    write, lines = generator.prepare().writer(TEXT, "title" if title else "lower"), b""
    while not stream.finished:
        lines += stream.next_bytes(write)
    batch = generator.generate(count, **arguments, options=options, constraints=constraints)
    assert lines.decode().splitlines() == [capitalize(name) if title else name for name in batch.names]
    assert (stream.attempts, stream.next_offset, stream.complete) == (batch.attempts, batch.next_offset, batch.complete)
    assert stream.refused == batch.refused
    assert stream.names == len(batch.names)


def test_ndjson_stream_has_one_object_a_line(generator: NameGenerator) -> None:
    stream, lines = NameStream(generator.prepare(), 50, seed=1), b""
    while not stream.finished:
        lines += stream.next_bytes(generator.prepare().writer(NDJSON, "title"))
    names = generator.generate(50, seed=1).names
    assert [json.loads(line) for line in lines.splitlines()] == [{"name": capitalize(name)} for name in names]


def test_unsatisfiable_options_are_refused_before_drawing(generator: NameGenerator) -> None:
    with pytest.raises(OptionError) as caught:
        generator.prepare(SamplingOptions(min_length=9), Constraints(max_length=8))
    assert caught.value.field == "min_length"


def test_stopped_generate_returns_an_incomplete_batch(generator: NameGenerator) -> None:
    stopped = iter([False, False, True])
    batch = generator.generate(9000, seed=1, constraints=AS_DRAWN, stopped=lambda: next(stopped))
    assert not batch.complete
    assert 0 < len(batch.names) < 9000
    assert batch.names == generator.generate(len(batch.names), seed=1, constraints=AS_DRAWN).names


def test_chunk_adapts_to_its_duration_within_bounds(generator: NameGenerator) -> None:
    ticks = iter([0, CHUNK_SECONDS / 100, 0, CHUNK_SECONDS * 2, 0, 1e9, *([0, 0] * 9)])
    sampler = generator.prepare(constraints=AS_DRAWN)
    stream = NameStream(sampler, 1_000_000, seed=1, clock=lambda: next(ticks))
    sizes = [stream.size]
    for _ in range(12):
        stream.next_names()
        sizes.append(stream.size)
    assert sizes[:4] == [FIRST_CHUNK, 4 * FIRST_CHUNK, 2 * FIRST_CHUNK, MIN_CHUNK]
    assert sizes[-1] == MAX_CHUNK
    assert all(b <= 4 * a for a, b in itertools.pairwise(sizes))


@pytest.mark.parametrize(
    ("missing", "passed", "attempts", "expected"),
    [(20, 0, 0, 20), (20, 500, 500, 20), (20, 500, 501, 40), (20, 0, 33, 20 * 33), (10, 10, 1000, 10 * 100)],
)
def test_chunk_grows_as_fewer_candidates_pass(
    generator: NameGenerator, missing: int, passed: int, attempts: int, expected: int
) -> None:
    stream = NameStream(generator.prepare(), passed + missing, seed=1, first_chunk=MAX_CHUNK)
    stream.names, stream.attempts = passed, attempts
    assert stream.size == expected
