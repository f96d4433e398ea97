"""From frozen weights to names, without torch. To read in this order:

arithmetic    exp, tanh and random words, the same bits on every processor
frozen        a checkpoint as plain arrays: a table of characters and stages
forward       what each number of a position is, in the plainest form; the oracle of the rest
plan          the same as sums of terms: rows of tables and products; `planning` makes it from a frozen model
tile          a product's innermost loop; `product` makes matrices of it
distribution  from logits to boundaries that random words are compared with
evaluation    distributions after many prefixes at once
sampler       candidates going down the tree of prefixes abreast; `memory` keeps the tree
mixing        several models' distributions as one; `blend` puts their plans side by side
pair_tree     a wavenet's every number over one window, to be looked at; `projection` its embedding in two dimensions
constraints   which candidates become names
prepared      options and constraints, checked and encoded; it draws candidates
stream        the names among them, a chunk at a time; `lines` writes a million of them
generator     both in one call, and how likely names are (`scores`)
compiler      machine code of all this, kept in a folder; `kernel` says how
"""

from models.inference.blend import BlendPredictor
from models.inference.compiler import Kernels, compile_every_level, prepare
from models.inference.constraints import AS_DRAWN, REASONS, Constraints
from models.inference.frozen import FrozenModel, freeze
from models.inference.generator import Batch, NameGenerator
from models.inference.lines import CSV, NDJSON, TEXT, Form, LineWriter
from models.inference.memory import PrefixMemory
from models.inference.predictor import ModelPredictor
from models.inference.prepared import PreparedSampler
from models.inference.sampler import MAX_SEED, MAX_TEMPERATURE, MIN_TEMPERATURE, SamplingOptions
from models.inference.scores import DECIMALS, CharacterScore, NextCharacter, Score
from models.inference.stream import NameStream

__all__ = [
    "AS_DRAWN",
    "CSV",
    "DECIMALS",
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
    "ModelPredictor",
    "NameGenerator",
    "NameStream",
    "NextCharacter",
    "PrefixMemory",
    "PreparedSampler",
    "SamplingOptions",
    "Score",
    "compile_every_level",
    "freeze",
    "prepare",
]
