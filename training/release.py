"""The release of all shipped models: train each on its data set, compare them, and publish them.

If a model does not beat the next simpler one, the release stops and publishes nothing of that data set.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from models import Kernels, Manifest, ModelRegistry, NameGenerator, Version
from training.comparison import Gap, names_gap, paired_gap
from training.config import load_config
from training.corpus import Corpus, relatives_corpus, shipped_corpus
from training.dataset import Examples
from training.diagnostics.diagnose import STEPS, diagnose_run
from training.errors import TrainingError
from training.evaluation import name_losses
from training.integer_version import quantized_draft
from training.kneser_ney import ORDER, KneserNey
from training.progress import Clock
from training.publishing import build_draft
from training.run import Distillation, Job, RunResult
from training.transfer import WarmStart

# Presets, simplest first, each with the one that it must beat.
PRESETS = {
    "bigram": None,
    "mlp": "bigram",
    "wavenet": "mlp",
    "gated_wavenet": "mlp",
    "lstm": "wavenet",
    "lstm-student": "wavenet",
}
STUDENT, LARGE = "lstm-student", "lstm"
# Teachers of the student of each data set: only models that are better than a student trained alone.
TEACHERS = {"human": (LARGE, "gated_wavenet"), "animal": (LARGE,)}
# One split of a small list says little, so several are tried there; the first one ships.
SPLIT_SEEDS = {"human": (42,), "animal": (42, 43, 44, 45, 46)}
# The network of a short list starts from weights trained on a longer list of similar words: data set to preset.
WARM_STARTED = {"animal": "lstm"}
# Names drawn for the quality in each card.
SAMPLES = 20_000

Runner = Callable[[Job], RunResult]


@dataclass(frozen=True)
class Comparison:
    """The results of one preset on one data set, one for each split seed. The first one ships."""

    preset: str
    results: Sequence[RunResult]

    def losses(self, part: str) -> list[float]:
        """Return the loss on `part` of each result."""
        return [result.losses[part] for result in self.results]


@dataclass(frozen=True)
class ReleaseContext:
    """Context of a release: the job runner, the log, the device, and the kernels that sample names."""

    run: Runner
    log: Callable[[str], None]
    device: torch.device
    kernels: Kernels
    clock: Clock = time.perf_counter
    samples: int = SAMPLES
    diagnostic_steps: int = STEPS
    sample_count: int | None = None


def release_all(registry: ModelRegistry, context: ReleaseContext) -> list[Manifest]:
    """Train and publish all shipped models.

    The quantised student of each data set becomes its default.
    """
    manifests = []
    for dataset in SPLIT_SEEDS:
        comparisons = _train_all(dataset, context)
        cards = {preset: _compare(comparisons, preset) for preset in comparisons}
        published = {}
        for preset, comparison in comparisons.items():
            result = comparison.results[0]
            pictures = diagnose_run(result, context.diagnostic_steps, lambda step: None)
            draft = build_draft(result, context.kernels, cards[preset], context.samples, pictures).draft
            manifests.append(registry.publish(draft))
            published[preset] = manifests[-1].reference
            context.log(f"published {manifests[-1].reference}")
        trained, large = (registry.resolve(None, published[preset]) for preset in (STUDENT, LARGE))
        manifests.append(registry.publish(quantized_draft(trained, registry, context.kernels, context.samples)))
        context.log(f"published {manifests[-1].reference}")
        student = registry.resolve(None, manifests[-1].reference)
        target = student.reference.partition("/")[2]
        registry.alias(dataset, "default", target, _reason(comparisons, student, large, context.clock))
    return manifests


def _train_all(dataset: str, context: ReleaseContext) -> dict[str, Comparison]:
    comparisons: dict[str, Comparison] = {}
    start = _start(dataset, context)
    for preset in PRESETS:
        results = []
        for i, seed in enumerate(SPLIT_SEEDS[dataset]):
            config = load_config(preset, dataset, {"split_seed": seed})
            distillation = _distillation(dataset, comparisons, i, context) if preset == STUDENT else None
            begun = start if WARM_STARTED.get(dataset) == preset else None
            results.append(
                context.run(Job(shipped_corpus(dataset, seed), config, preset, context.device, distillation, begun))
            )
            losses = "  ".join(f"{part} {loss:.4f}" for part, loss in results[-1].losses.items())
            context.log(f"{dataset} {preset}, split seed {seed}: {losses}")
        comparisons[preset] = Comparison(preset, results)
    return comparisons


def _start(dataset: str, context: ReleaseContext) -> WarmStart | None:
    """Return a network trained on similar words, if the data set needs one."""
    preset = WARM_STARTED.get(dataset)
    if preset is None:
        return None
    corpus = relatives_corpus(SPLIT_SEEDS[dataset][0])
    result = context.run(Job(corpus, load_config(preset, corpus.dataset, {}), preset, context.device))
    context.log(f"{corpus.dataset} {preset}: dev {result.losses['dev']:.4f}")
    corpus = result.job.corpus
    return WarmStart(
        f"an {preset} of {corpus.title.lower()}", result.network, corpus.vocabulary, frozenset(corpus.names)
    )


def _distillation(dataset: str, comparisons: dict[str, Comparison], i: int, context: ReleaseContext) -> Distillation:
    teachers = [comparisons[preset].results[i].network for preset in TEACHERS[dataset]]
    names = tuple(f"the {dataset}/{preset} of the same release" for preset in TEACHERS[dataset])
    distillation = Distillation(names, tuple(teachers), context.kernels)
    return (
        distillation
        if context.sample_count is None
        else Distillation(names, tuple(teachers), context.kernels, context.sample_count)
    )


def _compare(comparisons: dict[str, Comparison], preset: str) -> list[str]:
    """Return the card's lines. Raises `TrainingError` if the simpler model is as good."""
    comparison, lines = comparisons[preset], []
    n = len(comparison.results)
    over = f"{n} split seeds" if n > 1 else "the dev names"
    if n > 1:
        dev, test = (statistics.fmean(comparison.losses(part)) for part in ("dev", "test"))
        lines.append(
            f"Over {n} split seeds, this one's first, the mean loss is {dev:.4f} on dev and {test:.4f} on test."
        )
    if (simpler := PRESETS[preset]) is not None:
        gap = gap_between(comparison, comparisons[simpler])
        if gap.mean <= 0:
            raise TrainingError(
                f"The release stops: {preset} does not beat {simpler} on dev, gap {gap}. Tune the presets."
            )
        lines.append(f"On dev it is better than `{simpler}` by {gap}, compared pair by pair over {over}.")
    counts = gap_to_counts(comparison)
    side = "better" if counts.mean > 0 else "worse"
    return [
        *lines,
        f"On dev it is {side} than counting (interpolated Kneser-Ney of order {ORDER} on the same split) by "
        f"{Gap(abs(counts.mean), counts.error)}, pair by pair over {over}.",
    ]


