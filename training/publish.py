"""The last step of a run: its draft becomes a version, and its kept state goes away. Stores do the writing."""

from models import Draft, Manifest, ModelError, ModelRegistry
from training.errors import TrainingError
from training.resume import RunState


def publish(draft: Draft, registry: ModelRegistry, state: RunState) -> Manifest:
    """Publish `draft`, then remove `state`. Raises `TrainingError` where the store refuses; the state is kept then."""
    try:
        manifest = registry.publish(draft)
    except ModelError as error:
        lead = str(error).rstrip(".")
        raise TrainingError(
            f"{lead}. Nothing was published; mend that, then give the same command with --resume: the training is kept."
        ) from error
    state.remove()
    return manifest
