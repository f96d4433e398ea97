"""The list that benchmarks measure on, makemore's names.txt, and the two ways to split it. Nothing is trained here."""

import random
from dataclasses import dataclass
from pathlib import Path

from data import split_names
from models import Vocabulary
from training.dataset import Examples

SHUFFLE_SEED = 42
SPLITS = ("lines", "distinct")


@dataclass(frozen=True)
class Parts:
    """A list in three parts, and its alphabet."""

    train: list[str]
    dev: list[str]
    test: list[str]
    vocabulary: Vocabulary

    def examples(self, part: str) -> Examples:
        """Return "train", "dev" or "test" as rows."""
        return Examples.of(getattr(self, part), self.vocabulary)


def lecture_split(names: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Return the lectures' train, dev and test parts of the file's lines."""
    shuffled = list(names)
    random.Random(SHUFFLE_SEED).shuffle(shuffled)
    n1, n2 = int(0.8 * len(shuffled)), int(0.9 * len(shuffled))
    return shuffled[:n1], shuffled[n1:n2], shuffled[n2:]


def read_parts(path: Path, split: str) -> Parts:
    """Return the list at `path`, split by line as in the lectures or by distinct name as our shipped models are.

    By line, names that stand twice leak: some 13 % of the dev names are also in train.
    """
    names = path.read_text("utf-8").split()
    if split == "lines":
        train, dev, test = lecture_split(names)
    else:
        by_name = split_names(list(dict.fromkeys(names)), SHUFFLE_SEED)
        train, dev, test = (list(part) for part in (by_name.train, by_name.dev, by_name.test))
    return Parts(train, dev, test, Vocabulary.of(names))
