"""Predict next characters, as a plan for the sampler and as logits for scores.

A predictor has one model or (`blend`) several. It knows no names and no options.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.config import ModelConfig
from models.errors import CheckpointError
from models.inference.jit import Kernels
from models.kernel.compile_plan import make_plan
from models.kernel.freeze import Arrays, Floats, FrozenModel, freeze
from models.kernel.int8.lstm import Int8Lstm
from models.kernel.int8.model import has_integers, int8_model, style_bias
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


class ModelPredictor:
    """One model of format 1. Nothing in it changes."""

    def __init__(self, model: FrozenModel, vocabulary: Vocabulary, kernels: Kernels) -> None:
        self.model, self.vocabulary, self.kernels = model, vocabulary, kernels
        self.plan = make_plan(model, kernels)

    def logits(self, ids: Ints, shares: Floats) -> Floats:
        """Return the logits (T, V) after each of `ids` (T,); `shares` are for blends."""
        m, out = self.model, np.empty((len(ids), self.model.vocab_size), np.float32)
        self.kernels.logits(m.table, m.activation, m.stages, m.weights, ids, out)
        return out

    def knows(self, ids: Ints) -> bool:
        """A model knows every character that has an index."""
        return True


class Int8Predictor:
    """One model of format 2. Nothing in it changes."""

    def __init__(self, model: Int8Lstm, style: NDArray[np.int16], vocabulary: Vocabulary, kernels: Kernels) -> None:
        self.vocabulary, self.kernels = vocabulary, kernels
        self.plan = int8_plan(model, style)

    def logits(self, ids: Ints, shares: Floats) -> Floats:
        """Return the logits (T, V) after each of `ids` (T,); `shares` are for blends."""
        plan, out = self.plan, np.empty((len(ids), len(self.vocabulary)), np.float32)
        self.kernels.int8_logits(plan.integer, plan.narrow, plan.gates, plan.wide, ids, out)
        return out

    def knows(self, ids: Ints) -> bool:
        """A model knows every character that has an index."""
        return True


def predictor_of(config: ModelConfig, arrays: Arrays, vocabulary: Vocabulary, kernels: Kernels) -> Predictor:
    """Return the predictor of a checkpoint's arrays. Raises `CheckpointError` where they do not fit."""
    if has_integers(arrays):
        model = int8_model(config, arrays)
        if len(model.table) != len(vocabulary):
            raise CheckpointError("The vocabulary does not fit the weights.")
        return Int8Predictor(model, style_bias(arrays), vocabulary, kernels)
    frozen = freeze(config, arrays)
    if frozen.vocab_size != len(vocabulary):
        raise CheckpointError("The vocabulary does not fit the weights.")
    return ModelPredictor(frozen, vocabulary, kernels)


def opened(ids: list[int]) -> Ints:
    """Return `ids` behind the end token that stands before every name."""
    return np.array([END, *ids], np.int64)
