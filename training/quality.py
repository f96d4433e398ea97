"""How good a model's names are, measured on many of them: new or known, repeated or not, like real ones in length and
sound. Lists go in, figures come out; the drawing of names is `invention`'s.

The yardstick stands beside each figure: what real names that the model never saw score against the same dev names.
After Polykovskiy et al. 2020 (MOSES), whose reference row is the training set itself.
"""

import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

# Marks the start and the end of a name among its pairs of characters; no list can hold it.
EDGE = "\n"


@dataclass(frozen=True)
class Quality:
    """`new`: share that is not in the train part; `repeated`: share that came before in the sample. `lengths`: total
    variation distance of the lengths' distribution to the dev names', 0 to 1; `pairs`: Jensen-Shannon divergence of the
    distribution of neighbouring characters, edges included, to theirs, in bits, 0 to 1. `prefix`: mean longest prefix
    shared with any train name, as a share of the name's length.
    """

    count: int
    new: float
    repeated: float
    lengths: float
    pairs: float
    prefix: float


def measure(sample: Sequence[str], train: Collection[str], dev: Sequence[str]) -> Quality:
    """Return the quality of `sample`. Raises `ValueError` where a list is empty."""
    if not (sample and train and dev):
        raise ValueError("Quality needs names in all three lists.")
    known, n = frozenset(train), len(sample)
    return Quality(
        count=n,
        new=sum(name not in known for name in sample) / n,
        repeated=1 - len(set(sample)) / n,
        lengths=total_variation(Counter(map(len, sample)), Counter(map(len, dev))),
        pairs=jensen_shannon(_pairs(sample), _pairs(dev)),
        prefix=float(
            np.mean([shared / len(name) for name, shared in zip(sample, _prefixes(sample, known), strict=True)])
        ),
    )


def yardstick(train: Sequence[str], dev: Sequence[str], seed: int = 0) -> Quality:
    """Return what as many real names as there are dev names score: drawn from `train`, and judged by the rest of it.

    As many, because distances fall as a sample grows.
    """
    names = list(train)
    random.Random(seed).shuffle(names)
    n = min(len(dev), len(names) // 2)
    return measure(names[:n], names[n:], dev)


def total_variation(a: Mapping[int, int], b: Mapping[int, int]) -> float:
    """Return half the sum of absolute differences of two distributions given as counts: 0 the same, 1 apart."""
    A, B = sum(a.values()), sum(b.values())
    return sum(abs(a.get(key, 0) / A - b.get(key, 0) / B) for key in {*a, *b}) / 2


def jensen_shannon(a: Mapping[str, int], b: Mapping[str, int]) -> float:
    """Return the Jensen-Shannon divergence of two distributions given as counts, in bits (Lin 1991)."""
    keys = sorted({*a, *b})
    P, Q = (np.array([counts.get(key, 0) for key in keys], float) for counts in (a, b))
    P, Q = P / P.sum(), Q / Q.sum()
    M = (P + Q) / 2
    parts = (float(np.sum(D[D > 0] * np.log2(D[D > 0] / M[D > 0]))) for D in (P, Q))
    return sum(parts) / 2


def _pairs(names: Sequence[str]) -> Counter[str]:
    return Counter(a + b for name in names for a, b in pairwise(EDGE + name + EDGE))


def _prefixes(sample: Sequence[str], train: Collection[str]) -> list[int]:
    """Return how many first characters each name shares with the train name that shares most: a neighbour in order."""
    order = sorted(train)
    shared = []
    for name in sample:
        at = bisect_left(order, name)
        shared.append(max((_common(name, order[i]) for i in (at - 1, at) if 0 <= i < len(order)), default=0))
    return shared


def _common(a: str, b: str) -> int:
    n = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        n += 1
    return n


def quality_rows(model: Quality, real: Quality, log_prob: float) -> list[tuple[str, str, str, str]]:
    """Return rows of a Markdown table: what, the model's figure, real names' figure, and what it means.

    `log_prob`: mean natural logarithm of the probability of one drawn name.
    """
    return [
        ("names drawn", f"{model.count:,}", f"{real.count:,}", ""),
        ("new", f"{model.new:.1%}", f"{real.new:.1%}", "share that the train part does not hold"),
        ("repeated", f"{model.repeated:.2%}", f"{real.repeated:.2%}", "share that came before in the same sample"),
        ("lengths", f"{model.lengths:.4f}", f"{real.lengths:.4f}", "distance of the lengths to the dev names', 0 to 1"),
        ("pairs", f"{model.pairs:.4f}", f"{real.pairs:.4f}", "divergence of character pairs from the dev names', bits"),
        ("prefix", f"{model.prefix:.1%}", f"{real.prefix:.1%}", "longest beginning shared with a train name"),
        ("log-probability", f"{log_prob:.2f}", "", "of a drawn name, mean, in nats"),
    ]
