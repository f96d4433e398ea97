"""From frozen weights to names, without torch."""

from models.inference.compiler import Kernels, compile_every_level, prepare
from models.inference.frozen import FrozenModel, freeze
from models.inference.generator import Batch, CharacterScore, NameGenerator, Score
from models.inference.sampler import MAX_SEED, MAX_TEMPERATURE, MIN_TEMPERATURE, SamplingOptions

__all__ = [
    "MAX_SEED",
    "MAX_TEMPERATURE",
    "MIN_TEMPERATURE",
    "Batch",
    "CharacterScore",
    "FrozenModel",
    "Kernels",
    "NameGenerator",
    "SamplingOptions",
    "Score",
    "compile_every_level",
    "freeze",
    "prepare",
]
