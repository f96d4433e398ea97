"""The styles of a list's names for training: one row of values is drawn for each name, and some values are left out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data import StyleRows
from models.styles import Styles
from training.errors import TrainingError

# A column with more values is no style: names with each of them are too few to learn from.
MAX_VALUES = 64


def styles_of(rows: StyleRows) -> Styles:
    """Return the values of each column, sorted; empty cells are no value.

    Raises `TrainingError` for a column with too many values, or with none.
    """
    values = {}
    for i, column in enumerate(rows.columns, start=1):
        distinct = tuple(sorted({row[i] for row in rows.rows} - {""}))
        if not 1 <= len(distinct) <= MAX_VALUES:
            raise TrainingError(
                f"--style {column} has {len(distinct):,} values; allowed: 1 to {MAX_VALUES}. Choose another "
                "column, or group its values."
            )
        values[column] = distinct
    return Styles(values)


@dataclass(frozen=True)
class StyleTable:
    """The rows of values that each of some names has.

    `choices` (R, K) int64: the row of biases of each value, -1 for none; those of name n are `starts[n]` up to
    `starts[n + 1]` (names + 1,). `ends` (R,) float64: the sums of the weights up to and with each row. `n_styles`: S.
    """

    choices: Tensor
    starts: Tensor
    ends: Tensor
    n_styles: int

    @classmethod
    def of(cls, names: Sequence[str], rows: StyleRows, styles: Styles) -> "StyleTable":
        """Return the table of distinct `names`. Rows of weight 0 are left out, unless a name has no other."""
        number = {name: i for i, name in enumerate(names)}
        owner = np.fromiter((number.get(row[0], -1) for row in rows.rows), np.int64, len(rows.rows))
        is_ours, weights = owner >= 0, np.array(rows.weights, np.float64)
        weighs = np.bincount(owner[is_ours & (weights > 0)], minlength=len(names)) > 0
        # Rows that all weigh nothing weigh alike.
        weights[is_ours & ~weighs[owner]] = 1.0
        kept = np.flatnonzero(is_ours & (weights > 0))
        rowless = np.flatnonzero(np.bincount(owner[kept], minlength=len(names)) == 0)
        choices = np.full((len(kept) + len(rowless), len(rows.columns)), -1)
        for i, column in enumerate(rows.columns):
            bias = {value: styles.rows_of({column: value})[0] for value in styles.values[column]} | {"": -1}
            choices[: len(kept), i] = [bias[rows.rows[row][i + 1]] for row in kept]
        owner = np.concatenate([owner[kept], rowless])
        weights = np.concatenate([weights[kept], np.ones(len(rowless))])
        order = np.argsort(owner, kind="stable")
        starts = np.concatenate([[0], np.bincount(owner, minlength=len(names)).cumsum()])
        ends = torch.from_numpy(weights[order]).cumsum(0)
        return cls(torch.from_numpy(choices[order]), torch.from_numpy(starts), ends, len(styles))

    def draw(self, which: Tensor, dropout: float, generator: torch.Generator) -> Tensor:
        """Return the values (B, S) of the names with numbers `which` (B,): 1 for each value of a row drawn by weight.

        Each value is left out with probability `dropout`, so that any subset of styles can be asked for later.
        """
        below = torch.cat([self.ends.new_zeros(1), self.ends])
        low, high = below[self.starts[which]], below[self.starts[which + 1]]
        places = low + torch.rand(len(which), generator=generator, dtype=torch.float64) * (high - low)
        rows = torch.searchsorted(self.ends, places, right=True)
        rows = torch.minimum(torch.maximum(rows, self.starts[which]), self.starts[which + 1] - 1)
        chosen = self.choices[rows]
        left_out = torch.rand(chosen.shape, generator=generator) < dropout
        return self._spread(chosen.masked_fill(left_out, -1))

    def likeliest(self, which: Tensor) -> Tensor:
        """Return the values (B, S) of the heaviest row of each of the names with numbers `which` (B,)."""
        weights = self.ends.diff(prepend=self.ends.new_zeros(1))
        rows = [int(a + weights[a:b].argmax()) for a, b in zip(self.starts[which], self.starts[which + 1], strict=True)]
        return self._spread(self.choices[rows])

    def _spread(self, chosen: Tensor) -> Tensor:
        """Return 1 in the chosen columns (B, K) of zeros (B, S)."""
        spread = torch.zeros(len(chosen), self.n_styles + 1)
        return spread.scatter_(1, chosen + 1, 1.0)[:, 1:]
