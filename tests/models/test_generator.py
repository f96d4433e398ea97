"""The promise about candidate i, the constraints that refuse, and the scores: against brute force and the torch
network.
"""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import ModelConfig, NameGenerator, OptionError, SamplingOptions, UnknownCharacter
from models.inference import AS_DRAWN, TEXT, Constraints, NameStream
from models.networks import Network
from models.spelling import capitalize, normalize
from models.vocabulary import Vocabulary

MakeGenerator = Callable[[ModelConfig, tuple[str, ...]], NameGenerator]


def all_candidates(generator: NameGenerator, options: SamplingOptions, longest: int, n: int) -> list[str | None]:
    """Candidates 0 .. n - 1, each from a call of its own: the slow path."""
    prefix = np.array(generator.vocabulary.encode(options.prefix), np.int64)
    return [generator.candidates(prefix, options, longest, 5, i, 1)[0] for i in range(n)]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 40), st.integers(0, 60), st.booleans(), st.booleans(), st.integers(3, 12))
def test_an_answer_is_the_candidates_that_pass(
    any_generator: tuple[NameGenerator, Network], count: int, offset: int, unique: bool, novel: bool, longest: int
) -> None:
    """generate() gives the candidates in order, less those that a plain loop over single candidates refuses."""
    generator, _ = any_generator
    batch = generator.generate(
        count, seed=5, offset=offset, constraints=Constraints(longest, novel=novel, unique=unique), max_attempts=60
    )
    expected: list[str] = []
    attempts = 0
    for name in all_candidates(generator, SamplingOptions(), longest, offset + 60)[offset:]:
        if len(expected) == count:
            break
        attempts += 1
        if name is None or (novel and name in generator.names) or (unique and name in expected):
            continue
        expected.append(name)
    assert batch.names == expected
    assert batch.attempts == attempts
    assert batch.next_offset == offset + attempts
    assert batch.complete == (len(expected) == count)
    assert sum(batch.refused.values()) == attempts - len(expected)


def test_pages_join_without_gap(any_generator: tuple[NameGenerator, Network]) -> None:
    """Pages that go on at next_offset give, in all, the names of one large answer."""
    generator, _ = any_generator
    whole = generator.generate(50, seed=9, constraints=AS_DRAWN)
    offset, pages = 0, []
    for count in (1, 7, 20, 22):
        page = generator.generate(count, seed=9, offset=offset, constraints=AS_DRAWN)
        pages += page.names
        offset = page.next_offset
    assert pages == whole.names
    assert offset == whole.next_offset


def test_a_candidate_does_not_know_its_max_length(any_generator: tuple[NameGenerator, Network]) -> None:
    """A larger max_length adds names and changes none: it refuses, it never cuts."""
    generator, _ = any_generator
    options = SamplingOptions()
    short = all_candidates(generator, options, 6, 200)
    long = all_candidates(generator, options, 30, 200)
    assert [s for s in short if s is not None] == [n for n in long if n is not None and len(n) <= 6]
    assert any(n is not None for n in short)


def test_every_name_starts_with_the_prefix_and_has_the_length(any_generator: tuple[NameGenerator, Network]) -> None:
    """Every name obeys prefix, min_length and max_length; the prefix is folded but not trimmed."""
    generator, _ = any_generator
    options = SamplingOptions(prefix="KA", min_length=4)
    batch = generator.generate(100, seed=1, options=options, constraints=Constraints(max_length=20, unique=False))
    assert batch.names
    assert all(name.startswith("ka") and 4 <= len(name) <= 20 for name in batch.names)


def test_novel_leaves_out_the_list(any_generator: tuple[NameGenerator, Network]) -> None:
    """novel gives no name of the list, and says how many it refused."""
    generator, _ = any_generator
    options = SamplingOptions(temperature=0.5, prefix="kaka", min_length=6)
    free = generator.generate(300, seed=2, options=options, constraints=AS_DRAWN)
    novel = generator.generate(300, seed=2, options=options, constraints=Constraints(unique=False, novel=True))
    assert not set(novel.names) & generator.names
    known = [name for name in free.names if name in generator.names]
    assert novel.refused["novel"] >= len(known)


def test_scores_equal_the_networks(any_generator: tuple[NameGenerator, Network]) -> None:
    """A score's log-probabilities are torch's log-softmax to 1e-4, and they sum to the total."""
    generator, network = any_generator
    for score in generator.score(["kalomi", "ka", "rentushavel", "Dri"]):
        outcomes = torch.tensor([*generator.vocabulary.encode(score.name), 0])
        ids = torch.cat([torch.zeros(1, dtype=torch.int64), outcomes[:-1]])
        logits = network.names(ids, torch.arange(len(ids))).detach().double()
        expected = logits.log_softmax(1)[torch.arange(len(ids)), outcomes].tolist()
        got = [step.log_prob for step in score.characters]
        assert got == pytest.approx(expected, abs=1e-4)
        assert score.log_prob == pytest.approx(math.fsum(got), abs=1e-5)
        assert "".join(step.character for step in score.characters) == score.name + "."
        assert score.in_training == (score.name in generator.names)


def test_what_was_drawn_is_judged_as_it_was_drawn(make_generator: MakeGenerator) -> None:
    """A name that no list would have, because it ends in a blank, is judged character by character; as a name of a list
    it is another one.
    """
    config = ModelConfig(architecture="mlp", block_size=3, n_embd=4, n_hidden=8)
    generator = make_generator(config, ("a e", "van e", "evan"))
    [drawn] = generator.judge(["a e "])
    assert (drawn.name, drawn.in_training) == ("a e ", False)
    assert "".join(step.character for step in drawn.characters) == "a e ."
    [listed] = generator.score(["a e "])
    assert (listed.name, listed.in_training) == ("a e", True)


