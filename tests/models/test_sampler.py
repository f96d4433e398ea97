"""The kernel draws what the network says: against torch's softmax, by chi-square, and against itself run as plain
Python.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import chisquare, kstest

from models import NameGenerator, OptionError, SamplingOptions
from models.inference import arithmetic, sampler
from models.networks import Network

DRAWS = 40_000


def test_philox_gives_the_published_words() -> None:
    """Philox4x32-10 gives the known answers of its authors' test vectors."""
    zeros = arithmetic.philox(np.uint64(0), np.uint64(0), np.uint64(0))
    assert [f"{int(word):08x}" for word in zeros] == ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]
    ones = np.uint64(2**64 - 1)
    assert [f"{int(word):08x}" for word in arithmetic.philox(ones, ones, ones)] == [
        "408f276d",
        "41c83b0e",
        "a20bc7c6",
        "6d5451fd",
    ]
    key, low, high = 0x299F31D0A4093822, 0x85A308D3243F6A88, 0x0370734413198A2E
    words = arithmetic.philox(np.uint64(key), np.uint64(low), np.uint64(high))
    assert [f"{int(word):08x}" for word in words] == ["d16cfe09", "94fdcceb", "5001e420", "24126ea1"]


def test_random_words_are_uniform() -> None:
    """Words over consecutive indices pass a Kolmogorov-Smirnov test against the uniform distribution."""
    words = [arithmetic.philox(np.uint64(7), np.uint64(i), np.uint64(0))[0] for i in range(20_000)]
    assert kstest(np.array(words, np.float64) / 2**32, "uniform").pvalue > 1e-3


def test_exp_is_within_two_units_in_the_last_place() -> None:
    """exp on [-87, 0] differs from numpy's in float64 by at most 2 units in the last place."""
    x = np.linspace(-87, 0, 200_001, dtype=np.float32)
    ours = np.array([arithmetic.exp(value) for value in x], np.float32)
    exact = np.exp(x.astype(np.float64))
    units = np.abs(ours - exact) / np.spacing(exact.astype(np.float32))
    assert units.max() <= 2
    assert arithmetic.exp(np.float32(-1e30)) == arithmetic.exp(np.float32(-87))


def test_log_is_within_a_millionth() -> None:
    """log from 1 to a million differs from numpy's in float64 by at most 1e-6, and is 0 at 1."""
    x = np.concatenate([np.linspace(1, 4, 100_001), np.geomspace(4, 1e6, 100_000)]).astype(np.float32)
    ours = np.array([arithmetic.log(value) for value in x], np.float32)
    exact = np.log(x.astype(np.float64))
    assert (np.abs(ours - exact) <= np.maximum(1e-6, 2e-7 * exact)).all()
    assert ours[0] == 0


def test_tanh_is_within_2e7() -> None:
    """tanh differs from numpy's in float64 by at most 2e-7 anywhere, and is odd."""
    x = np.linspace(-100, 100, 200_001, dtype=np.float32)
    ours = np.array([arithmetic.tanh(value) for value in x], np.float32)
    assert np.abs(ours - np.tanh(x.astype(np.float64))).max() <= 2e-7
    assert (ours == -ours[::-1]).all()


def test_sigmoid_is_within_2e7() -> None:
    """sigmoid differs from scipy's in float64 by at most 2e-7 anywhere, and overflows nowhere."""
    x = np.concatenate([np.linspace(-100, 100, 200_001), [-1e30, 1e30]]).astype(np.float32)
    ours = np.array([arithmetic.sigmoid(value) for value in x], np.float32)
    assert np.abs(ours - expit(x.astype(np.float64))).max() <= 2e-7


