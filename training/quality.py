"""The quality of sampled names, compared with real ones, as a table for the card."""

import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from models import NameGenerator, SamplingOptions
from models.inference import AS_DRAWN
from training.comparison import Gap

# Marks the start and end of a name in its pairs. No character is empty, so no character equals it.
EDGE = ""


def length_distance(a: Iterable[str], b: Iterable[str]) -> float:
    """Return the total variation distance of the distributions of length: 0 (equal) to 1 (disjoint).

    It is half the sum of |P - Q|. Raises `ValueError` for an empty list.
    """
    P, Q = _distributions(map(len, a), map(len, b))
    return float(np.abs(P - Q).sum() / 2)


def pair_divergence(a: Iterable[str], b: Iterable[str]) -> float:
    """Return the Jensen-Shannon divergence of the distributions of character pairs, in bits.

    It is between 0 and 1 (Lin 1991). The start and end of a name count as characters. Raises `ValueError` for an empty
    list.
    """
    P, Q = _distributions(_pairs(a), _pairs(b))
    M = (P + Q) / 2
    return (_relative_entropy(P, M) + _relative_entropy(Q, M)) / 2


def shared_beginnings(names: Iterable[str], known: Iterable[str]) -> list[int]:
    """Return the length of the longest prefix that each name shares with any known name: (names,).

    In sorted order, that known name is directly before or after the name.
    """
    order = sorted(set(known))
    return [max((_shared(name, other) for other in _neighbours(name, order)), default=0) for name in names]


def _neighbours(name: str, order: Sequence[str]) -> Sequence[str]:
    at = bisect_left(order, name)
    return order[max(at - 1, 0) : at + 1]


def _shared(a: str, b: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))


