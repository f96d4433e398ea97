"""Names above a likelihood, against a search in plain Python and against scores; and how they are divided."""

import fnmatch
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import Constraints, Kernels, NameGenerator, SamplingOptions
from models.bulk import Enumeration, Listed, Span
from models.inference import BlendPredictor
from models.kernel.arithmetic import exp_64, log_64
from models.kernel.enumeration import MICROS
from models.store.publishing import draft_generator
from tests.conftest import CONFIGS
from tests.models.reference import untrained_generator
from tests.models.styled import CONFIGS as STYLED
from tests.models.styled import draft_with, styled_network
from tests.models.test_int8_draws import MODEL, generator_of

LONGEST = 9
LEAST = -8.0
ELVES = ("kalomi", "renka", "tusha", "velor", "nedri", "olka")
ORCS = ("groak", "znul", "krasha", "-elen")


def models(kernels: Kernels) -> dict[str, NameGenerator]:
    """A small generator of each kind."""
    floats = {name: untrained_generator(config, ELVES, kernels) for name, config in CONFIGS.items()}
    orcs = untrained_generator(CONFIGS["mlp"], ORCS, kernels)
    pair = [floats["lstm"].predictor, orcs.predictor]
    blend = NameGenerator(BlendPredictor(pair, kernels), ELVES + ORCS, 16, kernels, (0.7, 0.3))
    return {**floats, "blend": blend, "int8": generator_of(MODEL, kernels)}


@pytest.fixture(scope="module", params=[*CONFIGS, "blend", "int8"])
def small(request: pytest.FixtureRequest, kernels: Kernels) -> NameGenerator:
    return models(kernels)[request.param]


@pytest.fixture(scope="module")
def elves(kernels: Kernels) -> NameGenerator:
    return untrained_generator(CONFIGS["wavenet"], ELVES, kernels)


def enumeration(
    generator: NameGenerator, least: float, options: SamplingOptions | None = None, **constraints: object
) -> Enumeration:
    """An enumeration of names with up to LONGEST characters."""
    given = {"max_length": LONGEST, "unique": False, **constraints}
    return Enumeration(generator.prepare(options, Constraints(**given)), least)  # type: ignore[arg-type]


def texts(generator: NameGenerator, listed: Listed) -> list[str]:
    """The names as text, in their order."""
    return [generator.vocabulary.decode(row) for row in listed.codes.tolist()]


def search(generator: NameGenerator, least: float) -> dict[str, float]:
    """The names and log-probabilities, prefix by prefix with the logits of `/score`."""
    found, waiting = dict[str, float](), [("", 0.0)]
    while waiting:
        prefix, before = waiting.pop()
        logits = generator.predictor.logits(np.array([0, *generator.vocabulary.encode(prefix)]), generator.shares)[-1]
        wide = logits.astype(np.float64) - logits.max()
        steps = [round(before + round(value, 6), 6) for value in (wide - np.log(np.exp(wide).sum())).tolist()]
        if prefix and steps[0] >= least:
            found[prefix] = steps[0]
        if len(prefix) < LONGEST:
            letters = zip(generator.vocabulary.characters, steps[1:], strict=True)
            waiting += [(prefix + letter, value) for letter, value in letters if value >= least]
    return found


def test_names_and_log_probabilities_equal_a_plain_search(small: NameGenerator) -> None:
    listed = enumeration(small, LEAST).names(Span(0))
    names = texts(small, listed)
    expected = search(small, LEAST)
    assert dict(zip(names, (listed.log_probs / MICROS).tolist(), strict=True)) == expected
    assert len(names) == len(expected) > 20
    assert listed.lengths.tolist() == [len(name) for name in names]
    codes = [small.vocabulary.encode(name) for name in names]
    assert codes == sorted(codes)
    assert [score.log_prob for score in small.judge(names)] == (listed.log_probs / MICROS).tolist()


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 1000])
def test_parts_joined_are_the_whole(small: NameGenerator, parts: int) -> None:
    whole = enumeration(small, LEAST - 2)
    expected, spans = whole.names(Span(0)), whole.spans(parts)
    found = [whole.names(span) for span in spans]
    assert texts(small, expected) == [name for part in found for name in texts(small, part)]
    assert np.array_equal(expected.log_probs, np.concatenate([part.log_probs for part in found]))
    assert [span.first for span in spans] == [*range(len(spans))]
    assert len(spans) <= parts


