"""What follows a prefix, for the sampler as a plan and for scores as logits: of one model, or (`blend`) of several. No
names, no options.
"""

from typing import Protocol

import numpy as np

from models.inference.jit import Kernels
from models.kernel.compile_plan import make_plan
from models.kernel.freeze import Floats, FrozenModel
from models.kernel.plan import Ints, Plan
from models.vocabulary import END, Vocabulary


class Predictor(Protocol):
    """What a generator draws with. `shares` (M,): the weights of a blend's models; none for a model alone."""

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
    """One model. Nothing in it changes."""

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


def opened(ids: list[int]) -> Ints:
    """Return `ids` behind the end token that stands before every name."""
    return np.array([END, *ids], np.int64)
