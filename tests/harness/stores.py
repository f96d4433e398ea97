"""Small stores of untrained models to damage, and what a reader sees of a store."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models import Draft, Kernels, ModelConfig, ModelRegistry, Vocabulary
from models.manifest import DataRecord
from models.store.files import Key, Store

SYLLABLES = ("ka", "lo", "mi", "ren", "tu", "sha")
DATASET, ARCHITECTURE = "elves", "bigram"
MODEL = f"{DATASET}/{ARCHITECTURE}"


def small_draft(variant: int) -> Draft:
    """Return a bigram with random weights; each `variant` generates other names."""
    names = tuple("".join(parts) for parts in itertools.product(SYLLABLES, repeat=2))
    vocabulary = Vocabulary.of(names)
    V = len(vocabulary)
    return Draft(
        dataset=DATASET,
        config=ModelConfig(architecture="bigram", block_size=1),
        vocabulary=vocabulary,
        parameters=V * V,
        data=DataRecord(title="Elves", sha256="0" * 64, names=len(names), longest=max(map(len, names)), split_seed=42),
        seed=variant,
        metrics={"train": 2.0, "dev": 2.1, "test": 2.1},
        training={"steps": 1, "learning_rate": 1e-05},
        arrays={"embedding.weight": np.random.default_rng(variant).normal(size=(V, V)).astype(np.float32)},
        names=names,
        files={"card.md": b"# Elves\n"},
    )


def open_registry(root: Path, kernels: Kernels) -> ModelRegistry:
    """Return a new registry over the stores shipped/ and user/ of `root`."""
    return ModelRegistry.open(kernels, user=root / "user", shipped=root / "shipped")


def make_stores(root: Path, kernels: Kernels, versions: int = 3) -> Path:
    """Publish this number of versions to user/ of `root`, and return `root`."""
    for variant in range(1, versions + 1):
        open_registry(root, kernels).publish(small_draft(variant))
    return root


def store_settings(root: Path) -> dict[str, str]:
    """Return the environment variables of a service over the stores of `root`."""
    return {"NAMEWAVE_STORE": str(root / "user"), "NAMEWAVE_SHIPPED_STORE": str(root / "shipped")}


def version_folder(root: Path, number: int) -> Path:
    """Return the folder of a version in user/ of `root`."""
    return Store(root / "user").folder(Key(DATASET, ARCHITECTURE, number))


@dataclass(frozen=True)
class View:
    """The stores as a new process sees them: version digests, alias targets, and problems."""

    versions: dict[str, str]
    aliases: dict[tuple[str, str, str], str]
    problems: tuple[str, ...]


def view(root: Path, kernels: Kernels) -> View:
    """Return what a process that starts now sees of the stores of `root`."""
    now = open_registry(root, kernels).now
    return View(
        {version.reference: version.digest for version in now.versions()},
        {place: key.reference for place, key in now.alias_targets.items()},
        (*now.refused.values(), *now.fallbacks),
    )


def leftovers(root: Path) -> list[str]:
    """Return the temporary files and folders in user/ of `root`."""
    return sorted(path.name for pattern in ("*/*/.tmp-*", ".aliases.json-*") for path in (root / "user").glob(pattern))