def gap_between(comparison: Comparison, other: Comparison) -> Gap:
    """Return the gap on dev, over the split seeds if there are several, else over the dev names."""
    if len(comparison.results) > 1:
        return paired_gap(comparison.losses("dev"), other.losses("dev"))
    dev = _dev(comparison.results[0].job.corpus)
    mine, theirs = (name_losses(c.results[0].network, dev) for c in (comparison, other))
    return names_gap(mine, theirs, dev.lengths)


def gap_to_counts(comparison: Comparison) -> Gap:
    """Return the gap on dev to Kneser-Ney counts of the same train names, computed as in `gap_between`."""
    counted = [_counted(result.job.corpus) for result in comparison.results]
    devs = [_dev(result.job.corpus) for result in comparison.results]
    if len(counted) > 1:
        theirs = [float(losses.sum() / dev.lengths.sum()) for losses, dev in zip(counted, devs, strict=True)]
        return paired_gap(comparison.losses("dev"), theirs)
    return names_gap(name_losses(comparison.results[0].network, devs[0]), counted[0], devs[0].lengths)


def _counted(corpus: Corpus) -> torch.Tensor:
    return KneserNey.fit(corpus.split.train, corpus.vocabulary).name_losses(corpus.split.dev)


def _dev(corpus: Corpus) -> Examples:
    return Examples.of(corpus.split.dev, corpus.vocabulary)


def _reason(comparisons: dict[str, Comparison], student: Version, large: Version, clock: Clock) -> str:
    """Return why the student is the default: mean losses over all splits, and measured times."""
    loss, above = (statistics.fmean(comparisons[preset].losses("dev")) for preset in (STUDENT, LARGE))
    soon, late = (milliseconds(version.generator, clock) for version in (student, large))
    return (
        f"dev {loss:.4f} with {student.manifest.parameters:,} parameters and twenty names in {soon:.1f} ms; the large "
        f"{LARGE} that taught it has {above:.4f} with {large.manifest.parameters:,}, but takes {late:.1f} ms"
    )


def milliseconds(generator: NameGenerator, clock: Clock, repeats: int = 51) -> float:
    """Return the median time of drawing twenty names."""
    times = []
    for seed in range(repeats):
        began = clock()
        generator.generate(20, seed=seed)
        times.append(1000 * (clock() - began))
    return statistics.median(times)
