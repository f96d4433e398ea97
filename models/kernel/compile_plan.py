"""From a frozen model to a plan: everything is looked up that can be. No sampling, no names.

A number that depends on the last few characters alone takes few values: they are computed once, here, by the same
kernels, and so are their products with the next layer's weights.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from models.kernel import freeze
from models.kernel.freeze import CELL, GATE, LINEAR, Floats, FrozenModel
from models.kernel.matmul import RUN, in_runs
from models.kernel.plan import (
    ACTIVATION,
    ADDED,
    ALPHABET,
    BACK,
    CARRIED,
    FROM,
    KEPT,
    MADE_BY,
    N_IN,
    N_OUT,
    ORDER,
    SHARED,
    SOURCE,
    SPAN,
    TARGET,
    TERMS_END,
    TO,
    VIRTUAL,
    Ints,
    N,
    Plan,
)

# The largest tables by one, two and three characters, in rows; larger alphabets get tables by fewer characters.
MOST_ROWS = {1: 10**9, 2: 4096, 3: 32_768}
EVER = 10**6
# Rows of a table that are made at a time, which bounds the memory.
AT_ONCE = 2048
# Runs of characters are distinguished by 31 bits.
MOST_GRAMS = 2**31


@dataclass
class _Draft:
    stages: list[list[int]] = field(default_factory=list)
    terms: list[list[int]] = field(default_factory=list)
    parts: list[np.ndarray] = field(default_factory=list)
    size: int = 0

    def put(self, numbers: np.ndarray) -> int:
        """Lay numbers down and return where they start."""
        at = self.size
        self.parts.append(numbers.ravel())
        self.size += numbers.size
        return at

    def term(self, order: int, back: int, at: int, source: int = -1, n_in: int = 0, lag: int = 0) -> None:
        self.terms.append([order, back, at, source, n_in, -1, -1, int(lag > 0), -1, 0, -1])

    def stage(self, target: int, n_out: int, bias: int = -1, added: int = -1, activation: int = LINEAR) -> None:
        """Close a stage over the terms written since the last one."""
        self.stages.append([target, n_out, bias, added, activation, len(self.terms), -1, 0])


class Tabulators(Protocol):
    """The kernels that fill tables: `reference.columns` and `matmul.products`, compiled."""

    @property
    def columns(self) -> Callable[..., None]:
        """Rows of a frozen model for given characters."""

    @property
    def products(self) -> Callable[..., None]:
        """Rows times a matrix."""


class _Planner:
    """Turn the stages of a frozen model into a plan's, one by one."""

    def __init__(self, model: FrozenModel, kernels: Tabulators) -> None:
        self.model, self.kernels, self.draft = model, kernels, _Draft()
        fan, self.V, C = model.table.shape
        self.limit = max(order for order, rows in MOST_ROWS.items() if self.V**order <= rows)
        ends = model.stages[:, freeze.TARGET] + model.stages[:, freeze.N_OUT]
        # How many characters each number of a row depends on, as it stands before the next stage.
        self.seen = np.full(max([C, *ends.tolist()]), EVER)
        self.seen[:C] = fan
        self.tabulated = fan <= self.limit and len(model.stages) > 0
        self.first = self._count_known() if self.tabulated else 0

    def _count_known(self) -> int:
        """Return how many leading stages write numbers that few enough characters decide; the last one never counts."""
        for s, stage in enumerate(self.model.stages[:-1]):
            if self._dependence(stage) > self.limit:
                return s
            self._write(stage)
        return len(self.model.stages) - 1

    def _write(self, stage: Ints) -> None:
        _, _, target, n_out = self._place(stage)
        self.seen[target : target + n_out] = self._dependence(stage)

    def plan(self) -> Plan:
        """Return the plan."""
        C = self.model.table.shape[2]
        stages = self.model.stages[self.first :]
        if self.tabulated:
            for start, n in self._wanted(stages):
                self._copy(start, n)
        else:
            self._look_up_table(C)
        for stage in stages[:-1]:
            self._add(stage)
            self._write(stage)
        for stage in stages[-1:]:
            self._add(stage, padded=True)
        keep = self._keep()
        d = self.draft
        return Plan(
            np.array(d.stages, np.int64),
            np.array(d.terms, np.int64).reshape(-1, ALPHABET + 1),
            np.array(keep, np.int64).reshape(-1, TO + 1),
            np.concatenate(d.parts).astype(np.float32),
            self.V,
        )

    def _place(self, stage: Ints) -> tuple[int, int, int, int]:
        columns = (freeze.SOURCE, freeze.N_IN, freeze.TARGET, freeze.N_OUT)
        source, n_in, target, n_out = (int(stage[c]) for c in columns)
        return source, n_in, target, n_out

    def _dependence(self, stage: Ints) -> int:
        source, n_in, _, n_out = self._place(stage)
        oldest = (stage[freeze.FAN] - 1) * stage[freeze.DILATION]
        seen = int(self.seen[source : source + n_in].max()) + int(oldest)
        if stage[freeze.ADDED] >= 0:
            seen = max(seen, int(self.seen[stage[freeze.ADDED] : stage[freeze.ADDED] + n_out].max()))
        return EVER if stage[freeze.LAG] else min(seen, EVER)

    def _table(self, order: int, n: int, fill: Callable[[Floats, Floats], None]) -> Floats:
        """Return (V^order, n): what `fill` makes of the numbers of a row after each run of `order` characters, where
        those decide. It is called with some rows at a time and the place for the outcome.
        """
        m, stages = self.model, np.ascontiguousarray(self.model.stages[: self.first])
        grams = np.indices((self.V,) * order).reshape(order, -1).T
        ids = np.ascontiguousarray(np.hstack([np.zeros((len(grams), 1), np.int64), grams]), np.int64)
        table = np.empty((len(ids), n), np.float32)
        for begin in range(0, len(ids), AT_ONCE):
            some = ids[begin : begin + AT_ONCE]
            columns = np.zeros((len(some), len(self.seen)), np.float32)
            self.kernels.columns(m.table, m.activation, stages, m.weights, some, columns)
            fill(columns, table[begin : begin + AT_ONCE])
        return table

    def _order(self, start: int, n: int) -> int:
        """Return how many characters decide these numbers, or 0 where they are computed each time."""
        seen = int(self.seen[start : start + n].max())
        return seen if self.tabulated and seen <= self.limit else 0

    def _wanted(self, stages: Ints) -> list[tuple[int, int]]:
        """Return the runs of known numbers that later stages read as they are."""
        read, written = np.zeros(len(self.seen), bool), self.seen > self.limit
        for stage in stages:
            source, n_in, target, n_out = self._place(stage)
            fresh = np.zeros_like(read)
            if stage[freeze.ADDED] >= 0:
                fresh[stage[freeze.ADDED] : stage[freeze.ADDED] + n_out] = True
            if stage[freeze.LAG] or written[source : source + n_in].any():
                fresh[source : source + n_in] = True
            read |= fresh & ~written
            written[target : target + n_out] = True
        edges = np.flatnonzero(np.diff(np.concatenate([[0], read.astype(np.int8), [0]])))
        return [(int(a), int(b - a)) for a, b in zip(edges[::2], edges[1::2], strict=True)]

    def _look_up_table(self, C: int) -> None:
        fan = len(self.model.table)
        alone = not len(self.model.stages)
        for place, rows in enumerate(self.model.table):
            self.draft.term(1, fan - 1 - place, self.draft.put(_padded(rows) if alone else rows))
        self.draft.stage(0, C + -C % RUN if alone else C, activation=self.model.activation)

    def _copy(self, start: int, n: int) -> None:
        def fill(columns: Floats, out: Floats) -> None:
            out[:] = columns[:, start : start + n]

        order = self._order(start, n)
        self.draft.term(order, 0, self.draft.put(self._table(order, n, fill)))
        self.draft.stage(start, n)

    def _add(self, stage: Ints, padded: bool = False) -> None:
        source, n_in, target, n_out = self._place(stage)
        fan, dilation, lag, at = (int(stage[c]) for c in (freeze.FAN, freeze.DILATION, freeze.LAG, freeze.WEIGHT_AT))
        order = 0 if lag else self._order(source, n_in)
        for place in range(fan):
            back = lag + (fan - 1 - place) * dilation
            weight = self.model.weights[at + place * n_in * n_out : at + (place + 1) * n_in * n_out]
            weight = _padded(weight.reshape(n_in, n_out))
            if order:
                found = self._products(order, source, weight)
                self.draft.term(order, back, self.draft.put(found if padded else found[:, :n_out]))
            else:
                self.draft.term(0, back, self.draft.put(in_runs(weight)), source, n_in, lag)
        bias = self.model.weights[stage[freeze.BIAS_AT] : stage[freeze.BIAS_AT] + n_out]
        bias = _padded(bias[None])[0] if padded else bias
        self.draft.stage(
            target, len(bias), self.draft.put(bias), int(stage[freeze.ADDED]), int(stage[freeze.ACTIVATION])
        )

    def _products(self, order: int, source: int, weight: Floats) -> Floats:
        (n_in, n_out), flat = weight.shape, in_runs(weight)

        def fill(columns: Floats, out: Floats) -> None:
            self.kernels.products(columns, source, n_in, flat, out)

        return self._table(order, n_out, fill)

    def _keep(self) -> list[list[int]]:
        """Say of each product where it finds its numbers, and return what has to be remembered in states."""
        keep: list[list[int]] = []
        kinds = 0
        for term in self.draft.terms:
            if term[ORDER]:
                continue
            maker = self._maker(term[SOURCE], term[N_IN])
            span = self._span(maker)
            if maker >= 0 and (span or term[BACK]):
                term[MADE_BY], term[SPAN] = maker, span
            elif term[BACK]:
                term[KEPT] = _kept(keep, term[SOURCE], term[N_IN])
            if term[MADE_BY] >= 0 or term[KEPT] >= 0:
                term[SHARED] = kinds
                kinds += 1
        for s, stage in enumerate(self.draft.stages):
            if stage[ACTIVATION] == CELL:
                H = stage[N_OUT] // 4
                stage[CARRIED] = _kept(keep, stage[TARGET] + H, H)
            stage[VIRTUAL] = int(self._is_read_by_makers_alone(s, keep))
        return keep

    def _span(self, maker: int) -> int:
        """Return how many characters decide what a stage that only looks up writes; 0 if their number is too large."""
        if maker < 0:
            return 0
        begin = self.draft.stages[maker - 1][TERMS_END] if maker else 0
        terms = self.draft.terms[begin : self.draft.stages[maker][TERMS_END]]
        span = max(term[BACK] + term[ORDER] for term in terms)
        return span if self.V**span < MOST_GRAMS else 0

    def _is_read_by_makers_alone(self, s: int, keep: list[list[int]]) -> bool:
        stage, last = self.draft.stages[s], len(self.draft.stages) - 1
        readers = [term for term in self.draft.terms if not term[ORDER] and term[MADE_BY] < 0 and not term[BACK]]
        ranges = [(term[SOURCE], term[N_IN]) for term in readers] + [(row[FROM], row[N]) for row in keep]
        ranges += [(other[ADDED], other[N_OUT]) for other in self.draft.stages if other[ADDED] >= 0]
        start, end = stage[TARGET], stage[TARGET] + stage[N_OUT]
        return s < last and all(at >= end or at + n <= start for at, n in ranges)

    def _maker(self, source: int, n_in: int) -> int:
        """Return the stage that makes just these numbers by looking up alone, or -1."""
        begin, end = 0, source + n_in
        writers = [
            stage for stage in self.draft.stages if stage[TARGET] < end and stage[TARGET] + stage[N_OUT] > source
        ]
        for s, stage in enumerate(self.draft.stages):
            terms = self.draft.terms[begin : stage[TERMS_END]]
            begin = stage[TERMS_END]
            alone = stage[ADDED] < 0 and all(term[ORDER] for term in terms)
            # A gate leaves half of its numbers to others.
            if alone and writers == [stage] and (stage[TARGET], stage[N_OUT]) == (source, n_in):
                return s if stage[ACTIVATION] != GATE else -1
        return -1


def _padded(matrix: Floats) -> Floats:
    """Return the matrix with its outputs in whole runs: the rest are zeros."""
    return np.pad(matrix, ((0, 0), (0, -matrix.shape[1] % RUN)))


def _kept(keep: list[list[int]], start: int, n: int) -> int:
    """Return where the state has these numbers, making room where it has not."""
    for row in keep:
        if row[FROM] == start and row[N] == n:
            return row[TO]
    to = sum(row[N] for row in keep)
    keep.append([start, n, to])
    return to


def make_plan(model: FrozenModel, kernels: Tabulators) -> Plan:
    """Return what the sampling kernel needs of `model`."""
    return _Planner(model, kernels).plan()