def test_parts_are_of_about_one_size(elves: NameGenerator) -> None:
    whole = enumeration(elves, -17.0)
    sizes = [len(whole.names(span).lengths) for span in whole.spans(8)]
    assert len(sizes) == 8
    assert max(sizes) < 2 * sum(sizes) / 8


PREFIXES = st.lists(st.integers(1, 10), max_size=4).map(tuple)


@settings(max_examples=60)
@given(bounds=st.lists(PREFIXES, max_size=4, unique=True).map(sorted))
def test_spans_between_any_prefixes_are_disjoint(elves: NameGenerator, bounds: Sequence[tuple[int, ...]]) -> None:
    whole = enumeration(elves, LEAST - 2)
    edges = [(), *(bound for bound in bounds if bound), ()]
    found = [texts(elves, whole.names(Span(k, edges[k], edges[k + 1]))) for k in range(len(edges) - 1)]
    assert [name for part in found for name in part] == texts(elves, whole.names(Span(0)))


def test_probabilities_add_up_to_what_is_left_out(small: NameGenerator) -> None:
    """What a lower limit adds was missing before, and all names together have at most the whole."""
    sums = [math.fsum(np.exp(enumeration(small, least).names(Span(0)).log_probs / MICROS)) for least in (-8, -10, -12)]
    assert 0 < sums[0] < sums[1] < sums[2] <= 1 + 1e-5


@pytest.mark.parametrize(
    ("options", "constraints"),
    [
        ({"prefix": "ka"}, {}),
        ({"prefix": "KA", "excludes": "o"}, {"max_length": 5}),
        ({"min_length": 4, "excludes": "aT"}, {}),
        ({}, {"pattern": "?a*"}),
        ({}, {"pattern": "k??"}),
        ({"prefix": "k"}, {"pattern": "*a?o*", "contains": "l"}),
        ({}, {"ends_with": "a", "contains": "k", "max_length": 4}),
        ({}, {"novel": True}),
    ],
)
def test_constraints_filter_and_change_no_log_probability(
    elves: NameGenerator, options: dict[str, object], constraints: dict[str, object]
) -> None:
    least = -13.0
    o = SamplingOptions(**options)  # type: ignore[arg-type]
    c = Constraints(**{"max_length": LONGEST, **constraints})  # type: ignore[arg-type]

    def fits(name: str) -> bool:
        return (
            name.startswith(o.prefix.lower())
            and len(name) >= o.min_length
            and set(name).isdisjoint(o.excludes)
            and len(name) <= (c.max_length or 0)
            and name.endswith(c.ends_with)
            and c.contains in name
            and (not c.pattern or fnmatch.fnmatchcase(name, c.pattern))
            and not (c.novel and name in ELVES)
        )

    listed = enumeration(elves, least, o, **constraints).names(Span(0))
    everything = enumeration(elves, least).names(Span(0))
    expected = {n: p for n, p in zip(texts(elves, everything), everything.log_probs, strict=True) if fits(n)}
    assert dict(zip(texts(elves, listed), listed.log_probs, strict=True)) == expected
    assert 0 < len(expected) < len(everything.lengths) or c.novel


def test_style_has_names_of_its_own(kernels: Kernels) -> None:
    from_style = generator_with_styles(kernels).styled({"gender": "feminine"})
    listed = enumeration(from_style, LEAST).names(Span(0))
    assert dict(zip(texts(from_style, listed), (listed.log_probs / MICROS).tolist(), strict=True)) == search(
        from_style, LEAST
    )
    assert texts(from_style, listed) != texts(
        from_style, enumeration(generator_with_styles(kernels), LEAST).names(Span(0))
    )


def generator_with_styles(kernels: Kernels) -> NameGenerator:
    """A small LSTM with styles."""
    from_draft = draft_with(styled_network(STYLED["lstm"]))
    return draft_generator(from_draft, kernels)


def test_limit_of_zero_has_no_names(small: NameGenerator) -> None:
    whole = enumeration(small, 0)
    assert [len(whole.names(span).lengths) for span in whole.spans(5)] == [0]


@given(st.floats(-700, 0))
def test_exponential_is_within_two_units(x: float) -> None:
    assert abs(exp_64.py_func(np.float64(x)) - math.exp(x)) <= 2 * math.ulp(math.exp(x))


@given(st.floats(1, 5000))
def test_logarithm_is_within_two_units(x: float) -> None:
    exact = math.log(x)
    assert abs(log_64.py_func(np.float64(x)) - exact) <= 2 * math.ulp(max(exact, 2**-50))
