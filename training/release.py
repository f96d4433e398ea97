"""The project's own release: every shipped data set with every shipped model, compared before it is published.

One model that does not beat the next simpler one stops the release: then nothing of that data set is published.
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
from training.draft import finish
from training.errors import TrainingError
from training.evaluation import name_losses
from training.inside.diagnose import STEPS, inside
from training.kneser_ney import ORDER, KneserNey
from training.progress import Clock
from training.run import Job, Outcome, Teaching
from training.transfer import Start

# Simplest first, each with the one that it must beat.
PRESETS = {
    "bigram": None,
    "mlp": "bigram",
    "wavenet": "mlp",
    "gated_wavenet": "mlp",
    "lstm": "wavenet",
    "lstm-student": "wavenet",
}
STUDENT, LARGE = "lstm-student", "lstm"
# Who teaches the student of each data set: only those that know more than it could find out by itself.
TEACHERS = {"human": (LARGE, "gated_wavenet"), "animal": (LARGE,)}
# A split of a small list says little: there several are tried, and the first one ships.
SPLIT_SEEDS = {"human": (42,), "animal": (42, 43, 44, 45, 46)}
# A short list's network starts from what longer ones of like words taught: data set to preset.
STARTED = {"animal": "lstm"}
# Names drawn for the quality in each card.
SAMPLES = 20_000

Runner = Callable[[Job], Outcome]


@dataclass(frozen=True)
class Contest:
    """One preset's outcomes on one data set, one for each split seed; the first is the one to ship."""

    preset: str
    outcomes: Sequence[Outcome]

    def losses(self, part: str) -> list[float]:
        """Return the loss on `part` of each outcome."""
        return [outcome.losses[part] for outcome in self.outcomes]


@dataclass(frozen=True)
class Hall:
    """Where contests are held: what runs a job, who is told, on what device, and with which kernels teachers invent."""

    run: Runner
    say: Callable[[str], None]
    device: torch.device
    kernels: Kernels
    clock: Clock = time.perf_counter
    samples: int = SAMPLES
    looked_at: int = STEPS
    imagined: int | None = None


def release_all(registry: ModelRegistry, hall: Hall) -> list[Manifest]:
    """Train and publish everything that ships; the student of each data set becomes its default, with the reason."""
    manifests = []
    for dataset in SPLIT_SEEDS:
        contests = _hold_all(dataset, hall)
        cards = {preset: _compare(contests, preset) for preset in contests}
        published = {}
        for preset, contest in contests.items():
            outcome = contest.outcomes[0]
            seen = inside(outcome, hall.looked_at, lambda step: None)
            draft = finish(outcome, hall.kernels, cards[preset], hall.samples, seen).draft
            manifests.append(registry.publish(draft))
            published[preset] = manifests[-1].reference
            hall.say(f"published {manifests[-1].reference}")
        student, large = (registry.resolve(None, published[preset]) for preset in (STUDENT, LARGE))
        target = published[STUDENT].partition("/")[2]
        registry.alias(dataset, "default", target, _reason(contests, student, large, hall.clock))
    return manifests


def _hold_all(dataset: str, hall: Hall) -> dict[str, Contest]:
    contests: dict[str, Contest] = {}
    start = _start(dataset, hall)
    for preset in PRESETS:
        outcomes = []
        for i, seed in enumerate(SPLIT_SEEDS[dataset]):
            config = load_config(preset, dataset, {"split_seed": seed})
            teaching = _teaching(dataset, contests, i, hall) if preset == STUDENT else None
            begun = start if STARTED.get(dataset) == preset else None
            outcomes.append(hall.run(Job(shipped_corpus(dataset, seed), config, preset, hall.device, teaching, begun)))
            losses = "  ".join(f"{part} {loss:.4f}" for part, loss in outcomes[-1].losses.items())
            hall.say(f"{dataset} {preset}, split seed {seed}: {losses}")
        contests[preset] = Contest(preset, outcomes)
    return contests


