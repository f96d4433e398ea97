"""Statistics of losses: how much better one model is than another, with a standard error."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Gap:
    """A mean difference in nats per character (above 0: the first is better) and its standard error."""

    mean: float
    error: float

    def __str__(self) -> str:
        return f"{self.mean:.4f} (standard error {self.error:.4f})"


def paired_gap(better: Sequence[float], worse: Sequence[float]) -> Gap:
    """Return the gap over paired runs: `better[i]` and `worse[i]` have the same split."""
    differences = [w - b for b, w in zip(better, worse, strict=True)]
    return Gap(statistics.fmean(differences), statistics.stdev(differences) / math.sqrt(len(differences)))


def names_gap(better: Tensor, worse: Tensor, lengths: Tensor) -> Gap:
    """Return the gap over names, which are paired so that their difficulty cancels out.

    `better`, `worse` (names,): the loss of each whole name; `lengths` (names,): its characters, end token included.
    The gap is a ratio of sums; its error is that of the ratio estimator (Cochran 1977, section 2.11).
    """
    differences, characters = (worse - better).double(), lengths.double()
    mean = differences.sum() / characters.sum()
    spread = (differences - mean * characters).square().sum() / (len(lengths) - 1)
    return Gap(float(mean), float((spread * len(lengths)).sqrt() / characters.sum()))
