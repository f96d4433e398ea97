"""Draws, names and scores of a generator, against brute force, the torch network and plain Python."""

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from models import Kernels, ModelConfig, NameGenerator, OptionError, SamplingOptions, UnknownCharacter
from models.inference import AS_DRAWN, TEXT, Constraints, NameStream
from models.inference.generator import _looks
from models.inference.keyword_filter import Automaton, Keywords
from models.kernel import sample
from models.kernel.evaluate import Program, Tree
from models.networks import Network
from models.spelling import capitalize, normalize, twin
from models.vocabulary import Vocabulary
from tests.conftest import CONFIGS
from tests.models.reference import draw, expected_shares, untrained_generator

DRAWS = 40_000


@pytest.fixture(scope="module")
def every_generator(kernels: Kernels, made_up_names: tuple[str, ...]) -> list[NameGenerator]:
    """A generator of each architecture."""
    return [untrained_generator(config, made_up_names, kernels) for config in CONFIGS.values()]


def test_frozen_logits_equal_the_network(generator: NameGenerator, network: Network) -> None:
    """Within 1e-5 of the largest logit: they are 15 times those of a fresh network here."""
    rng = np.random.default_rng(0)
    for T in range(1, 41):
        ids = rng.integers(1, generator.vocab_size, T)
        ids[0] = 0
        out = generator.predictor.logits(ids, generator.shares)
        expected = network.names(torch.from_numpy(ids), torch.arange(T)).detach().numpy()
        assert np.abs(out - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


def expected_distribution(
    network: Network, generator: NameGenerator, options: SamplingOptions, text: str
) -> np.ndarray:
    """The probabilities of what follows `text` under `options`, by the network's softmax."""
    ids = torch.tensor([0, *generator.vocabulary.encode(text)])
    logits = network.names(ids, torch.arange(len(ids)))[-1].tolist()
    top_k, top_p = options.top_k or len(logits), options.top_p or 1.0
    return expected_shares(logits, int(len(text) < options.min_length), options.temperature, top_k, top_p)[0]


def assert_distributed(drawn: np.ndarray, p: np.ndarray) -> None:
    """Nothing impossible is drawn, and frequencies pass a chi-square test with p > 1e-4."""
    n, observed = len(drawn), np.bincount(drawn, minlength=len(p))
    assert n > 500
    assert observed[p == 0].sum() == 0
    common = p * n >= 5
    assert common.any()
    seen, wanted = observed[common], p[common] * n
    if not common.all():
        seen, wanted = np.append(seen, n - seen.sum()), np.append(wanted, n - wanted.sum())
    keep = wanted > 1e-6
    if keep.sum() > 1:
        assert chisquare(seen[keep], wanted[keep] / wanted[keep].sum() * seen[keep].sum()).pvalue > 1e-4


@pytest.mark.parametrize(
    "options",
    [
        SamplingOptions(),
        SamplingOptions(temperature=0.5),
        SamplingOptions(temperature=2.5),
        SamplingOptions(top_k=4),
        SamplingOptions(top_p=0.7),
        SamplingOptions(temperature=1.5, top_k=6, top_p=0.8),
        SamplingOptions(prefix="ka"),
        SamplingOptions(min_length=2),
        SamplingOptions(temperature=0.8, prefix="lo", min_length=5, top_p=0.95),
    ],
    ids=repr,
)
def test_frequencies_match_the_softmax(generator: NameGenerator, network: Network, options: SamplingOptions) -> None:
    P = len(options.prefix)
    codes, _ = draw(generator, options, 11, 0, DRAWS, longest=max(P + 2, options.min_length))
    assert_distributed(codes[:, P], expected_distribution(network, generator, options, options.prefix))
    common = np.bincount(codes[:, P])[1:].argmax() + 1
    second = expected_distribution(network, generator, options, options.prefix + generator.vocabulary.itos[common])
    assert_distributed(codes[codes[:, P] == common][:, P + 1], second)


@settings(max_examples=40)
@given(
    st.builds(
        SamplingOptions,
        st.floats(0.05, 5),
        st.none() | st.integers(1, 30),
        st.none() | st.floats(0.01, 1),
        st.just(""),
        st.integers(1, 12),
    ),
    st.integers(0, 2**53 - 1),
    st.integers(0, 2**53 - 1),
)
def test_compiled_kernel_equals_plain_python(
    every_generator: list[NameGenerator], options: SamplingOptions, seed: int, offset: int
) -> None:
    """One test for all architectures: the first plain draw compiles the parts of the kernel, half a minute of work."""

    def draw_plainly(*arguments: Any) -> None:
        """`draw_names` without selection, in plain Python."""
        plan, nodes, tree, spaces = arguments[:9], arguments[9], arguments[10:15], arguments[15:17]
        ring, width, prefix, shares, *choice, longest = arguments[17:31]
        seed, first, _, codes, lengths, *_ = arguments[-7:]
        sample.sample(
            Program(*plan, shares),
            Tree(nodes, nodes.view(np.float32), *tree),
            sample.Choice(*choice),
            *spaces,
            ring,
            width,
            prefix,
            longest,
            np.uint64(seed),
            np.uint64(first),
            codes,
            lengths,
        )  # type: ignore[no-untyped-call]

    for generator in every_generator:
        kernels = replace(generator.kernels, draw_names=draw_plainly)
        plain = NameGenerator(generator.predictor, generator.names, generator.longest, kernels)
        compiled, interpreted = (
            each.prepare(options, Constraints(max_length=12)).candidates(seed, offset, 5) for each in (generator, plain)
        )
        assert interpreted == compiled


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", 0.0),
        ("temperature", 5.01),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("top_k", 0),
        ("top_p", 0.0),
        ("top_p", 1.01),
        ("top_p", math.nan),
        ("min_length", 0),
        ("min_length", 65),
    ],
)
def test_options_out_of_range_are_refused(field: str, value: float) -> None:
    with pytest.raises(OptionError) as caught:
        SamplingOptions(**{field: value})
    assert caught.value.field == field
    assert caught.value.allowed


