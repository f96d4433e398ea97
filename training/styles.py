"""The styles of a list's names for training: one row of values is drawn for each name, and some values are left out."""

from collections.abc import Sequence
from dataclasses import dataclass

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
    for column, cells in zip(rows.columns, list(zip(*rows.rows, strict=True))[1:], strict=True):
        distinct = tuple(sorted(set(cells) - {""}))
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
        row_of = [
            {value: styles.rows_of({column: value})[0] for value in styles.values[column]} for column in rows.columns
        ]
        for each in row_of:
            each[""] = -1
        by_name: dict[str, list[tuple[list[int], float]]] = {name: [] for name in names}
        for (name, *cells), weight in zip(rows.rows, rows.weights, strict=True):
            if name in by_name:
                choice = [known[cell] for known, cell in zip(row_of, cells, strict=True)]
                by_name[name].append((choice, weight))
        choices, weights, starts = list[list[int]](), list[float](), [0]
        for mine in by_name.values():
            kept = [row for row in mine if row[1] > 0] or [(choice, 1.0) for choice, _ in mine]
            kept = kept or [([-1] * len(rows.columns), 1.0)]
            choices += [choice for choice, _ in kept]
            weights += [weight for _, weight in kept]
            starts.append(len(choices))
        ends = torch.tensor(weights, dtype=torch.float64).cumsum(0)
        return cls(torch.tensor(choices), torch.tensor(starts), ends, len(styles))

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
