"""The classifier that reads styles: its counts against plain ones, its agreement, and the labels it learns from."""

import random
from math import log

import pytest

from benchmarks.shipped.styles import LENGTHS, SMOOTHING, NaiveBayes, grams, labels
from data import StyleRows

LABELLED = [("anna", "f"), ("mia", "f"), ("otto", "m"), ("tom", "m"), ("udo", "m")]


def test_grams_have_ends_and_length() -> None:
    assert sorted(grams("ab")) == sorted([*"^ab$", "^a", "ab", "b$", "^ab", "ab$", "^ab$", "#2"])


@pytest.mark.parametrize("name", ["ada", "tim", "xyz"])
def test_classes_are_those_of_plain_naive_bayes(name: str) -> None:
    scores = {}
    for label in ("f", "m"):
        mine = [set(grams(other)) for other, each in LABELLED if each == label]
        known = set().union(*(grams(other) for other, _ in LABELLED))
        chances = [
            log((sum(gram in each for each in mine) + SMOOTHING) / (len(mine) + 2 * SMOOTHING))
            for gram in set(grams(name)) & known
        ]
        scores[label] = sum(chances) / len(LENGTHS) + log(len(mine) / len(LABELLED))
    assert NaiveBayes.fit(LABELLED).classify(name) == max(scores, key=scores.__getitem__)


def test_agreement_is_the_share_of_right_classes() -> None:
    classifier = NaiveBayes.fit(LABELLED)
    assert classifier.agreement(LABELLED) == 1
    assert classifier.agreement([("anna", "m"), ("otto", "m")]) == 0.5


def test_labels_are_rows_drawn_by_weight() -> None:
    rows = StyleRows(
        ("kind", "sex"),
        (("kim", "a", "f"), ("kim", "a", "m"), ("bo", "b", ""), ("eve", "a", "f")),
        (1.0, 3.0, 1.0, 0.0),
    )
    drawn = labels(["kim"] * 4000 + ["bo", "eve", "liv"], rows, 1, random.Random(2))
    assert {name for name, _ in drawn} == {"kim"}
    # Five standard deviations of a binomial.
    assert abs(sum(label == "m" for _, label in drawn) / 4000 - 0.75) < 5 * (0.75 * 0.25 / 4000) ** 0.5
