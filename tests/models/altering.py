"""What others do to the stores that a registry follows."""

from dataclasses import replace
from pathlib import Path

import torch

from models import Draft, ModelRegistry
from models.aliases import Aliases
from models.config import ModelConfig
from models.networks import build_model
from models.store import Key, Store


def opened(registry: ModelRegistry) -> ModelRegistry:
    """A fresh registry over the same stores: another process."""
    fresh = ModelRegistry(registry.stores, registry.kernels)
    fresh.refresh()
    return fresh


def folder(registry: ModelRegistry, number: int) -> Path:
    """Where a version of the elves lies in the user's store."""
    return registry.stores[-1].folder(Key("elves", "wavenet", number))


def damage(registry: ModelRegistry, number: int) -> None:
    """Flip a bit of a version's weights."""
    path = folder(registry, number) / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def say(store: Store, **names: int) -> None:
    """Write aliases of the elves' wavenet as a hand would, whether there are such versions or not."""

    def change(aliases: Aliases) -> Aliases:
        mine = aliases.of("elves")
        for name, number in names.items():
            mine = mine.moved("wavenet", name, number)
        return aliases.with_dataset("elves", mine)

    store.change_aliases(change)


def bigram(draft: Draft, dev: float) -> Draft:
    """A version of another architecture over the same list, with a dev loss of its own."""
    network = build_model(
        ModelConfig(architecture="bigram", block_size=1), len(draft.vocabulary), torch.Generator().manual_seed(1)
    )
    return replace(draft, config=network.config, arrays=network.to_arrays(), metrics={"dev": dev})
