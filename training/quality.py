"""How good a model's names are, measured on many of them, each figure beside what real names score.

Lists and losses go in, figures and table rows come out; only `draw` asks a model for names. After Polykovskiy et al.
2020 (MOSES), who judge a generator beside its own training set. Nothing is trained, no file is read.
"""

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from models import NameGenerator, SamplingOptions
from models.inference import AS_DRAWN
from training.comparison import Gap
from training.distances import length_distance, pair_divergence, shared_beginnings

COUNT, SEED = 20_000, 0
MOST_BLOCKS = 10
# From names to the negative log-likelihood of each whole name, end token included, in nats.
Losses = Callable[[Sequence[str]], NDArray[np.float64]]


@dataclass(frozen=True)
class Prefix:
    """Longest beginnings that names share with any train name: mean and longest in characters, mean and greatest as a
    share of the name.
    """

    mean: float
    longest: int
    share: float
    greatest: float


@dataclass(frozen=True)
class Figures:
    """A list of `count` names, judged by the dev names. Shares lie between 0 and 1.

    `new`: share that is not in train; `unlisted`: share that is in no part of the list; `repeated`: share that came
    before; `longest`: characters of the longest; `lengths`, `pairs`: distances to dev, see `distances`; `prefix`: of
    the new names alone, as the others share all of themselves; None where no name is new.
    """

    count: int
    new: float
    unlisted: float
    repeated: float
    longest: int
    lengths: float
    pairs: float
    prefix: Prefix | None


@dataclass(frozen=True)
class Blocks:
    """Means of `repeated`, `lengths` and `pairs` over `blocks` lists of `count` names each, no two sharing a place."""

    count: int
    blocks: int
    repeated: float
    lengths: float
    pairs: float


@dataclass(frozen=True)
class Quality:
    """A model's names, and real ones to read the figures by.

    Distances fall and repeats grow with the number of names, so names are read beside as many others. `drawn` is read
    by `train`: real train names, as many as were drawn, or all where there are fewer (then the two do not compare).
    `drawn_blocks` is read by `train_blocks`: as many names at a time as there are dev names, so that this pair compares
    for every list; means over blocks, as one block of so few is blurred by chance. What is new and how names begin is
    read by `dev`: real names that the model never saw, beside the same train names.
    """

    drawn: Figures
    train: Figures
    drawn_blocks: Blocks
    train_blocks: Blocks
    dev: Figures


@dataclass(frozen=True)
class Likelihood:
    """Mean log-probability in nats of drawn and of real dev names, of a whole name and of a character (end included).

    `gap`: how much more dev names cost than train names, per character; far above that of a comparable model, a model
    has learned its list by heart. `train`, `dev`: these two losses.
    """

    drawn_name: float
    drawn_character: float
    dev_name: float
    train: float
    dev: float
    gap: Gap


def measure(
    generator_names: Sequence[str],
    train: Sequence[str],
    dev: Sequence[str],
    listed: Collection[str] = (),
    seed: int = SEED,
) -> Quality:
    """Return the quality of names that a model drew, repeats and all, in the order in which they came.

    `listed`: the whole list, where it holds more than train and dev. `seed` chooses the train names of the yardsticks.
    Raises `ValueError` where there are no names, no train or no dev.
    """
    if not (generator_names and train and dev):
        raise ValueError("Quality needs drawn names, train names and dev names; one of the lists is empty.")
    known, everything = frozenset(train), frozenset([*train, *dev, *listed])
    real = random.Random(seed).sample(train, min(len(train), len(generator_names)))
    n = min(len(dev), len(real))
    return Quality(
        drawn=_figures(generator_names, known, everything, dev),
        train=_figures(real, known, everything, dev),
        drawn_blocks=_blocks(generator_names, n, dev),
        train_blocks=_blocks(real, n, dev),
        dev=_figures(dev, known, everything, dev),
    )


def _figures(names: Sequence[str], known: frozenset[str], everything: frozenset[str], dev: Sequence[str]) -> Figures:
    new, n = [name for name in names if name not in known], len(names)
    return Figures(
        count=n,
        new=len(new) / n,
        unlisted=sum(name not in everything for name in names) / n,
        repeated=1 - len(set(names)) / n,
        longest=max(map(len, names)),
        lengths=length_distance(names, dev),
        pairs=pair_divergence(names, dev),
        prefix=_prefix(new, known),
    )


def _blocks(names: Sequence[str], n: int, dev: Sequence[str]) -> Blocks:
    parts = [names[i * n : (i + 1) * n] for i in range(min(len(names) // n, MOST_BLOCKS))]
    return Blocks(
        count=n,
        blocks=len(parts),
        repeated=fmean(1 - len(set(part)) / n for part in parts),
        lengths=fmean(length_distance(part, dev) for part in parts),
        pairs=fmean(pair_divergence(part, dev) for part in parts),
    )


def _prefix(new: Sequence[str], known: Collection[str]) -> Prefix | None:
    if not new:
        return None
    shared = np.array(shared_beginnings(new, known))
    # A model may draw the empty name, which has nothing to share.
    shares = shared / np.array([max(len(name), 1) for name in new])
    return Prefix(float(shared.mean()), int(shared.max()), float(shares.mean()), float(shares.max()))


def likelihood(losses: Losses, drawn: Sequence[str], train: Sequence[str], dev: Sequence[str]) -> Likelihood:
    """Return how likely a model finds the names it drew, and those it learned from beside those it never saw."""
    (of_drawn, drawn_size), (of_train, train_size), (of_dev, dev_size) = (
        (np.asarray(losses(names), np.float64), np.array([len(name) + 1.0 for name in names]))
        for names in (drawn, train, dev)
    )
    a, b = _mean(of_train, train_size), _mean(of_dev, dev_size)
    return Likelihood(
        drawn_name=-float(of_drawn.mean()),
        drawn_character=-_mean(of_drawn, drawn_size).mean,
        dev_name=-float(of_dev.mean()),
        train=a.mean,
        dev=b.mean,
        gap=Gap(b.mean - a.mean, float(np.hypot(a.error, b.error))),
    )


def _mean(losses: NDArray[np.float64], sizes: NDArray[np.float64]) -> Gap:
    """Return the loss per character and its standard error: the ratio estimator (Cochran 1977, section 2.11)."""
    n, mean = len(losses), losses.sum() / sizes.sum()
    spread = np.square(losses - mean * sizes).sum() / max(n - 1, 1)
    return Gap(float(mean), float(np.sqrt(spread * n) / sizes.sum()))


def draw(generator: NameGenerator, count: int = COUNT, seed: int = SEED) -> list[str]:
    """Return `count` names at temperature 1, repeats and all; fewer where the model hardly ever ends a name.

    Names longer than the list's longest are not among them, as the service gives none.
    """
    return generator.generate(count, seed=seed, options=SamplingOptions(), constraints=AS_DRAWN).names
