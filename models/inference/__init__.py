"""From frozen weights to names, without torch."""

from models.inference.compiler import Kernels, compile_every_level, prepare
from models.inference.frozen import FrozenModel, freeze
from models.inference.generator import Batch, CharacterScore, NameGenerator, Score
from models.inference.lines import CSV, NDJSON, TEXT, Form, LineWriter
from models.inference.memory import PrefixMemory
from models.inference.sampler import MAX_SEED, MAX_TEMPERATURE, MIN_TEMPERATURE, SamplingOptions
from models.inference.stream import NameStream

__all__ = [
    "CSV",
    "MAX_SEED",
    "MAX_TEMPERATURE",
    "MIN_TEMPERATURE",
    "NDJSON",
    "TEXT",
    "Batch",
    "CharacterScore",
    "Form",
    "FrozenModel",
    "Kernels",
    "LineWriter",
    "NameGenerator",
    "NameStream",
    "PrefixMemory",
    "SamplingOptions",
    "Score",
    "compile_every_level",
    "freeze",
    "prepare",
]
