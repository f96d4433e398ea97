"""The project's own release: every shipped data set with every shipped architecture, compared before it is published.

One architecture that does not beat the next simpler one stops the release: then nothing of that data set is published.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from models import Kernels, Manifest, ModelRegistry
from training.comparison import Gap, names_gap, paired_gap
from training.config import load_config
from training.corpus import shipped_corpus
from training.dataset import Examples
from training.draft import finish
from training.errors import TrainingError
from training.evaluation import name_losses
from training.run import Job, Outcome

# Best first: the first version of a data set becomes its default.
PRESETS = ("wavenet", "mlp", "bigram")
# A split of a small list says little: there several are tried, and the first one ships.
SPLIT_SEEDS = {"human": (42,), "animal": (42, 43, 44, 45, 46)}

Runner = Callable[[Job], Outcome]


@dataclass(frozen=True)
class Contest:
    """One preset's outcomes on one data set, one for each split seed; the first is the one to ship."""

    preset: str
    outcomes: Sequence[Outcome]

    def losses(self, part: str) -> list[float]:
        """Return the loss on `part` of each outcome."""
        return [outcome.losses[part] for outcome in self.outcomes]


def release_all(
    registry: ModelRegistry, kernels: Kernels, device: torch.device, run: Runner, say: Callable[[str], None]
) -> list[Manifest]:
    """Train and publish everything that ships. `run` trains one job, `say` takes a line of text for a person."""
    manifests = []
    for dataset, seeds in SPLIT_SEEDS.items():
        contests = [_hold(preset, dataset, seeds, device, run, say) for preset in PRESETS]
        comparisons = [_compare(*pair) for pair in zip(contests, [*contests[1:], None], strict=True)]
        for contest, lines in zip(contests, comparisons, strict=True):
            manifests.append(registry.publish(finish(contest.outcomes[0], kernels, lines).draft))
            say(f"published {manifests[-1].reference}")
    return manifests


def _hold(
    preset: str, dataset: str, seeds: Sequence[int], device: torch.device, run: Runner, say: Callable[[str], None]
) -> Contest:
    outcomes = []
    for seed in seeds:
        config = load_config(preset, dataset, {"split_seed": seed})
        outcomes.append(run(Job(shipped_corpus(dataset, seed), config, preset, device)))
        losses = "  ".join(f"{part} {loss:.4f}" for part, loss in outcomes[-1].losses.items())
        say(f"{dataset} {preset}, split seed {seed}: {losses}")
    return Contest(preset, outcomes)


def _compare(contest: Contest, simpler: Contest | None) -> list[str]:
    """Return the card's lines. Raises `TrainingError` where the simpler model does as well."""
    lines = []
    n = len(contest.outcomes)
    if n > 1:
        dev, test = (statistics.fmean(contest.losses(part)) for part in ("dev", "test"))
        lines.append(
            f"Over {n} split seeds, this one's first, the mean loss is {dev:.4f} on dev and {test:.4f} on test."
        )
    if simpler is None:
        return lines
    gap, over = gap_between(contest, simpler), f"{n} split seeds" if n > 1 else "the dev names"
    if gap.mean <= 0:
        raise TrainingError(
            f"The release stops: {contest.preset} does not beat {simpler.preset} on dev, gap {gap}. Tune the presets."
        )
    return [*lines, f"On dev it is better than `{simpler.preset}` by {gap}, compared pair by pair over {over}."]


def gap_between(contest: Contest, simpler: Contest) -> Gap:
    """Return the gap on dev: over the split seeds where there are several, else over the dev names."""
    if len(contest.outcomes) > 1:
        return paired_gap(contest.losses("dev"), simpler.losses("dev"))
    mine, other = contest.outcomes[0], simpler.outcomes[0]
    corpus = mine.job.corpus
    dev = Examples.of(corpus.split.dev, corpus.vocabulary)
    return names_gap(name_losses(mine.network, dev), name_losses(other.network, dev), dev.lengths)
