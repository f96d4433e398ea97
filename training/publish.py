"""The last step of a run: its draft becomes a version, and its kept state goes away. Stores do the writing."""

from pathlib import Path

from models import Draft, Kernels, ModelError, Version
from training.errors import TrainingError
from training.places import open_registry
from training.resume import RunState


def publish(draft: Draft, store: Path, kernels: Kernels, state: RunState) -> Version:
    """Publish `draft` into `store`, then remove `state`. Raises `TrainingError` where that fails; the state is kept."""
    try:
        registry = open_registry(store, kernels)
        version = registry.resolve(None, registry.publish(draft).reference)
    except ModelError as error:
        lead = str(error).rstrip(".")
        raise TrainingError(
            f"{lead}. Nothing was published; mend that, then give the same command with --resume: the training is kept."
        ) from error
    state.remove()
    return version
