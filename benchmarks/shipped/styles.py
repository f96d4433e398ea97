"""Whether others see the style of new names: a classifier that the model does not know reads them.

    python -m benchmarks.shipped.styles human/lstm@6 [--store .namewave/artifacts] [--count 20000]

For each style a naive Bayes classifier over character n-grams (Maron 1961; Cavnar & Trenkle 1994) learns from the train
names of the model's list. It reads held-out names, whose style is a row of the list drawn by weight, and as many new
names that were asked for with the same styles. The model is right where both shares of agreement are alike: a lower one
means that a style is weak, a higher one that it is a caricature.
"""

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from data import StyleRows
from models import Version, prepare
from models.inference import Constraints
from training.corpus import Corpus, shipped_corpus
from training.paths import open_registry
from training.publishing import recreate_split

# Lengths of n-grams, the ends of a name included, and what is added to each count.
LENGTHS, SMOOTHING = range(1, 6), 0.1
Labelled = list[tuple[str, str]]


def grams(name: str) -> list[str]:
    """Return the n-grams of a name with a mark at both ends, and its length."""
    text = f"^{name}$"
    found = [text[i : i + n] for n in LENGTHS for i in range(len(text) - n + 1)]
    return [*found, f"#{len(name)}"]


@dataclass(frozen=True)
class NaiveBayes:
    """Log-probabilities of n-grams in each class: `weights` (n-grams, classes), `prior` (classes,)."""

    classes: tuple[str, ...]
    index: dict[str, int]
    weights: NDArray[np.float64]
    prior: NDArray[np.float64]

    @classmethod
    def fit(cls, labelled: Labelled) -> "NaiveBayes":
        """Count the n-grams of labelled names."""
        classes = tuple(sorted({label for _, label in labelled}))
        place = {label: k for k, label in enumerate(classes)}
        counts = Counter((gram, place[label]) for name, label in labelled for gram in set(grams(name)))
        index = {gram: i for i, gram in enumerate(sorted({gram for gram, _ in counts}))}
        table = np.full((len(index), len(classes)), SMOOTHING)
        for (gram, k), count in counts.items():
            table[index[gram], k] += count
        names = np.array([sum(label == each for _, label in labelled) for each in classes], np.float64)
        return cls(classes, index, np.log(table / (names + 2 * SMOOTHING)), np.log(names / names.sum()))

    def classify(self, name: str) -> str:
        """Return the likeliest class of a name. N-grams depend on one another, so that they count less than once."""
        known = [self.index[gram] for gram in set(grams(name)) if gram in self.index]
        scores = self.weights[known].sum(0) / len(LENGTHS) + self.prior
        return self.classes[int(scores.argmax())]

    def agreement(self, labelled: Labelled) -> float:
        """Return the share of names that are classified as they are labelled."""
        return sum(self.classify(name) == label for name, label in labelled) / len(labelled)


def labels(names: Sequence[str], rows: StyleRows, column: int, generator: random.Random) -> Labelled:
    """Return names, each with the value of a style in one of its rows, drawn by weight; others are left out."""
    found: dict[str, tuple[list[str], list[float]]] = {}
    for row, weight in zip(rows.rows, rows.weights, strict=True):
        if row[1 + column] and weight > 0:
            values, weights = found.setdefault(row[0], ([], []))
            values.append(row[1 + column])
            weights.append(weight)
    return [(name, generator.choices(*found[name])[0]) for name in names if name in found]


def invent(version: Version, style: str, wanted: Counter[str], seed: int) -> Labelled:
    """Return new names of each value, as many as are wanted, none of them in the list."""
    constraints, made = Constraints(novel=True, unique=True), list[tuple[str, str]]()
    for value, count in sorted(wanted.items()):
        batch = version.styled({style: value}).generator.generate(count, seed=seed, constraints=constraints)
        made += [(name, value) for name in batch.names]
    return made


def corpus_of(version: Version) -> Corpus:
    """Return the shipped list that a version learned from. Raises `click.UsageError` for another one."""
    corpus = shipped_corpus(version.dataset, version.manifest.data.split_seed)
    if corpus.sha256 != version.manifest.data.sha256 or corpus.styles is None:
        raise click.UsageError(f"{version.reference} did not learn styles of a list that ships.")
    return corpus


@click.command()
@click.argument("reference")
@click.option("--store", type=click.Path(path_type=Path), default=Path(".namewave/artifacts"), help="Your versions.")
@click.option("--count", type=click.IntRange(100), default=20_000, show_default=True, help="Held-out and new names.")
@click.option("--seed", default=1, show_default=True, help="Seed of the rows and of the new names.")
def main(reference: str, store: Path, count: int, seed: int) -> None:
    """Print for each style of REFERENCE how often the classifier agrees on held-out and on new names."""
    version = open_registry(store, prepare()).resolve(None, reference)
    corpus, split, generator = corpus_of(version), recreate_split(version), random.Random(seed)
    assert corpus.styles is not None
    table = Table("style", title=f"{version.reference}: agreement of an n-gram classifier", title_justify="left")
    for head in ("values", "held-out names", "new names", "difference", "standard error"):
        table.add_column(head, justify="right")
    for column, style in enumerate(corpus.styles.columns):
        classifier = NaiveBayes.fit(labels(split.train, corpus.styles, column, generator))
        held_out = labels([*split.dev, *split.test], corpus.styles, column, generator)
        held_out = generator.sample(held_out, min(count, len(held_out)))
        made = invent(version, style, Counter(value for _, value in held_out), seed)
        real, new = classifier.agreement(held_out), classifier.agreement(made)
        error = math.sqrt(real * (1 - real) / len(held_out) + new * (1 - new) / len(made))
        cells = f"{real:.1%}", f"{new:.1%}", f"{100 * (new - real):+.1f}", f"{100 * error:.1f}"
        table.add_row(style, str(len(classifier.classes)), *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
