"""How far two lists of names are apart: in length, in pairs of neighbouring characters, in how they begin.

Pure functions of lists. What a distance means for a model is `quality`'s to say.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise, takewhile

import numpy as np
from numpy.typing import NDArray

# Stands before and after each name among its pairs. No character is empty, so nothing in a name equals it.
EDGE = ""


def length_distance(a: Iterable[str], b: Iterable[str]) -> float:
    """Return the total variation distance of the distributions of length: 0 (the same) to 1 (nothing in common).

    Half the sum of |P - Q|. Raises `ValueError` where a list is empty.
    """
    P, Q = _distributions(map(len, a), map(len, b))
    return float(np.abs(P - Q).sum() / 2)


def pair_divergence(a: Iterable[str], b: Iterable[str]) -> float:
    """Return the Jensen-Shannon divergence (Lin 1991) of the distributions of pairs of neighbours, in bits: 0 to 1.

    A name's start and end count as neighbours. Raises `ValueError` where a list is empty.
    """
    P, Q = _distributions(_pairs(a), _pairs(b))
    M = (P + Q) / 2
    return (_relative_entropy(P, M) + _relative_entropy(Q, M)) / 2


def shared_beginnings(names: Iterable[str], known: Iterable[str]) -> list[int]:
    """Return of each name how many first characters it shares with the known name that shares most: (names,).

    In order of spelling that one stands next to where the name would, before it or after it.
    """
    order = sorted(set(known))
    return [max((_shared(name, other) for other in _neighbours(name, order)), default=0) for name in names]


def _neighbours(name: str, order: Sequence[str]) -> Sequence[str]:
    at = bisect_left(order, name)
    return order[max(at - 1, 0) : at + 1]


def _shared(a: str, b: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))


def _pairs(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    return (pair for name in names for pair in pairwise([EDGE, *name, EDGE]))


def _distributions(a: Iterable[Hashable], b: Iterable[Hashable]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    A, B = Counter(a), Counter(b)
    if not (A and B):
        raise ValueError("An empty list has no distribution.")
    keys = list(dict.fromkeys([*A, *B]))
    P, Q = (np.array([counts[key] for key in keys], np.float64) for counts in (A, B))
    return P / P.sum(), Q / Q.sum()


def _relative_entropy(P: NDArray[np.float64], M: NDArray[np.float64]) -> float:
    seen = P > 0
    return float((P[seen] * np.log2(P[seen] / M[seen])).sum())
