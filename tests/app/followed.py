"""What another process does to the stores that a service follows."""

import os
import shutil
from pathlib import Path

from models import Draft, Kernels, ModelRegistry
from models.store import Key, Store

# Seconds: far more than any machine needs, so that only a change that never comes fails.
PATIENCE = 90


def opened(kernels: Kernels, stores: Path) -> ModelRegistry:
    """A registry over the stores: what another process has."""
    return ModelRegistry.open(kernels, user=stores / "user", shipped=stores / "shipped")


def publish_broken(kernels: Kernels, stores: Path, draft: Draft) -> str:
    """Put a version with a flipped bit into the user's store as a publication would, by one rename."""
    shutil.copytree(stores, stores.parent / "staged")
    manifest = opened(kernels, stores.parent / "staged").publish(draft)
    key = Key(manifest.dataset, manifest.architecture, manifest.version)
    staged = Store(stores.parent / "staged/user").folder(key)
    content = bytearray((staged / "model.safetensors").read_bytes())
    content[-5] ^= 1
    (staged / "model.safetensors").write_bytes(content)
    os.rename(staged, Store(stores / "user").folder(key))
    return manifest.reference
