"""Changes to a store outside the registry under test: by another process or by hand."""

from pathlib import Path

from models import ModelRegistry
from models.store.aliases import Aliases
from models.store.files import Key, Store


def reopened(registry: ModelRegistry) -> ModelRegistry:
    """A fresh registry over the same stores, as another process has it."""
    fresh = ModelRegistry(registry.stores, registry.kernels)
    fresh.refresh()
    return fresh


def version_folder(registry: ModelRegistry, number: int) -> Path:
    """The folder of a version of the elves' wavenet in the user's store."""
    return registry.stores[-1].folder(Key("elves", "wavenet", number))


def damage(registry: ModelRegistry, number: int) -> None:
    """Flip a bit of a version's weights."""
    flip_bit(version_folder(registry, number) / "model.safetensors")


def flip_bit(path: Path) -> None:
    """Flip a bit near the end of a file."""
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def write_aliases(store: Store, **names: int) -> None:
    """Write aliases of the elves' wavenet, whether there are such versions or not."""

    def change(aliases: Aliases) -> Aliases:
        mine = aliases.of("elves")
        for name, number in names.items():
            mine = mine.moved("wavenet", name, number)
        return aliases.with_dataset("elves", mine)

    store.change_aliases(change)
