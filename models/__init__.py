"""Models: configurations, versions in stores, and name generation. This module needs no torch."""

from models.config import ModelConfig
from models.errors import (
    CheckpointError,
    ConfigError,
    ExpressionError,
    ModelError,
    OptionError,
    StoreError,
    UnknownCharacter,
    UnknownReference,
)
from models.inference import Batch, Constraints, Kernels, NameGenerator, SamplingOptions, Score, prepare
from models.manifest import Manifest
from models.store.publishing import Draft
from models.store.registry import ModelRegistry
from models.store.snapshot import Snapshot
from models.store.version import Version
from models.vocabulary import Vocabulary

__all__ = [
    "Batch",
    "CheckpointError",
    "ConfigError",
    "Constraints",
    "Draft",
    "ExpressionError",
    "Kernels",
    "Manifest",
    "ModelConfig",
    "ModelError",
    "ModelRegistry",
    "NameGenerator",
    "OptionError",
    "SamplingOptions",
    "Score",
    "Snapshot",
    "StoreError",
    "UnknownCharacter",
    "UnknownReference",
    "Version",
    "Vocabulary",
    "prepare",
]
