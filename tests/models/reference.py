"""The reference sampler, which draws each candidate alone, and generators with untrained networks."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from models import Constraints, Kernels, ModelConfig, NameGenerator, SamplingOptions, Vocabulary
from models.inference import PrefixMemory
from models.kernel import arithmetic, distribution
from models.kernel.prefix_cache import PrefixTree, TreeKey
from models.store.publishing import draft_generator
from tests.conftest import draft_of, untrained

Drawn = tuple[NDArray[np.int32], NDArray[np.int32]]
LONGEST = 12


def untrained_generator(config: ModelConfig, names: tuple[str, ...], kernels: Kernels) -> NameGenerator:
    """A generator with an untrained network of any shape over any list."""
    return draft_generator(draft_of(untrained(config, len(Vocabulary.of(names))), names), kernels)


def draw(
    generator: NameGenerator,
    options: SamplingOptions,
    seed: int,
    first: int,
    n: int,
    memory: PrefixMemory | None = None,
    longest: int = LONGEST,
) -> Drawn:
    """Codes and lengths by `PreparedSampler.draw`."""
    return generator.prepare(options, Constraints(max_length=longest)).draw(seed, first, n, memory)


@contextmanager
def lent(memory: PrefixMemory, generator: NameGenerator, n: int) -> Iterator[PrefixTree]:
    """Take a tree from the memory for n candidates, and give it back."""
    key = TreeKey.of(generator.plan, generator.shares)
    tree = memory.take(key, generator.plan, n)
    try:
        yield tree
    finally:
        memory.give_back(key, tree)


def with_weights(generator: NameGenerator, weight: float) -> NameGenerator:
    """The same model as a blend of one: other weights have another tree."""
    return NameGenerator(generator.predictor, generator.names, generator.longest, generator.kernels, (weight,))


def reference_draw(
    generator: NameGenerator, options: SamplingOptions, seed: int, first: int, n: int, longest: int = LONGEST
) -> Drawn:
    """The definition of `PreparedSampler.draw`: one candidate at a time, position by position."""
    codes, lengths = np.zeros((n, longest), np.int32), np.empty(n, np.int32)
    for c in range(n):
        ids = reference_candidate(generator, options, longest, seed, first + c)
        lengths[c] = len(ids) - 1 if ids[-1] == 0 else -1
        codes[c, : min(len(ids), longest)] = ids[:longest]
    return codes, lengths


def reference_candidate(
    generator: NameGenerator, options: SamplingOptions, longest: int, seed: int, index: int
) -> list[int]:
    """One candidate's outcomes up to the end token or to one character more than `longest`."""
    ids = list(generator.vocabulary.encode(options.prefix))
    while len(ids) <= longest:
        numbers = (np.uint64(seed), np.uint64(index), np.uint64(len(ids) // 4))
        with np.errstate(over="ignore"):
            word = int(arithmetic.philox.py_func(*numbers)[len(ids) % 4]) >> 2
        outcome = int((reference_boundaries(generator, options, ids) <= word).sum())
        ids.append(outcome)
        if outcome == 0:
            break
    return ids


def reference_boundaries(generator: NameGenerator, options: SamplingOptions, ids: list[int]) -> NDArray[np.int32]:
    """The boundaries that random words are compared with after `ids`, by the plain form of the model."""
    V = generator.vocab_size
    logits = generator.predictor.logits(np.array([0, *ids], np.int64), generator.shares)
    for character in set(options.excludes) & set(generator.vocabulary.characters):
        logits[-1, generator.vocabulary.stoi[character]] = -1e30
    weight, boundaries = np.empty(V, np.float32), np.empty(V, np.int32)
    distribution.fill_boundaries.py_func(
        logits[-1],
        int(len(ids) < options.min_length),
        np.float32(options.temperature),
        min(options.top_k or V, V),
        np.float32(options.top_p or 1.0),
        weight,
        boundaries,
    )
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


def joined(pieces: Sequence[Drawn]) -> Drawn:
    """Several draws as one."""
    codes, lengths = zip(*pieces, strict=True)
    return np.concatenate(codes), np.concatenate(lengths)


def assert_same(one: Drawn, other: Drawn) -> None:
    """Codes and lengths have the same shape, type and content."""
    for a, b in zip(one, other, strict=True):
        assert a.dtype == np.int32
        np.testing.assert_array_equal(a, b, strict=True)


def coded(names: Sequence[str | None], vocabulary: Vocabulary | None = None) -> tuple[Vocabulary, *Drawn]:
    """Names as the sampler gives them, with their vocabulary; None is a candidate that is too long."""
    vocabulary = vocabulary or Vocabulary.of([*filter(None, names), "ab"])
    width = max([9, *(len(name or "") for name in names)])
    codes, lengths = np.zeros((len(names), width), np.int32), np.full(len(names), -1, np.int32)
    for row, name in enumerate(names):
        if name is None:
            codes[row] = 1
        else:
            codes[row, : len(name)] = vocabulary.encode(name)
            lengths[row] = len(name)
    return vocabulary, codes, lengths


def fits(pattern: str, name: str) -> bool:
    """The definition of a pattern, a character at a time."""
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(fits(pattern[1:], name[k:]) for k in range(len(name) + 1))
    return bool(name) and pattern[0] in ("?", name[0]) and fits(pattern[1:], name[1:])
