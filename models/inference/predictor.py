"""Predict next characters, as a plan for the sampler and as logits for scores.

A predictor has one model or (`blend`) several. It knows no names and no options.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.config import ModelConfig
from models.errors import CheckpointError
from models.inference.jit import Kernels
from models.kernel.compile_plan import make_plan
from models.kernel.freeze import Arrays, Floats, FrozenModel, freeze, style_biases
from models.kernel.int8.lstm import Int8Lstm
from models.kernel.int8.model import STYLES, has_integers, int8_model, style_bias
from models.kernel.int8.stage import int8_plan
from models.kernel.plan import Ints, Plan
from models.vocabulary import END, Vocabulary


class Predictor(Protocol):
    """The model or models of a generator.

    `shares` (M,): the weights of a blend's models; none for a single model.
    """

    @property
    def vocabulary(self) -> Vocabulary:
        """The alphabet of the names."""

    @property
    def plan(self) -> Plan:
        """What the sampling kernel works from."""

    def logits(self, ids: Ints, shares: Floats) -> Floats:
        """Return the logits (T, V) after each of `ids` (T,), of which the first is the end token."""

    def knows(self, ids: Ints) -> bool:
        """Say whether names with these characters can be."""

    def styled(self, rows: tuple[int, ...]) -> "Predictor":
        """Return the same model with the chosen values of its styles."""


Make = Callable[[tuple[int, ...]], Predictor]


class ModelPredictor:
    """One model of 32-bit floats. Nothing in it changes. `make` returns it with the chosen rows of its styles."""

    def __init__(self, model: FrozenModel, vocabulary: Vocabulary, kernels: Kernels, make: Make | None = None) -> None:
        self.model, self.vocabulary, self.kernels, self._make = model, vocabulary, kernels, make
        self.plan = make_plan(model, kernels)

    def logits(self, ids: Ints, shares: Floats) -> Floats:
        """Return the logits (T, V) after each of `ids` (T,); `shares` are for blends."""
        m, out = self.model, np.empty((len(ids), self.model.vocab_size), np.float32)
        self.kernels.logits(m.table, m.activation, m.stages, m.weights, ids, out)
        return out

    def knows(self, ids: Ints) -> bool:
        """A model knows every character that has an index."""
        return True

    def styled(self, rows: tuple[int, ...]) -> Predictor:
        """Return the model with the chosen values of its styles."""
        return self._make(rows) if self._make else self


class Int8Predictor:
    """One model of 8-bit integers. Nothing in it changes. `make` returns it with the chosen rows of its styles."""

    def __init__(
        self,
        model: Int8Lstm,
        style: NDArray[np.int16],
        vocabulary: Vocabulary,
        kernels: Kernels,
        make: Make | None = None,
    ) -> None:
        self.vocabulary, self.kernels, self._make = vocabulary, kernels, make
        self.plan = int8_plan(model, style)

    def logits(self, ids: Ints, shares: Floats) -> Floats:
        """Return the logits (T, V) after each of `ids` (T,); `shares` are for blends."""
        plan, out = self.plan, np.empty((len(ids), len(self.vocabulary)), np.float32)
        self.kernels.int8_logits(plan.integer, plan.narrow, plan.gates, plan.wide, ids, out)
        return out

    def knows(self, ids: Ints) -> bool:
        """A model knows every character that has an index."""
        return True

    def styled(self, rows: tuple[int, ...]) -> Predictor:
        """Return the model with the chosen values of its styles."""
        return self._make(rows) if self._make else self


def predictor_of(
    config: ModelConfig, arrays: Arrays, vocabulary: Vocabulary, kernels: Kernels, n_styles: int = 0
) -> Predictor:
    """Return the predictor of a checkpoint's arrays, without a style. Raises `CheckpointError` where they do not fit.

    `n_styles`: the number of values of all styles.
    """
    rows = {arrays[name].shape[:1] for name in (*style_biases(config), STYLES) if name in arrays}
    if rows != ({(n_styles,)} if n_styles else set()):
        raise CheckpointError("The styles do not fit the weights.")
    model = int8_model(config, arrays) if has_integers(arrays) else None

    def make(style: tuple[int, ...]) -> Predictor:
        found: Int8Predictor | ModelPredictor
        if model is not None:
            found = Int8Predictor(model, style_bias(arrays, style), vocabulary, kernels, make)
        else:
            found = ModelPredictor(freeze(config, arrays, style), vocabulary, kernels, make)
        if style:
            found.plan = _with_arrays_of(predictor.plan, found.plan)
        return found

    predictor = make(())
    if predictor.plan.vocab_size != len(vocabulary):
        raise CheckpointError("The vocabulary does not fit the weights.")
    return predictor


def _with_arrays_of(version: Plan, styled: Plan) -> Plan:
    """Return the plan of a style with the arrays of its version where they are equal, and the bytes of the others."""
    own, shared = 0, dict[str, Any]()
    for name in ("stages", "terms", "keep", "weights", "integer", "narrow", "gates", "wide"):
        mine, theirs = getattr(styled, name), getattr(version, name)
        if np.array_equal(mine, theirs):
            shared[name] = theirs
        else:
            own += mine.nbytes
    return replace(styled, **shared, own_bytes=own)


def opened(ids: list[int]) -> Ints:
    """Return `ids` behind the end token that stands before every name."""
    return np.array([END, *ids], np.int64)
