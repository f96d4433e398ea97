"""From a model to names, on the compiled `models.kernel`.

The modules, in reading order:

jit             machine code of the kernels, kept in a folder
predictor       a model ready to be asked for logits; `blend` asks several as one
constraints     which candidates become names; `keyword_filter` finds offensive words
selection       the same over codes; `lines` writes names as bytes, and `pipeline` does all in one call
prepared        options and constraints, checked and encoded; it draws candidates and selects names
stream          the names of one request, a chunk at a time
generator       both in one call, and how likely names are (`scores`)
pair_tree       a wavenet's every number over one window, and its embedding in two dimensions, to be looked at
"""

from models.inference.blend import BlendPredictor
from models.inference.constraints import AS_DRAWN, REASONS, Constraints
from models.inference.generator import Batch, ListedNames, NameGenerator
from models.inference.jit import Kernels, compile_every_level, prepare
from models.inference.lines import CSV, JSON_LIST, NDJSON, TEXT, Form, LineWriter, SpellingWriter, Writer
from models.inference.predictor import ModelPredictor, predictor_of
from models.inference.prepared import PreparedSampler
from models.inference.scores import DECIMALS, CharacterScore, NextCharacter, Score
from models.inference.stream import NameStream
from models.kernel.freeze import FrozenModel, freeze
from models.kernel.prefix_cache import PrefixMemory
from models.kernel.sample import MAX_SEED, MAX_TEMPERATURE, MIN_TEMPERATURE, SamplingOptions

__all__ = [
    "AS_DRAWN",
    "CSV",
    "DECIMALS",
    "JSON_LIST",
    "MAX_SEED",
    "MAX_TEMPERATURE",
    "MIN_TEMPERATURE",
    "NDJSON",
    "REASONS",
    "TEXT",
    "Batch",
    "BlendPredictor",
    "CharacterScore",
    "Constraints",
    "Form",
    "FrozenModel",
    "Kernels",
    "LineWriter",
    "ListedNames",
    "ModelPredictor",
    "NameGenerator",
    "NameStream",
    "NextCharacter",
    "PrefixMemory",
    "PreparedSampler",
    "SamplingOptions",
    "Score",
    "SpellingWriter",
    "Writer",
    "compile_every_level",
    "freeze",
    "predictor_of",
    "prepare",
]
