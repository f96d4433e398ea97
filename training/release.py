"""The release: each shipped list gets a bigram, and a small LSTM taught by a large one, with floats and with integers.

The large LSTM takes longest. It stays in a store of its own, so that an interrupted release goes on from there.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from models import Draft, Kernels, Manifest, ModelRegistry, Version
from training.comparison import Gap, names_gap
from training.config import load_config
from training.corpus import Corpus, relatives_corpus, shipped_corpus
from training.dataset import Examples
from training.distillation import names_to_sample
from training.errors import TrainingError
from training.evaluation import measured, name_losses
from training.integer_version import quantized_draft
from training.kneser_ney import ORDER, KneserNey
from training.publishing import build_draft, load_network
from training.run import Distillation, Job, RunResult
from training.transfer import WarmStart

# The presets of the models of each list.
BIGRAM, TEACHER, STUDENT = "bigram", "lstm", "lstm-student"
SPLIT_SEED = 42
# Lists that are short: their teacher starts from weights trained on a longer list of similar words.
WARM_STARTED = ("animal",)
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


def release(dataset: str, registry: ModelRegistry, teachers: ModelRegistry, context: ReleaseContext) -> list[Manifest]:
    """Train and publish the models of a shipped list; the one with integer weights becomes its default.

    `teachers` keeps the large LSTM. Raises `TrainingError`, before anything is published, if the small one does not
    beat counts on dev.
    """
    corpus = shipped_corpus(dataset, SPLIT_SEED)
    counted = _run(Job(corpus, load_config(BIGRAM, dataset, {}), BIGRAM, context.device), context)
    student = _run(_student_job(corpus, teachers, context), context)
    gap = gap_to_counts(student)
    if gap.mean <= 0:
        raise TrainingError(
            f"The release of {dataset} stops: {STUDENT} does not beat counts on dev, gap {gap}. Tune the presets."
        )
    manifests = [
        _publish(_draft(result, against, context), registry, context)
        for result, against in ((counted, gap_to_counts(counted)), (student, gap))
    ]
    trained = registry.resolve(None, manifests[-1].reference)
    integers = quantized_draft(trained, registry, context.kernels, context.samples)
    manifests.append(_publish(integers, registry, context))
    reason = (
        f"dev {integers.metrics['dev']:.4f} with {integers.parameters:,} integer parameters, {gap} below Kneser-Ney of "
        f"order {ORDER}"
    )
    registry.alias(dataset, "default", manifests[-1].reference.partition("/")[2], reason)
    return manifests


def gap_to_counts(result: RunResult) -> Gap:
    """Return by how much a network beats Kneser-Ney counts of the same train names, over the dev names."""
    corpus = result.job.corpus
    names = measured(corpus.split).dev
    dev = Examples.of(names, corpus.vocabulary)
    counts = KneserNey.fit(corpus.split.train, corpus.vocabulary).name_losses(names)
    return names_gap(name_losses(result.network, dev), counts, dev.lengths)


def _draft(result: RunResult, gap: Gap, context: ReleaseContext) -> Draft:
    side = "better" if gap.mean > 0 else "worse"
    line = (
        f"On dev it is {side} than counting (interpolated Kneser-Ney of order {ORDER} on the same split) by "
        f"{Gap(abs(gap.mean), gap.error)}, pair by pair over the dev names."
    )
    return build_draft(result, context.kernels, [line], context.samples).draft


def _student_job(corpus: Corpus, teachers: ModelRegistry, context: ReleaseContext) -> Job:
    distillation = Distillation(
        (f"a large {TEACHER} of the same list",),
        (load_network(_teacher(corpus, teachers, context)),),
        context.kernels,
        names_to_sample(len(corpus.names)),
    )
    return Job(corpus, load_config(STUDENT, corpus.dataset, {}), STUDENT, context.device, distillation)


def _teacher(corpus: Corpus, teachers: ModelRegistry, context: ReleaseContext) -> Version:
    """Return the large LSTM of a list, trained with the preset's hyperparameters in this release or an earlier one."""
    job = Job(corpus, load_config(TEACHER, corpus.dataset, {}), TEACHER, context.device)
    trained = teachers.versions(corpus.dataset) if corpus.dataset in teachers.datasets() else []
    for version in trained:
        if _is_of(version.manifest, job):
            return version
    result = _run(replace(job, start=_start(corpus.dataset, context)), context)
    draft = _draft(result, gap_to_counts(result), context)
    return teachers.resolve(None, _publish(draft, teachers, context).reference)


def _is_of(manifest: Manifest, job: Job) -> bool:
    """Return whether a version has the list and the hyperparameters of a job."""
    expected = {"preset": job.preset, **job.config.hyperparameters()}
    same = {name: manifest.training.get(name) for name in expected} == expected
    return same and manifest.config == job.config.model and manifest.data == job.corpus.record()


def _start(dataset: str, context: ReleaseContext) -> WarmStart | None:
    """Return a network trained on a longer list of similar words, if the list needs one."""
    if dataset not in WARM_STARTED:
        return None
    words = relatives_corpus(SPLIT_SEED)
    result = _run(Job(words, load_config(TEACHER, words.dataset, {}), TEACHER, context.device), context)
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
