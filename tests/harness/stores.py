"""Small stores to be maltreated: drafts that nobody trained, and what a reader sees of a store. No fault is made
here.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models import Draft, Kernels, ModelConfig, ModelRegistry, Vocabulary
from models.manifest import DataRecord
from models.store import Store

SYLLABLES = ("ka", "lo", "mi", "ren", "tu", "sha")
DATASET, ARCHITECTURE = "elves", "bigram"


def small_draft(variant: int) -> Draft:
    """Return a bigram with random weights: each `variant` draws other names."""
    names = tuple("".join(parts) for parts in itertools.product(SYLLABLES, repeat=2))
    vocabulary = Vocabulary.of(names)
    V = len(vocabulary)
    weights = np.random.default_rng(variant).normal(size=(V, V)).astype(np.float32)
    return Draft(
        dataset=DATASET,
        config=ModelConfig(architecture="bigram", block_size=1),
        vocabulary=vocabulary,
        parameters=V * V,
        data=DataRecord(title="Elves", sha256="0" * 64, names=len(names), longest=max(map(len, names)), split_seed=42),
        seed=variant,
        metrics={"train": 2.0, "dev": 2.1, "test": 2.1},
        training={"steps": 1, "learning_rate": 1e-05},
        arrays={"embedding.weight": weights},
        names=names,
        files={"card.md": b"# Elves\n"},
    )


@dataclass(frozen=True)
class View:
    """What a fresh process sees: each version's digest, what each alias means, and what is wrong."""

    versions: dict[str, str]
    meanings: dict[tuple[str, str, str], str]
    wrong: tuple[str, ...]


def opened(root: Path, kernels: Kernels) -> ModelRegistry:
    """Return a fresh registry over shipped/, which may be empty, and user/ of `root`."""
    return ModelRegistry.open(kernels, user=root / "user", shipped=root / "shipped")


def view(root: Path, kernels: Kernels) -> View:
    """Look at the stores of `root` as a process does that starts now."""
    now = opened(root, kernels).now
    return View(
        {version.reference: version.digest for version in now.versions()},
        {place: key.reference for place, key in now.meanings.items()},
        (*now.refused.values(), *now.stand_ins),
    )


def leftovers(root: Path) -> list[str]:
    """Return the temporary files and folders of the user's store."""
    store = Store(root / "user")
    return sorted(path.name for pattern in ("*/*/.tmp-*", ".aliases.json-*") for path in store.root.glob(pattern))
