"""The plan of the sampling kernel: stages, each a sum of terms, and one long row of numbers. See `compile_plan`.

A term is either a row of a table, found by the last characters, or a product of numbers that earlier stages wrote, here
or at an older position, with a matrix.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.kernel.freeze import Floats
from models.kernel.matmul import RUN

# Columns of `Plan.stages`: each writes N_OUT numbers from TARGET on: a bias (none where BIAS is -1), what stands from
# ADDED on (nothing where it is -1), and its terms, which end where the next stage's begin. Then comes ACTIVATION; a
# cell's c before lies at CARRIED of the state. A VIRTUAL stage is not run: its readers make its numbers themselves.
TARGET, N_OUT, BIAS, ADDED, ACTIVATION, TERMS_END, CARRIED, VIRTUAL = range(8)
# Columns of `Plan.terms`. A table of ORDER characters is looked up BACK positions ago at AT of the weights; ORDER 0 is
# a product of N_IN numbers from SOURCE on, BACK positions ago, with the weights at AT. Numbers that are not in the row
# lie at KEPT of an older node's state, or are made by stage MADE_BY, which only looks up. Before the name stands what
# the root has, but zeros where a LAGGING state is carried along. Products of kind SHARED (-1: none) are
# remembered: by the last SPAN characters, or by the older node where SPAN is 0. In a blend each model counts characters
# in an alphabet of its own: row ALPHABET of `Plan.alphabets`, else -1.
ORDER, BACK, AT, SOURCE, N_IN, KEPT, MADE_BY, LAGGING, SHARED, SPAN, ALPHABET = range(11)
# Columns of `Plan.integer`, a row for each model of format 2, whose stage has the row's number as BIAS and the start of
# its state as CARRIED: units and outcomes in whole groups and runs, the two shifts, where in `Plan.narrow` (int8) its
# matrices begin and in `Plan.wide` (int32) its multipliers and bias, where in `Plan.gates` (int16) its table and its
# style, and its ALPHABET. Its stage writes V_PADDED logits.
H_PADDED, V_PADDED, SHIFT_1, SHIFT_2, MATRIX_1, MATRIX_2, SCALE_1, SCALE_2, OFFSET, TABLE, STYLE, OWN = range(12)
# Columns of `Plan.keep`: N numbers from FROM of a row go to TO of the state.
FROM, N, TO = range(3)

Ints = NDArray[np.int64]


def _none() -> Ints:
    return np.zeros((0, 0), np.int64)


@dataclass(frozen=True)
class Plan:
    """`stages` (S, 8), `terms` (M, 11), `keep` (K, 3), and all biases, weights and tables end to end in `weights`.

    The first `vocab_size` of the last stage's outputs are the logits, the others are unused. `alphabets`: of a blend's
    models (see `mixture`); no rows in a model alone. The four behind them are of models of format 2. `own_bytes`: of
    the arrays that only this plan holds, because it is made for a style; 0 for the plan of a version.
    """

    stages: Ints
    terms: Ints
    keep: Ints
    weights: Floats
    vocab_size: int
    alphabets: Ints = field(default_factory=_none)
    integer: Ints = field(default_factory=lambda: np.zeros((0, OWN + 1), np.int64))
    narrow: NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))
    gates: NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, np.int16))
    wide: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    own_bytes: int = 0

    @cached_property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """What the kernel works from."""
        floats = self.stages, self.terms, self.keep, self.weights, self.alphabets
        return *floats, self.integer, self.narrow, self.gates, self.wide

    @cached_property
    def width(self) -> int:
        """How many numbers a position has, and no fewer than any product has, in whole runs."""
        return max(int((self.stages[:, TARGET] + self.stages[:, N_OUT]).max()), int(self.stages[:, N_OUT].max()) + RUN)

    @cached_property
    def padded(self) -> tuple[int, int]:
        """The most units and outcomes of a model of format 2, padded; zeros without such models."""
        units, outcomes = (int(self.integer[:, column].max(initial=0)) for column in (H_PADDED, V_PADDED))
        return units, outcomes

    @cached_property
    def state(self) -> int:
        """How many of them are remembered for later positions."""
        return int(self.keep[:, N].sum()) + int(state_of(self.integer[:, H_PADDED]).sum())

    @cached_property
    def reach(self) -> int:
        """How many positions back a product looks."""
        return int(self.terms[self.terms[:, ORDER] == 0, BACK].max(initial=0))

    @cached_property
    def shared(self) -> int:
        """How many kinds of products are remembered."""
        return int(self.terms[:, SHARED].max(initial=-1)) + 1

    @cached_property
    def shared_width(self) -> int:
        """How many numbers the widest of them has."""
        return int(self.stages[self.stage_of(self.terms[:, SHARED] >= 0), N_OUT].max(initial=0))

    @cached_property
    def multiply_adds(self) -> int:
        """How many multiply-adds the products of one position take where nothing is remembered."""
        of_stage = self.stage_of(np.ones(len(self.terms), bool))
        integer = self.integer[:, H_PADDED] * (4 * self.integer[:, H_PADDED] + self.integer[:, V_PADDED])
        return int((self.terms[:, N_IN] * self.stages[of_stage, N_OUT]).sum() + integer.sum())

    def stage_of(self, chosen: NDArray[np.bool_]) -> Ints:
        """Return the stages of the chosen terms."""
        return np.searchsorted(self.stages[:, TERMS_END], np.flatnonzero(chosen), side="right")


def state_of(units: Ints) -> Ints:
    """Return how many 32-bit numbers hold the state of `units`: 16 bits of each cell, 8 of each hidden state."""
    return units * 3 // 4