def test_larger_max_length_only_adds_names(generator: NameGenerator) -> None:
    short, long = (generator.prepare(constraints=Constraints(max_length=n)).candidates(5, 0, 200) for n in (6, 30))
    assert [s for s in short if s is not None] == [n for n in long if n is not None and len(n) <= 6]
    assert any(n is not None for n in short)


def test_prefix_is_folded_and_lengths_are_obeyed(generator: NameGenerator) -> None:
    options = SamplingOptions(prefix="KA", min_length=4)
    batch = generator.generate(100, seed=1, options=options, constraints=Constraints(max_length=20, unique=False))
    assert batch.names
    assert all(name.startswith("ka") and 4 <= len(name) <= 20 for name in batch.names)


def test_scores_equal_torch_log_softmax(generator: NameGenerator, network: Network) -> None:
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


def test_judge_keeps_a_trailing_blank_that_score_trims(kernels: Kernels) -> None:
    config = ModelConfig(architecture="mlp", block_size=3, n_embd=4, n_hidden=8)
    generator = untrained_generator(config, ("a e", "van e", "evan"), kernels)
    [drawn] = generator.judge(["a e "])
    assert (drawn.name, drawn.in_training) == ("a e ", False)
    assert "".join(step.character for step in drawn.characters) == "a e ."
    [listed] = generator.score(["a e "])
    assert (listed.name, listed.in_training) == ("a e", True)


@pytest.mark.parametrize("listed", [("kalo", "mika", "okla"), ("ka lo", "mika ol")], ids=["plain", "loose"])
@pytest.mark.parametrize(
    "constraints",
    [Constraints(), Constraints(ends_with="a"), Constraints(contains="al"), Constraints(pattern="?a*", unique=False)],
)
def test_candidates_that_only_safe_rejects_are_counted(
    kernels: Kernels, listed: tuple[str, ...], constraints: Constraints
) -> None:
    generator = untrained_generator(ModelConfig(architecture="bigram", block_size=1), listed, kernels)
    assert generator.vocabulary.loose == (" " in listed[0])
    unsafe = Automaton(Keywords(frozenset(), frozenset({"l"}), frozenset()), generator.vocabulary, kernels.find)
    attempts = 3000
    stream = NameStream(
        generator.prepare(constraints=replace(constraints, max_length=6, unsafe=unsafe)),
        10**6,
        seed=1,
        max_attempts=attempts,
    )
    while not stream.finished:
        stream.next_names()
    drawn = generator.prepare(constraints=Constraints(max_length=6)).candidates(1, 0, attempts)
    rejected = [name for name in drawn if name is not None and "l" in name]
    spelled = [name for name in rejected if constraints.contains in name and name.endswith(constraints.ends_with)]
    if constraints.pattern:
        spelled = [name for name in rejected if name[1:2] == "a"]
    assert stream.refused["safe"] == len(rejected)
    assert stream.only_unsafe == len(spelled) > 0


