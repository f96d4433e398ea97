"""The stream against `generate`: the same names, attempts and refusals, whatever the sizes of its pieces."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import NameGenerator, OptionError, SamplingOptions
from models.inference import AS_DRAWN, NDJSON, TEXT, Constraints, NameStream
from models.inference.pace import FEWEST, FIRST, GOAL, MOST, Pace, enough
from models.networks import Network
from models.spelling import capitalize


def unsteady(seed: int) -> Pace:
    """A pace whose pieces take any time."""
    rng = np.random.default_rng(seed)
    ticks = itertools.accumulate(rng.choice([1e-5, 1e-2, 1.0], 10_000))
    return Pace(lambda: next(ticks))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 600),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([("", ""), ("a", ""), ("", "k*?i*"), ("i", "*l*")]),
    st.integers(4, 12),
    st.integers(1, 900),
    st.data(),
)
def test_a_stream_is_what_generate_gives(
    any_generator: tuple[NameGenerator, Network],
    count: int,
    unique: bool,
    novel: bool,
    title: bool,
    spelling: tuple[str, str],
    longest: int,
    budget: int,
    data: st.DataObject,
) -> None:
    """Names, attempts, refusals and completeness are those of generate(), in pieces of any size."""
    generator, _ = any_generator
    offset = data.draw(st.integers(0, 2**53 - 1001))
    arguments = {
        "seed": 3,
        "offset": offset,
        "options": SamplingOptions(0.7, prefix="ka"),
        "constraints": Constraints(longest, ends_with=spelling[0], pattern=spelling[1], novel=novel, unique=unique),
        "max_attempts": budget,
    }
    stream = NameStream(generator, count, **arguments, pace=unsteady(data.draw(st.integers(0, 99))))  # type: ignore[arg-type]
    write, lines = generator.writer(TEXT, title), b""
    while not stream.finished:
        lines += stream.piece(write)
    batch = generator.generate(count, **arguments)  # type: ignore[arg-type]
    assert lines.decode().splitlines() == [capitalize(name) if title else name for name in batch.names]
    assert (stream.attempts, stream.next_offset, stream.complete) == (batch.attempts, batch.next_offset, batch.complete)
    assert stream.refused == batch.refused
    assert stream.names == len(batch.names)


def test_ndjson_has_an_object_a_line(any_generator: tuple[NameGenerator, Network]) -> None:
    """Each line of NDJSON is an object with the name."""
    generator, _ = any_generator
    stream = NameStream(generator, 50, seed=1)
    lines = b""
    while not stream.finished:
        lines += stream.piece(generator.writer(NDJSON, True))
    records = [json.loads(line) for line in lines.splitlines()]
    expected = generator.generate(50, seed=1).names
    assert records == [{"name": capitalize(name)} for name in expected]


def test_impossible_streams_are_refused_before_anything_is_drawn(any_generator: tuple[NameGenerator, Network]) -> None:
    """What generate() refuses, the stream's constructor refuses."""
    generator, _ = any_generator
    with pytest.raises(OptionError) as caught:
        NameStream(generator, 1, seed=0, options=SamplingOptions(min_length=9), constraints=Constraints(max_length=8))
    assert caught.value.field == "min_length"


def test_generate_stops_when_told(any_generator: tuple[NameGenerator, Network]) -> None:
    """Where `stopped` comes true after the second piece, the answer is the first names, and incomplete."""
    generator, _ = any_generator
    asked = iter([False, False, True])
    batch = generator.generate(9000, seed=1, constraints=AS_DRAWN, stopped=lambda: next(asked))
    assert not batch.complete
    assert 0 < len(batch.names) < 9000
    assert batch.names == generator.generate(len(batch.names), seed=1, constraints=AS_DRAWN).names


def test_pieces_keep_to_their_time() -> None:
    """Pieces become four times as large while they are quick, as small as their time asks for, and stay in bounds."""
    ticks = iter([0, GOAL / 100, 0, GOAL * 2, 0, 1e9, *([0, 0] * 9)])
    pace = Pace(lambda: next(ticks))
    sizes = [pace.size]
    for _ in range(12):
        with pace.measured(pace.size):
            pass
        sizes.append(pace.size)
    assert sizes[:4] == [FIRST, 4 * FIRST, 2 * FIRST, FEWEST]
    assert sizes[-1] == MOST
    assert all(b <= 4 * a for a, b in itertools.pairwise(sizes))


def test_rare_names_are_looked_for_in_large_pieces() -> None:
    """No more than what is wanted is drawn at first, and then the more of it the fewer passed so far."""
    assert enough(20, 0, 0) == 20
    assert enough(20, 500, 500) == 20
    assert enough(20, 500, 501) == 40
    assert enough(20, 0, 33) == 20 * 33
    assert enough(10, 10, 1000) == 10 * 100
