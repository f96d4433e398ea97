"""The release: each shipped list gets a bigram, and an LSTM of one layer with floats and with integers.

Most of the LSTMs are students of a larger one. Every trained network stays in a store of its own, so that an
interrupted release goes on from there.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from data import Split
from models import Draft, Kernels, Manifest, ModelRegistry, Version, Vocabulary
from models.networks import Network
from models.store.publishing import draft_of
from training.comparison import Gap, names_gap
from training.config import TrainingConfig, load_config
from training.corpus import Corpus, relatives_corpus, shipped_corpus
from training.dataset import Examples
from training.distillation import names_to_sample
from training.errors import TrainingError
from training.evaluation import measured, name_losses
from training.integer_version import quantized_draft
from training.kneser_ney import ORDER, KneserNey
from training.model_card import losses_section, replace_sections
from training.publishing import build_draft, load_network, recreate_split
from training.run import Distillation, Job, RunResult
from training.transfer import WarmStart

# The presets of the models of each list.
BIGRAM, TEACHER, STUDENT, WIDE = "bigram", "lstm", "lstm-student", "lstm-wide"
# Lists of long names with many words in common: a wide network learns them without a teacher.
UNTAUGHT = ("town", "species")
SPLIT_SEED = 42
# Lists that are short: their teacher starts from weights trained on a longer list of similar words.
WARM_STARTED = ("animal",)
# The most names that a teacher samples for its student.
SAMPLED_NAMES = 120_000
# Names drawn for the quality in each card.
SAMPLES = 20_000

Runner = Callable[[Job], RunResult]


@dataclass(frozen=True)
class ReleaseContext:
    """Context of a release: the job runner, the log, the device, and the kernels that sample names."""

    run: Runner
    log: Callable[[str], None]
    device: torch.device
    kernels: Kernels
    samples: int = SAMPLES


def release(dataset: str, registry: ModelRegistry, trained: ModelRegistry, context: ReleaseContext) -> list[Manifest]:
    """Train and publish the models of a shipped list; the one with integer weights becomes its default.

    `trained` keeps the networks of interrupted releases. Raises `TrainingError`, before anything is published, if the
    LSTM does not beat counts on dev.
    """
    corpus = shipped_corpus(dataset, SPLIT_SEED)
    counted = _run(_job(corpus, BIGRAM, context), context)
    version = _trained(_shipped_job(corpus, trained, context), trained, context)
    gap = gap_to_counts(load_network(version), recreate_split(version), version.manifest.alphabet)
    if gap.mean <= 0:
        raise TrainingError(
            f"The release of {dataset} stops: {version.manifest.training['preset']} does not beat counts on dev, gap "
            f"{gap}. Tune the preset."
        )
    mine = counted.job.corpus
    against = gap_to_counts(counted.network, mine.split, mine.vocabulary)
    bigram = build_draft(counted, context.kernels, samples=context.samples).draft
    manifests = [
        _publish(_compared(bigram, against), registry, context),
        _publish(_compared(draft_of(version.folder), gap), registry, context),
    ]
    floats = registry.resolve(None, manifests[-1].reference)
    integers = quantized_draft(floats, registry, context.kernels, context.samples)
    manifests.append(_publish(integers, registry, context))
    reason = (
        f"dev {integers.metrics['dev']:.4f} with {integers.parameters:,} integer parameters, {gap} below Kneser-Ney of "
        f"order {ORDER}"
    )
    registry.alias(dataset, "default", manifests[-1].reference.partition("/")[2], reason)
    return manifests


def gap_to_counts(network: Network, split: Split, vocabulary: Vocabulary) -> Gap:
    """Return by how much a network beats Kneser-Ney counts of the same train names, over the dev names."""
    names = measured(split).dev
    dev = Examples.of(names, vocabulary)
    counts = KneserNey.fit(split.train, vocabulary).name_losses(names)
    return names_gap(name_losses(network, dev), counts, dev.lengths)


def _compared(draft: Draft, gap: Gap) -> Draft:
    """Return a draft whose card compares its network with counts."""
    side = "better" if gap.mean > 0 else "worse"
    line = (
        f"On dev it is {side} than counting (interpolated Kneser-Ney of order {ORDER} on the same split) by "
        f"{Gap(abs(gap.mean), gap.error)}, pair by pair over the dev names."
    )
    section = losses_section(draft.metrics, [line], "loss.png" in draft.files)
    card = replace_sections(draft.files["card.md"].decode(), [section])
    return replace(draft, files={**draft.files, "card.md": card.encode()})


def _job(corpus: Corpus, preset: str, context: ReleaseContext) -> Job:
    return Job(corpus, load_config(preset, corpus.dataset, {}), preset, context.device)


def _shipped_job(corpus: Corpus, trained: ModelRegistry, context: ReleaseContext) -> Job:
    """Return the job of the network that ships: a student, after its teacher was trained, or a wide network."""
    if corpus.dataset in UNTAUGHT:
        return _job(corpus, WIDE, context)
    teacher = _trained(_job(corpus, TEACHER, context), trained, context)
    distillation = Distillation(
        (f"a large {TEACHER} of the same list",),
        (load_network(teacher),),
        context.kernels,
        names_to_sample(len(corpus.names), SAMPLED_NAMES),
    )
    return replace(_job(corpus, STUDENT, context), distillation=distillation)


def _trained(job: Job, trained: ModelRegistry, context: ReleaseContext) -> Version:
    """Return the version of a job, trained in this release or an earlier one."""
    dataset = job.corpus.dataset
    for version in trained.versions(dataset) if dataset in trained.datasets() else []:
        if _is_of(version.manifest, job):
            return version
    if dataset in WARM_STARTED and job.preset == TEACHER:
        job = replace(job, start=_start(context))
    draft = build_draft(_run(job, context), context.kernels, samples=context.samples).draft
    return trained.resolve(None, _publish(draft, trained, context).reference)


def _is_of(manifest: Manifest, job: Job) -> bool:
    """Return whether a version has the list and the hyperparameters of a job; those that it lacks had defaults."""
    fields, mine = TrainingConfig.model_fields, job.config.hyperparameters()
    theirs = {name: manifest.training.get(name, fields[name].default) for name in mine}
    same = theirs == mine and manifest.training["preset"] == job.preset
    return same and manifest.config == job.config.model and manifest.data == job.corpus.record()


def _start(context: ReleaseContext) -> WarmStart:
    """Return a network trained on the words that are spelled like animal names."""
    result = _run(_job(relatives_corpus(SPLIT_SEED), TEACHER, context), context)
    corpus = result.job.corpus
    name = f"an {TEACHER} of {corpus.title.lower()}"
    return WarmStart(name, result.network, corpus.vocabulary, frozenset(corpus.names))


def _publish(draft: Draft, registry: ModelRegistry, context: ReleaseContext) -> Manifest:
    manifest = registry.publish(draft)
    context.log(f"published {manifest.reference}")
    return manifest


def _run(job: Job, context: ReleaseContext) -> RunResult:
    result = context.run(job)
    losses = "  ".join(f"{part} {loss:.4f}" for part, loss in result.losses.items())
    context.log(f"{job.corpus.dataset} {job.preset}: {losses}")
    return result