@pytest.mark.parametrize(
    "listed",
    [("r\u00e9", "e\u0301\u0323", "a e", "\u00e9"), ("\u0131\u015f", "i\u015f", "i\u0131")],
    ids=["marks", "dots"],
)
def test_names_that_look_alike_count_as_one(kernels: Kernels, listed: tuple[str, ...]) -> None:
    """Marks, blanks and letters with one capital (ı and i), by brute force: each look of a candidate comes once."""
    generator = untrained_generator(ModelConfig(architecture="bigram", block_size=1), listed, kernels)
    assert generator.vocabulary.loose
    drawn = generator.generate(400, seed=1, constraints=AS_DRAWN, max_attempts=400).names
    looks = {name: normalize(capitalize(name)) for name in {*drawn, *listed}}
    known = {looks[name] for name in listed}
    assert any(name != look for name, look in looks.items())
    for rules in (Constraints(novel=True), Constraints(), Constraints(novel=True, unique=False)):
        stream = NameStream(generator.prepare(constraints=rules), 400, seed=1, max_attempts=400)
        lines = b""
        while not stream.finished:
            lines += stream.next_bytes(generator.prepare().writer(TEXT, "lower"))
        expected, seen = [], set[str]()
        for name in drawn:
            if not (rules.novel and looks[name] in known) and not (rules.unique and looks[name] in seen):
                expected.append(name)
                seen.add(looks[name])
        assert generator.generate(400, seed=1, constraints=rules, max_attempts=400).names == expected
        assert lines.decode().split("\n")[:-1] == expected


@given(st.frozensets(st.text("ab \u0131i\u0307\u00df\u1100\u1161\u3000", min_size=1, max_size=5), min_size=1))
def test_looks_of_a_list_are_the_twin_of_each_name(names: frozenset[str]) -> None:
    vocabulary = Vocabulary(tuple(sorted(set("".join(names)))))
    expected = frozenset(map(twin, names)) if vocabulary.loose else names
    assert _looks(names, vocabulary) == expected


@pytest.mark.parametrize(
    ("characters", "loose"), [("abc\u00e9\u00df", False), ("a ", True), ("i\u0131", True), ("\u1100\u1161", True)]
)
def test_only_ambiguous_alphabets_are_loose(characters: str, loose: bool) -> None:
    assert Vocabulary(tuple(characters)).loose == loose


def test_name_probabilities_sum_to_at_most_one(generator: NameGenerator) -> None:
    alphabet = generator.vocabulary.characters
    names = ["".join(parts) for n in (1, 2) for parts in itertools.product(alphabet, repeat=n)]
    assert 0 < math.fsum(math.exp(score.log_prob) for score in generator.score(names)) <= 1 + 1e-5


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
def test_unsatisfiable_request_error_has_field_and_allowed(
    generator: NameGenerator, arguments: dict[str, object], field: str
) -> None:
    with pytest.raises(OptionError) as caught:
        generator.generate(1, **{"seed": 0, **arguments})  # type: ignore[arg-type]
    assert caught.value.field == field
    assert caught.value.allowed


def test_prefix_outside_the_alphabet_is_refused(generator: NameGenerator) -> None:
    """The safe part of the error does not repeat it."""
    with pytest.raises(UnknownCharacter) as caught:
        generator.generate(1, seed=0, options=SamplingOptions(prefix="kaþ"))
    assert caught.value.field == "prefix"
    assert "þ" in str(caught.value)
    assert "þ" not in caught.value.allowed
