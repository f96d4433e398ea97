"""Which folders a command works in: the stores it reads and writes, and where the state of a run is kept."""

from pathlib import Path

from models import Kernels, ModelRegistry
from models.store.registry import SHIPPED

RUNS = Path(".namewave/runs")


def open_registry(store: Path, kernels: Kernels) -> ModelRegistry:
    """Return the shipped store and `store` read together, or the shipped one alone where they are the same folder."""
    if is_shipped(store):
        return ModelRegistry.open(kernels)
    return ModelRegistry.open(kernels, user=store)


def is_shipped(store: Path) -> bool:
    """Whether `store` is the project's own."""
    return store.resolve() == SHIPPED.resolve()


def run_folder(runs: Path | None, store: Path, dataset: str, preset: str) -> Path:
    """Return where the state of a run lies: in `runs`, or else beside the user's store, never inside a store."""
    beside = RUNS if is_shipped(store) else store.parent / RUNS.name
    return (runs or beside) / f"{dataset}-{preset}"
