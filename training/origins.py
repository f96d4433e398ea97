"""Published versions that a new run goes on from or is taught by: looked up, checked, loaded as networks."""

from collections.abc import Sequence
from dataclasses import replace

from models import Kernels, ModelRegistry, Version
from training.config import TrainingConfig
from training.corpus import Corpus
from training.distillation import enough
from training.errors import TrainingError
from training.publishing import network_of
from training.run import Distillation, Job
from training.run_state import RunState
from training.transfer import Start


def with_origins(
    job: Job, state: RunState, start: str | None, teachers: tuple[str, ...], registry: ModelRegistry, kernels: Kernels
) -> tuple[Job, RunState]:
    """Return the job with the versions that it goes on from and learns from, and its state with what they are called.
    Raises `TrainingError` and `ModelError`.
    """
    if start is not None:
        begun, config = start_from(start, registry, job.config)
        job, state = replace(job, start=begun, config=config), replace(state, config=config)
    if teachers:
        job = replace(job, distillation=taught_by(teachers, registry, job.corpus, kernels))
    return job, replace(state, origin=job.origin())


def start_from(reference: str, registry: ModelRegistry, config: TrainingConfig) -> tuple[Start, TrainingConfig]:
    """Return the version as a start, and `config` with its network's shape: dropout and all that is no shape stay.

    Raises `TrainingError` where the version is of another architecture than the preset.
    """
    version = find(reference, registry)
    theirs, mine = version.manifest.config, config.model
    if theirs.architecture != mine.architecture:
        raise TrainingError(
            f"--start is {version.reference}, but the preset's architecture is {mine.architecture}; allowed: a preset "
            f"of the architecture {theirs.architecture}."
        )
    model = theirs.model_copy(update={"dropout": mine.dropout, "input_dropout": mine.input_dropout})
    start = Start(version.reference, network_of(version), version.manifest.alphabet, version.generator.names)
    return start, config.model_copy(update={"model": model})


def taught_by(references: Sequence[str], registry: ModelRegistry, corpus: Corpus, kernels: Kernels) -> Distillation:
    """Return the versions as teachers. Raises `TrainingError` where one learned from another list or another split: it
    would have seen names that the student is judged by.
    """
    versions = [find(reference, registry) for reference in references]
    for version in versions:
        data = version.manifest.data
        if (data.sha256, data.split_seed) != (corpus.sha256, corpus.split_seed):
            raise TrainingError(
                f"--teacher {version.reference} learned from another list or split (seed {data.split_seed}); allowed "
                f"are versions of the same list with split seed {corpus.split_seed}: it has seen other dev names."
            )
    names = tuple(version.reference for version in versions)
    networks = tuple(network_of(version) for version in versions)
    return Distillation(names, networks, kernels, enough(len(corpus.names)))


def seen(start: Start, corpus: Corpus) -> int:
    """Return how many dev and test names the start has learned from: they make the losses look better than they are."""
    return len(start.names & {*corpus.split.dev, *corpus.split.test})


def strangers(start: Start, corpus: Corpus) -> str:
    """Return a warning where the start knows less than half of the list's characters: of the others it has only fresh
    numbers. Empty where it knows enough.
    """
    characters = set(corpus.vocabulary.characters)
    known = characters & set(start.vocabulary.characters)
    if 2 * len(known) >= len(characters):
        return ""
    count = f"only {len(known)}" if known else "none"
    return (
        f"Warning: {start.name} knows {count} of the {len(characters)} characters of this list; the others start "
        "fresh. A version of the same script helps more, or none."
    )


def find(reference: str, registry: ModelRegistry) -> Version:
    """Return the version that "human", "human/wavenet" or "human/wavenet@2" means. Raises `ModelError`."""
    return registry.resolve(None, reference) if "/" in reference else registry.resolve(reference)
