"""Load published versions as initial weights or teachers of a new run."""

from collections.abc import Sequence
from dataclasses import replace

import click

from models import Kernels, ModelRegistry, Version
from models.styles import NO_STYLES, Styles
from training.config import TrainingConfig
from training.corpus import Corpus
from training.distillation import names_to_sample
from training.errors import TrainingError
from training.publishing import QUANTIZED, load_network
from training.run import Distillation, Job
from training.run_state import RunState
from training.trainer import learned_styles
from training.transfer import WarmStart


def add_pretrained(
    job: Job, state: RunState, start: str | None, teachers: tuple[str, ...], registry: ModelRegistry, kernels: Kernels
) -> tuple[Job, RunState]:
    """Return the job with its start and its teachers, and its state with their names.

    Raises `TrainingError` and `ModelError`.
    """
    if start is not None:
        begun, config = load_start(start, registry, job.config)
        job, state = replace(job, start=begun, config=config), replace(state, config=config)
    if teachers and job.corpus.weights is not None:
        raise TrainingError("--weights and --teacher do not go together: a student learns from all names alike.")
    if teachers:
        learned = learned_styles(job.config, job.corpus)
        job = replace(job, distillation=load_teachers(teachers, registry, job.corpus, kernels, learned))
    return job, replace(state, origin=job.origin())


def load_start(reference: str, registry: ModelRegistry, config: TrainingConfig) -> tuple[WarmStart, TrainingConfig]:
    """Return the version as initial weights, and `config` with the shape of its network.

    Dropout stays that of `config`. Raises `TrainingError` if the architectures differ.
    """
    version = resolve_trained(reference, registry)
    theirs, mine = version.manifest.config, config.model
    if theirs.architecture != mine.architecture:
        raise TrainingError(
            f"--start is {version.reference}, but the preset's architecture is {mine.architecture}; allowed: a preset "
            f"of the architecture {theirs.architecture}."
        )
    model = theirs.model_copy(update={"dropout": mine.dropout, "input_dropout": mine.input_dropout})
    generator, vocabulary = version.generator, version.manifest.alphabet
    start = WarmStart(version.reference, load_network(version), vocabulary, generator.names, generator.styles)
    return start, config.model_copy(update={"model": model})


def load_teachers(
    references: Sequence[str], registry: ModelRegistry, corpus: Corpus, kernels: Kernels, styles: Styles = NO_STYLES
) -> Distillation:
    """Return the versions as teachers of a student that learns `styles`.

    Raises `TrainingError` for a version of another list or split, which has seen the names that evaluate the student,
    and for one of other styles.
    """
    versions = [resolve_trained(reference, registry) for reference in references]
    for version in versions:
        data = version.manifest.data
        if (data.sha256, data.split_seed) != (corpus.sha256, corpus.split_seed):
            raise TrainingError(
                f"--teacher {version.reference} learned from another list or split (seed {data.split_seed}); allowed "
                f"are versions of the same list with split seed {corpus.split_seed}: it has seen other dev names."
            )
        if version.generator.styles != styles:
            theirs, mine = (", ".join(each.values) or "none" for each in (version.generator.styles, styles))
            raise TrainingError(
                f"--teacher {version.reference} learned the styles {theirs}, its student {mine}; allowed are the "
                "same styles with the same values."
            )
    names = tuple(version.reference for version in versions)
    networks = tuple(load_network(version) for version in versions)
    return Distillation(names, networks, kernels, names_to_sample(len(corpus.names)))


def count_leaked_names(start: WarmStart, corpus: Corpus) -> int:
    """Return how many dev and test names the start was trained on; they make the losses look too good."""
    return len(start.names & {*corpus.split.dev, *corpus.split.test})


def unknown_characters_warning(start: WarmStart, corpus: Corpus) -> str:
    """Return a warning if the start knows less than half of the list's characters, else an empty string."""
    characters = set(corpus.vocabulary.characters)
    known = characters & set(start.vocabulary.characters)
    if 2 * len(known) >= len(characters):
        return ""
    count = f"only {len(known)}" if known else "none"
    return (
        f"Warning: {start.name} knows {count} of the {len(characters)} characters of this list; the others start "
        "fresh. A version of the same script helps more, or none."
    )


def resolve_reference(reference: str, registry: ModelRegistry) -> Version:
    """Return the version for "human", "human/wavenet" or "human/wavenet@2". Raises `ModelError`."""
    return registry.resolve(None, reference) if "/" in reference else registry.resolve(reference)


def resolve_trained(reference: str, registry: ModelRegistry) -> Version:
    """Return the version of `resolve_reference`, or the trained original of an integer version.

    A line on stderr says so. Raises `ModelError`.
    """
    version = resolve_reference(reference, registry)
    trained = version.manifest.training.get(QUANTIZED)
    if not isinstance(trained, str):
        return version
    click.echo(f"{version.reference} has integer weights; the trained ones are those of {trained}.", err=True)
    return registry.resolve(None, trained)