def _pairs(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    return (pair for name in names for pair in pairwise([EDGE, *name, EDGE]))


def _distributions(a: Iterable[Hashable], b: Iterable[Hashable]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    A, B = Counter(a), Counter(b)
    if not (A and B):
        raise ValueError("An empty list has no distribution.")
    keys = list(dict.fromkeys([*A, *B]))
    P, Q = (np.array([counts[key] for key in keys], np.float64) for counts in (A, B))
    return P / P.sum(), Q / Q.sum()


def _relative_entropy(P: NDArray[np.float64], M: NDArray[np.float64]) -> float:
    seen = P > 0
    return float((P[seen] * np.log2(P[seen] / M[seen])).sum())


COUNT, SEED = 20_000, 0
MOST_BLOCKS = 10
# From names to the negative log-likelihood of each whole name, end token included, in nats.
Losses = Callable[[Sequence[str]], NDArray[np.float64]]


@dataclass(frozen=True)
class Prefix:
    """Longest prefixes that names share with any train name.

    `mean` and `longest` are in characters, `share` (mean) and `greatest` relative to the length of the name.
    """

    mean: float
    longest: int
    share: float
    greatest: float


@dataclass(frozen=True)
class Figures:
    """Statistics of a list of `count` names, compared with the dev names. Shares are between 0 and 1.

    `new`: share that is not in train; `unlisted`: share that is in no part of the list; `repeated`: share of
    duplicates; `longest`: length of the longest name; `lengths`, `pairs`: distances to dev; `prefix`: of the new names
    only, None if no name is new.
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
    """Means of `repeated`, `lengths` and `pairs` over `blocks` disjoint lists of `count` names each."""

    count: int
    blocks: int
    repeated: float
    lengths: float
    pairs: float


@dataclass(frozen=True)
class Quality:
    """Statistics of a model's names, and of real names for comparison.

    Distances fall and duplicates grow with the number of names, so compare lists of equal length only. `drawn`
    compares with `train`: as many train names as were drawn, or all if there are fewer (then the two do not compare).
    `drawn_blocks` compares with `train_blocks`: blocks of as many names as there are dev names, which works for every
    list; these are means over blocks, because one small block is noisy. Novelty and prefixes compare with `dev`: real
    names that the model never saw.
    """

    drawn: Figures
    train: Figures
    drawn_blocks: Blocks
    train_blocks: Blocks
    dev: Figures


@dataclass(frozen=True)
class Likelihood:
    """Mean log-probability of drawn and dev names in nats, for a name and for a character (end included).

    `train`, `dev`: the losses per character; `gap`: their difference. A gap far above that of a comparable model means
    that the model memorised its list.
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
    """Return the quality of a model's names, duplicates included, in the order of sampling.

    `listed`: other names of the list. `seed` selects the train names for comparison. Raises `ValueError` if any of the
    three lists is empty.
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
    # A model may sample the empty name.
    shares = shared / np.array([max(len(name), 1) for name in new])
    return Prefix(float(shared.mean()), int(shared.max()), float(shares.mean()), float(shares.max()))


def likelihood(
    losses: Losses,
    drawn: Sequence[str],
    train: Sequence[str],
    dev: Sequence[str],
    split: Callable[[str], Sequence[str]] = str,
) -> Likelihood:
    """Return the likelihood of a model's own names, of train names and of dev names.

    `split` returns the characters of a name.
    """
    (of_drawn, drawn_size), (of_train, train_size), (of_dev, dev_size) = (
        (np.asarray(losses(names), np.float64), np.array([len(split(name)) + 1.0 for name in names]))
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
    """Return the loss per character and its standard error.

    This is the ratio estimator (Cochran 1977, section 2.11).
    """
    n, mean = len(losses), losses.sum() / sizes.sum()
    spread = np.square(losses - mean * sizes).sum() / max(n - 1, 1)
    return Gap(float(mean), float(np.sqrt(spread * n) / sizes.sum()))


def draw(generator: NameGenerator, count: int = COUNT, seed: int = SEED) -> list[str]:
    """Sample `count` names at temperature 1, duplicates included; fewer if the model rarely ends a name.

    As in the service, names longer than the longest name of the list are rejected.
    """
    return generator.generate(count, seed=seed, options=SamplingOptions(), constraints=AS_DRAWN).names


HEADING = "## How good the names are"
NONE = "–"
Cell = Callable[[Figures], str]
# Rows that compare with the dev names, which the model never saw.
BY_DEV: tuple[tuple[str, Cell], ...] = (
    ("new to the train names", lambda f: f"{f.new:.1%}"),
    ("shared beginning, mean", lambda f: _prefix_row(f, lambda p: f"{p.mean:.2f} characters, {p.share:.1%}")),
    ("shared beginning, greatest", lambda f: _prefix_row(f, lambda p: f"{p.longest} characters, {p.greatest:.1%}")),
)
ROW_NOTES = (
    "**Came before**: share of names that occurred earlier in the same sample. It grows with the sample.",
    "**Distance of lengths**: half the sum of the differences between the shares of each length and those of the dev "
    "names; 0 to 1.",
    "**Divergence of pairs**: Jensen-Shannon divergence between the pairs of neighbouring characters, start and end "
    "included, and those of the dev names; 0 to 1 bit. Real names also have a distance, by chance; it is the best "
    "possible value. Both distances fall as a sample grows, so compare each with the same number of real train names. "
    "The last two columns are means over several such samples.",
    "**New**: share of names that are not train names; **in no part of the list**: nor dev or test names. The real "
    "names here are the dev names. A model that repeats its list has few new names; a model that learned nothing has "
    "only new names.",
    "**Shared beginning**: the longest beginning that a new name shares with a train name, in characters and as a "
    "share of the name. A value far above that of real names means copies with another ending.",
    "**Log-probability**: natural logarithm of the probability of a name, or of one of its characters (end of name "
    "included), under this model; the real names are the dev names. Similar values are good: the model is "
    "overconfident if drawn names are much likelier than real ones, and underconfident if they are less likely.",
    "**By heart?** The dev loss minus the train loss. Every model that learns has a gap; a gap far above that of "
    "comparable models of the same list shows overfitting.",
)


def quality_lines(quality: Quality, likelihood: Likelihood | None = None) -> list[str]:
    """Return the section as lines of Markdown: a table and an explanation of each row."""
    short = f"{quality.drawn_blocks.count:,}"
    head = ("", f"drawn ({quality.drawn.count:,})", f"real ({quality.train.count:,})", f"drawn ({short})")
    table = [(*head, f"real ({short})"), ("---",) * 5, *_rows(quality), *(_likely(likelihood) if likelihood else [])]
    intro = (
        "Names drawn at temperature 1, repeats included, and real names. If there are fewer real names than drawn "
        "ones, compare only the last two columns."
    )
    lines = ["| " + " | ".join(row) + " |" for row in table]
    return [HEADING, "", intro, "", *lines, "", *(f"- {words}" for words in ROW_NOTES)]


def _rows(quality: Quality) -> list[tuple[str, ...]]:
    drawn, train, dev = quality.drawn, quality.train, quality.dev
    sized = (drawn, train, quality.drawn_blocks, quality.train_blocks)
    return [
        ("came before in the sample", *(f"{f.repeated:.2%}" for f in sized)),
        ("distance of lengths", *(f"{f.lengths:.4f}" for f in sized)),
        ("divergence of pairs, bits", *(f"{f.pairs:.4f}" for f in sized)),
        ("longest name, characters", str(drawn.longest), str(train.longest), "", ""),
        *((what, cell(drawn), cell(dev), "", "") for what, cell in BY_DEV),
        ("in no part of the list", f"{drawn.unlisted:.1%}", "", "", ""),
    ]


def _likely(likelihood: Likelihood) -> list[tuple[str, ...]]:
    rows = [
        ("log-probability of a name", f"{likelihood.drawn_name:.2f}", f"{likelihood.dev_name:.2f}"),
        ("log-probability of a character", f"{likelihood.drawn_character:.3f}", f"{-likelihood.dev:.3f}"),
        ("by heart? dev loss minus train loss", f"{likelihood.gap}", f"{likelihood.dev:.4f} - {likelihood.train:.4f}"),
    ]
    return [(*row, "", "") for row in rows]


def _prefix_row(figures: Figures, text: Callable[[Prefix], str]) -> str:
    return text(figures.prefix) if figures.prefix else NONE
