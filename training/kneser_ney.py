"""The counting baseline: interpolated Kneser-Ney (Kneser & Ney 1995; Chen & Goodman 1999)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models import Vocabulary
from training.dataset import Examples
from training.errors import TrainingError

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
ORDER = 6
# The discount if no run occurs once: without a discount, every unseen run would have probability 0.
NO_SINGLES = 0.5


@dataclass(frozen=True)
class _Level:
    """Counts of runs of k characters. Each run is a number in base V; the runs are sorted.

    `counts`: of each run; `contexts`: the runs without their last character, with the sum of the counts and the number
    of different last characters of each; `discount`: the part of each count that goes to shorter runs.
    """

    runs: Codes
    counts: Codes
    contexts: Codes
    sums: Codes
    kinds: Codes
    discount: float

    @classmethod
    def of(cls, runs: Codes, counts: Codes, V: int) -> "_Level":
        contexts, first = np.unique(runs // V, return_index=True)
        sums = np.add.reduceat(counts, first)
        kinds = np.diff(first, append=len(runs))
        once, twice = int((counts == 1).sum()), int((counts == 2).sum())
        return cls(runs, counts, contexts, sums, kinds, once / (once + 2 * twice) if once else NO_SINGLES)

    def refine(self, runs: Codes, V: int, shorter: Floats) -> Floats:
        """Return the probability of each run's last character given the rest.

        `shorter` has the same probabilities for runs that are one character shorter.
        """
        count = np.where(_found(self.runs, runs), self.counts[_place(self.runs, runs)], 0)
        context = runs // V
        at = _place(self.contexts, context)
        refined = (np.maximum(count - self.discount, 0) + self.discount * self.kinds[at] * shorter) / self.sums[at]
        return np.where(_found(self.contexts, context), refined, shorter)


@dataclass(frozen=True)
class KneserNey:
    """Probabilities of the next character from counts of runs up to `order` characters long.

    Names are padded on the left. The longest runs count their occurrences, shorter ones the number of different
    characters before them. Each order has one discount, n1 / (n1 + 2 n2). Below order 1 all characters are equally
    likely.
    """

    vocabulary: Vocabulary
    levels: tuple[_Level, ...]

    @classmethod
    def fit(cls, names: Sequence[str], vocabulary: Vocabulary, order: int = ORDER) -> "KneserNey":
        """Count `names`. Raises `UnknownCharacter`, and `TrainingError` if runs do not fit into 63 bits."""
        V = len(vocabulary)
        if order < 1 or V**order >= 2**63:
            most = next(n for n in range(64, 0, -1) if V**n < 2**63)
            raise TrainingError(f"The order is {order}; allowed with {V} characters: 1 to {most}.")
        runs, counts = np.unique(_pack(Examples.of(names, vocabulary), V, order), return_counts=True)
        levels = [_Level.of(runs, counts.astype(np.int64), V)]
        for k in range(order - 1, 0, -1):
            runs, counts = np.unique(runs % V**k, return_counts=True)
            levels.append(_Level.of(runs, counts.astype(np.int64), V))
        return cls(vocabulary, tuple(reversed(levels)))

    def name_losses(self, names: Sequence[str]) -> Tensor:
        """Return each whole name's negative log-likelihood in nats, end token included.

        Shape (names,), float64.
        """
        examples = Examples.of(names, self.vocabulary)
        losses = -np.log(self._probabilities(_pack(examples, len(self.vocabulary), len(self.levels))))
        owner = torch.arange(len(names)).repeat_interleave(examples.lengths)
        return torch.zeros(len(names), dtype=torch.float64).index_add_(0, owner, torch.from_numpy(losses))

    def probabilities(self, context: str) -> Floats:
        """Return the probability of each character after `context`: (V,), index 0 is the end."""
        V, order = len(self.vocabulary), len(self.levels)
        ids = [*[0] * order, *self.vocabulary.encode(context)]
        code = sum(i * V ** (k + 1) for k, i in enumerate(reversed(ids[len(ids) - order + 1 :])))
        return self._probabilities(code + np.arange(V, dtype=np.int64))

    def _probabilities(self, runs: Codes) -> Floats:
        V = len(self.vocabulary)
        p: Floats = np.full(len(runs), 1 / V)
        for k, level in enumerate(self.levels, start=1):
            p = level.refine(runs % V**k, V, p)
        return p


def _pack(examples: Examples, V: int, order: int) -> Codes:
    """Return the last `order` characters of each position, the target last, as a number in base V."""
    codes = examples.rows.targets.numpy().copy()
    if order > 1:
        columns = examples.windows(order - 1).X.numpy()
        for k in range(order - 1):
            codes += columns[:, order - 2 - k] * V ** (k + 1)
    return codes


def _place(table: Codes, wanted: Codes) -> Codes:
    return np.minimum(np.searchsorted(table, wanted), len(table) - 1)


def _found(table: Codes, wanted: Codes) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = table[_place(table, wanted)] == wanted
    return found
