"""Several models as one: their plans side by side, and a last stage that mixes them (`mixture`).

It reads no files and knows no names.

Nothing is recomputed: each model's tables and products stay as they are, and each counts characters in its own
alphabet.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.inference.jit import Kernels
from models.inference.predictor import Predictor
from models.kernel import plan as columns
from models.kernel.freeze import Floats
from models.kernel.matmul import RUN
from models.kernel.mixture import CODES, INT8, LOGITS_AT, MIX, SIZE
from models.kernel.plan import Ints, Plan
from models.vocabulary import END, Vocabulary


@dataclass
class _Sum:
    """Concatenated plans; columns that point into a table are moved by the length before it."""

    stages: list[Ints] = field(default_factory=list)
    terms: list[Ints] = field(default_factory=list)
    keep: list[Ints] = field(default_factory=list)
    weights: list[Floats] = field(default_factory=list)
    logits_at: list[int] = field(default_factory=list)
    integer: list[Ints] = field(default_factory=list)
    narrow: list[NDArray[np.int8]] = field(default_factory=list)
    gates: list[NDArray[np.int16]] = field(default_factory=list)
    wide: list[NDArray[np.int32]] = field(default_factory=list)
    row = state = shared = size = 0

    def add(self, plan: Plan) -> None:
        stages, terms, keep, integer = plan.stages.copy(), plan.terms.copy(), plan.keep.copy(), plan.integer.copy()
        integer[:, [columns.MATRIX_1, columns.MATRIX_2]] += sum(map(len, self.narrow))
        integer[:, [columns.TABLE, columns.STYLE]] += sum(map(len, self.gates))
        integer[:, [columns.SCALE_1, columns.SCALE_2, columns.OFFSET]] += sum(map(len, self.wide))
        integer[:, columns.OWN] = len(self.weights)
        _move(stages, self.row, columns.TARGET, columns.ADDED)
        is_integer = stages[:, columns.ACTIVATION] == INT8
        stages[is_integer, columns.BIAS] += sum(map(len, self.integer))
        stages[is_integer, columns.CARRIED] += self.state
        floats = stages[~is_integer]
        _move(floats, self.size, columns.BIAS)
        _move(floats, self.state, columns.CARRIED)
        stages[~is_integer] = floats
        _move(stages, sum(map(len, self.terms)), columns.TERMS_END)
        _move(terms, self.size, columns.AT)
        _move(terms, self.row, columns.SOURCE)
        _move(terms, self.state, columns.KEPT)
        _move(terms, sum(map(len, self.stages)), columns.MADE_BY)
        _move(terms, self.shared, columns.SHARED)
        terms[:, columns.ALPHABET] = len(self.weights)
        _move(keep, self.row, columns.FROM)
        _move(keep, self.state, columns.TO)
        self.logits_at.append(int(stages[-1, columns.TARGET]))
        self.stages.append(stages)
        self.terms.append(terms)
        self.keep.append(keep)
        self.weights.append(plan.weights)
        self.integer.append(integer)
        self.narrow.append(plan.narrow)
        self.gates.append(plan.gates)
        self.wide.append(plan.wide)
        self.row += int((plan.stages[:, columns.TARGET] + plan.stages[:, columns.N_OUT]).max())
        self.state += plan.state
        self.shared += plan.shared
        self.size += plan.weights.size

    def plan(self, alphabets: Ints, vocab_size: int) -> Plan:
        last = [self.row, vocab_size + -vocab_size % RUN, -1, -1, MIX, sum(map(len, self.terms)), -1, 0]
        return Plan(
            np.concatenate([*self.stages, np.array([last], np.int64)]),
            np.concatenate(self.terms),
            np.concatenate(self.keep),
            np.concatenate(self.weights),
            vocab_size,
            alphabets,
            np.concatenate(self.integer),
            np.concatenate(self.narrow),
            np.concatenate(self.gates),
            np.concatenate(self.wide),
        )


def _move(table: Ints, by: int, *places: int) -> None:
    """Add `by` to these columns, but where they are -1, which stands for nothing."""
    for place in places:
        table[table[:, place] >= 0, place] += by


class BlendPredictor:
    """Two or more models, over the union of their alphabets. Nothing in it changes."""

    def __init__(self, predictors: Sequence[Predictor], kernels: Kernels) -> None:
        self._predictors, self._kernels = tuple(predictors), kernels
        locales = {p.vocabulary.locale for p in predictors}
        characters = tuple(sorted(set().union(*(p.vocabulary.characters for p in predictors))))
        self.vocabulary = Vocabulary(characters, locales.pop() if len(locales) == 1 else "")
        laid = _Sum()
        for predictor in predictors:
            laid.add(predictor.plan)
        self._own = np.array([_own_indices(p.vocabulary, self.vocabulary) for p in predictors], np.int64)
        self.plan = laid.plan(self._alphabets(laid.logits_at), len(self.vocabulary))

    def _alphabets(self, logits_at: Sequence[int]) -> Ints:
        alphabets = np.empty((len(self._predictors), CODES + len(self.vocabulary)), np.int64)
        alphabets[:, LOGITS_AT] = logits_at
        alphabets[:, SIZE] = [len(p.vocabulary) for p in self._predictors]
        alphabets[:, CODES:] = self._own
        return alphabets

    def logits(self, ids: Ints, shares: Floats) -> Floats:
        """Return the mixed log-probabilities (T, V), not renormalised, after each of `ids` (T,).

        They are `mixture.NEVER` for characters that none of the remaining models knows.
        """
        found = [p.logits(np.maximum(own[ids], 0), shares) for p, own in zip(self._predictors, self._own, strict=True)]
        widths = [part.shape[1] for part in found]
        out = np.empty((len(ids), len(self.vocabulary)), np.float32)
        alphabets = self._alphabets(np.cumsum([0, *widths[:-1]]).tolist())
        self._kernels.mixed(np.hstack(found), alphabets, shares, ids, out)
        return out

    def knows(self, ids: Ints) -> bool:
        """Say whether one of the models knows all of these characters."""
        return bool((self._own[:, ids] >= 0).all(axis=1).any())

    def styled(self, rows: tuple[int, ...]) -> Predictor:
        """Raise `NotImplementedError`: the models of a blend have their styles before they are blended."""
        raise NotImplementedError


def _own_indices(own: Vocabulary, union: Vocabulary) -> list[int]:
    return [END, *(own.stoi.get(character, -1) for character in union.characters)]