def test_frozen_logits_equal_the_networks(any_generator: tuple[NameGenerator, Network]) -> None:
    """Logits of the frozen model are within 1e-5 of the torch network's, for random names of every length to 40."""
    generator, network = any_generator
    rng = np.random.default_rng(0)
    for T in range(1, 41):
        ids = rng.integers(1, generator.vocab_size, T)
        ids[0] = 0
        out = generator.predictor.logits(ids, generator.shares)
        expected = network.names(torch.from_numpy(ids), torch.arange(T)).detach().numpy()
        # Relative to the size of the logits, which are large here: 15 times those of a fresh network.
        assert np.abs(out - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


def expected_distribution(
    network: Network, generator: NameGenerator, options: SamplingOptions, text: str
) -> np.ndarray:
    """The slow path, in float64 by sorting: probabilities of what follows `text` under `options`."""
    ids = torch.tensor([0, *generator.vocabulary.encode(text)])
    logits = network.names(ids, torch.arange(len(ids)))[-1].detach().double().numpy()
    if len(text) < options.min_length:
        logits[0] = -np.inf
    p = np.exp((logits - logits.max()) / options.temperature)
    order = np.argsort(-p, kind="stable")
    if options.top_k is not None:
        p[order[options.top_k :]] = 0
    p /= p.sum()
    if options.top_p is not None:
        before = np.cumsum(p[order]) - p[order]
        p[order[before >= options.top_p]] = 0
    return p / p.sum()


OPTIONS = [
    SamplingOptions(),
    SamplingOptions(temperature=0.5),
    SamplingOptions(temperature=2.5),
    SamplingOptions(top_k=4),
    SamplingOptions(top_p=0.7),
    SamplingOptions(temperature=1.5, top_k=6, top_p=0.8),
    SamplingOptions(prefix="ka"),
    SamplingOptions(min_length=2),
    SamplingOptions(temperature=0.8, prefix="lo", min_length=5, top_p=0.95),
]


@pytest.mark.parametrize("options", OPTIONS, ids=repr)
def test_frequencies_match_the_probabilities(
    any_generator: tuple[NameGenerator, Network], options: SamplingOptions
) -> None:
    """Two characters after the prefix are drawn as often as the network's own softmax says (chi-square, p > 1e-4)."""
    generator, network = any_generator
    P = len(options.prefix)
    codes = draw(generator, options, P + 2)
    first = expected_distribution(network, generator, options, options.prefix)
    check(codes[:, P], first)
    common = np.bincount(codes[:, P])[1:].argmax() + 1
    inside = codes[codes[:, P] == common]
    second = expected_distribution(network, generator, options, options.prefix + generator.vocabulary.itos[common])
    check(inside[:, P + 1], second)


def draw(generator: NameGenerator, options: SamplingOptions, longest: int) -> np.ndarray:
    """The first `longest` characters of many candidates, unfinished ones included: none is left out for its length."""
    prefix = np.array(generator.vocabulary.encode(options.prefix), np.int64)
    return generator.draw(prefix, options, longest, 11, 0, DRAWS)[0]


def check(drawn: np.ndarray, p: np.ndarray) -> None:
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


@settings(max_examples=40, deadline=None)
@given(
    st.floats(0.05, 5),
    st.one_of(st.none(), st.integers(1, 30)),
    st.one_of(st.none(), st.floats(0.01, 1)),
    st.integers(1, 12),
    st.integers(0, 2**53 - 1),
    st.integers(0, 2**53 - 1),
)
def test_compiled_kernel_equals_itself_as_plain_python(
    any_generator: tuple[NameGenerator, Network],
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    min_length: int,
    seed: int,
    offset: int,
) -> None:
    """Whatever the options, the machine code gives the names that the same lines give when Python runs them."""
    generator, _ = any_generator
    options = SamplingOptions(temperature, top_k, top_p, "", min_length)
    compiled = list(generator.candidates(np.zeros(0, np.int64), options, 12, seed, offset, 5))
    predictor, kernels = generator.predictor, replace(generator.kernels, sample=sampler.sample)
    plain = NameGenerator(predictor, generator.names, generator.longest, kernels)
    assert list(plain.candidates(np.zeros(0, np.int64), options, 12, seed, offset, 5)) == compiled


def test_options_out_of_range_are_refused() -> None:
    """Options out of range raise an error that names field and range; NaN counts as out of range."""
    for field, value in [
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
    ]:
        with pytest.raises(OptionError) as caught:
            SamplingOptions(**{field: value})
        assert caught.value.field == field
        assert caught.value.allowed