def _start(dataset: str, hall: Hall) -> Start | None:
    """Return a network that learned from words like the data set's, where it needs one."""
    preset = STARTED.get(dataset)
    if preset is None:
        return None
    corpus = relatives_corpus(SPLIT_SEEDS[dataset][0])
    outcome = hall.run(Job(corpus, load_config(preset, corpus.dataset, {}), preset, hall.device))
    hall.say(f"{corpus.dataset} {preset}: dev {outcome.losses['dev']:.4f}")
    corpus = outcome.job.corpus
    return Start(f"an {preset} of {corpus.title.lower()}", outcome.network, corpus.vocabulary, frozenset(corpus.names))


def _teaching(dataset: str, contests: dict[str, Contest], i: int, hall: Hall) -> Teaching:
    teachers = [contests[preset].outcomes[i].network for preset in TEACHERS[dataset]]
    names = tuple(f"the {dataset}/{preset} beside it" for preset in TEACHERS[dataset])
    teaching = Teaching(names, tuple(teachers), hall.kernels)
    return teaching if hall.imagined is None else Teaching(names, tuple(teachers), hall.kernels, hall.imagined)


def _compare(contests: dict[str, Contest], preset: str) -> list[str]:
    """Return the card's lines. Raises `TrainingError` where the simpler model does as well."""
    contest, lines = contests[preset], []
    n = len(contest.outcomes)
    over = f"{n} split seeds" if n > 1 else "the dev names"
    if n > 1:
        dev, test = (statistics.fmean(contest.losses(part)) for part in ("dev", "test"))
        lines.append(
            f"Over {n} split seeds, this one's first, the mean loss is {dev:.4f} on dev and {test:.4f} on test."
        )
    if (simpler := PRESETS[preset]) is not None:
        gap = gap_between(contest, contests[simpler])
        if gap.mean <= 0:
            raise TrainingError(
                f"The release stops: {preset} does not beat {simpler} on dev, gap {gap}. Tune the presets."
            )
        lines.append(f"On dev it is better than `{simpler}` by {gap}, compared pair by pair over {over}.")
    counts = gap_to_counts(contest)
    side = "better" if counts.mean > 0 else "worse"
    return [
        *lines,
        f"On dev it is {side} than counting (interpolated Kneser-Ney of order {ORDER} on the same split) by "
        f"{Gap(abs(counts.mean), counts.error)}, pair by pair over {over}.",
    ]


def gap_between(contest: Contest, other: Contest) -> Gap:
    """Return the gap on dev: over the split seeds where there are several, else over the dev names."""
    if len(contest.outcomes) > 1:
        return paired_gap(contest.losses("dev"), other.losses("dev"))
    dev = _dev(contest.outcomes[0].job.corpus)
    mine, theirs = (name_losses(c.outcomes[0].network, dev) for c in (contest, other))
    return names_gap(mine, theirs, dev.lengths)


def gap_to_counts(contest: Contest) -> Gap:
    """Return the gap on dev to Kneser-Ney counts of the same train names, in the same way."""
    counted = [_counted(outcome.job.corpus) for outcome in contest.outcomes]
    devs = [_dev(outcome.job.corpus) for outcome in contest.outcomes]
    if len(counted) > 1:
        theirs = [float(losses.sum() / dev.lengths.sum()) for losses, dev in zip(counted, devs, strict=True)]
        return paired_gap(contest.losses("dev"), theirs)
    return names_gap(name_losses(contest.outcomes[0].network, devs[0]), counted[0], devs[0].lengths)


def _counted(corpus: Corpus) -> torch.Tensor:
    return KneserNey.fit(corpus.split.train, corpus.vocabulary).name_losses(corpus.split.dev)


def _dev(corpus: Corpus) -> Examples:
    return Examples.of(corpus.split.dev, corpus.vocabulary)


def _reason(contests: dict[str, Contest], student: Version, large: Version, clock: Clock) -> str:
    """Return why the student is the default: how well both do, over all splits, and how soon, measured here and now."""
    loss, above = (statistics.fmean(contests[preset].losses("dev")) for preset in (STUDENT, LARGE))
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