@pytest.mark.parametrize(
    "listed",
    [("r\u00e9", "e\u0301\u0323", "a e", "\u00e9"), ("\u0131\u015f", "i\u015f", "i\u0131")],
    ids=["marks", "dots"],
)
def test_twins_are_one_name(make_generator: MakeGenerator, listed: tuple[str, ...]) -> None:
    """Where an alphabet has marks, blanks or letters with one capital (ı and i), what looks like a name of the list is
    not new, and what looks like one that was told is a repeat: by brute force, each look of a candidate comes once.
    """
    generator = make_generator(ModelConfig(architecture="bigram", block_size=1), listed)
    assert generator.vocabulary.loose
    drawn = generator.generate(400, seed=1, constraints=Constraints(unique=False), max_attempts=400).names
    looks = {name: normalize(capitalize(name)) for name in {*drawn, *listed}}
    known = {looks[name] for name in listed}
    assert any(name != look for name, look in looks.items())
    for wishes in (Constraints(novel=True), Constraints(), Constraints(novel=True, unique=False)):
        names = generator.generate(400, seed=1, constraints=wishes, max_attempts=400).names
        stream, lines = NameStream(generator, 400, seed=1, constraints=wishes, max_attempts=400), b""
        while not stream.finished:
            lines += stream.piece(generator.writer(TEXT, title=False))
        expected, seen = [], set[str]()
        for name in drawn:
            if not (wishes.novel and looks[name] in known) and not (wishes.unique and looks[name] in seen):
                expected.append(name)
                seen.add(looks[name])
        assert names == expected
        assert lines.decode().split("\n")[:-1] == expected


def test_plain_alphabets_have_no_twins() -> None:
    """Letters alone spell each name in one way."""
    assert not Vocabulary(tuple("abc\u00e9\u00df")).loose
    assert Vocabulary(("a", " ")).loose
    assert Vocabulary(("i", "\u0131")).loose
    assert Vocabulary(("\u1100", "\u1161")).loose


def test_scores_are_a_distribution(any_generator: tuple[NameGenerator, Network]) -> None:
    """The probabilities of all names of up to two characters never sum to more than 1."""
    generator, _ = any_generator
    alphabet = generator.vocabulary.characters
    names = ["".join(parts) for n in (1, 2) for parts in itertools.product(alphabet, repeat=n)]
    total = math.fsum(math.exp(score.log_prob) for score in generator.score(names))
    assert 0 < total <= 1 + 1e-5


# More letters than the lists of these tests have.
EVERY_LETTER = "".join(map(chr, range(32, 0x250)))


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"options": SamplingOptions(prefix="kalomi"), "constraints": Constraints(5)}, "prefix"),
        ({"options": SamplingOptions(min_length=9), "constraints": Constraints(8)}, "min_length"),
        ({"constraints": Constraints(65)}, "max_length"),
        ({"constraints": Constraints(0)}, "max_length"),
        ({"options": SamplingOptions(prefix="ka", excludes="xKy")}, "prefix"),
        ({"options": SamplingOptions(excludes=EVERY_LETTER)}, "excludes"),
        ({"options": SamplingOptions(excludes="a"), "constraints": Constraints(ends_with="la")}, "ends_with"),
        ({"options": SamplingOptions(excludes="a"), "constraints": Constraints(contains="A")}, "contains"),
        ({"options": SamplingOptions(excludes="a"), "constraints": Constraints(pattern="*a?")}, "pattern"),
        ({"constraints": Constraints(4, ends_with="kalom")}, "ends_with"),
        ({"options": SamplingOptions(prefix="kal"), "constraints": Constraints(4, ends_with="om")}, "ends_with"),
        ({"constraints": Constraints(4, contains="kalom")}, "contains"),
        ({"constraints": Constraints(4, pattern="k??*??")}, "pattern"),
        ({"options": SamplingOptions(min_length=6), "constraints": Constraints(pattern="?????")}, "pattern"),
        ({"options": SamplingOptions(prefix="ka"), "constraints": Constraints(pattern="?o*")}, "pattern"),
        ({"options": SamplingOptions(prefix="kal"), "constraints": Constraints(pattern="k?")}, "pattern"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**53}, "seed"),
        ({"offset": 2**53}, "offset"),
    ],
)
def test_impossible_requests_are_refused_at_once(
    any_generator: tuple[NameGenerator, Network], arguments: dict[str, object], field: str
) -> None:
    """What no candidate could ever meet raises an error that names the field and what is allowed."""
    generator, _ = any_generator
    with pytest.raises(OptionError) as caught:
        generator.generate(1, **{"seed": 0, **arguments})  # type: ignore[arg-type]
    assert caught.value.field == field
    assert caught.value.allowed


def test_a_foreign_prefix_is_refused(any_generator: tuple[NameGenerator, Network]) -> None:
    """A prefix with characters outside the alphabet raises an error whose safe part does not repeat it."""
    generator, _ = any_generator
    with pytest.raises(UnknownCharacter) as caught:
        generator.generate(1, seed=0, options=SamplingOptions(prefix="kaþ"))
    assert caught.value.field == "prefix"
    assert "þ" in str(caught.value)
    assert "þ" not in caught.value.allowed
