"""Kneser-Ney counts: against a slow dictionary of counts, as a distribution, and against the published losses."""

import math
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.lists import lecture_split
from models import Vocabulary
from training.errors import TrainingError
from training.kneser_ney import KneserNey

NAMES_TXT = Path(__file__).parents[3] / "shared/bench/names.txt"
TINY = ("anna", "anni", "hanna", "ina", "nina", "an", "a", "hannah", "iannia")


def slow_probability(names: tuple[str, ...], V: int, order: int, context: str, character: str) -> float:
    """The textbook's recursion on dictionaries of strings; "." pads a name and ends it."""
    padded = ["." * order + name + "." for name in names]
    runs = Counter(text[i - order + 1 : i + 1] for text in padded for i in range(order, len(text)))
    context = ("." * order + context)[len(context) + 1 :]

    def refine(runs: Counter[str], context: str) -> float:
        shorter: Counter[str] = Counter({run[1:]: 0 for run in runs})
        shorter.update(run[1:] for run in runs)
        below = refine(shorter, context[1:]) if context else 1 / V
        mine = {run: n for run, n in runs.items() if run[:-1] == context}
        if not mine:
            return below
        n1, n2 = (sum(n == k for n in runs.values()) for k in (1, 2))
        D = n1 / (n1 + 2 * n2) if n1 else 0.5
        total = sum(mine.values())
        return max(mine.get(context + character, 0) - D, 0) / total + D * len(mine) / total * below

    return refine(runs, context)


@pytest.mark.parametrize("order", [1, 2, 3, 6])
@pytest.mark.parametrize("context", ["", "a", "an", "hann", "nnn", "iia"])
def test_probabilities_are_the_textbooks(order: int, context: str) -> None:
    """Every probability, after contexts seen and unseen, is what the slow recursion over strings gives."""
    vocabulary = Vocabulary.of(TINY)
    ours = KneserNey.fit(TINY, vocabulary, order).probabilities(context)
    for i, p in enumerate(ours):
        character = vocabulary.itos[i] if i else "."
        assert p == pytest.approx(slow_probability(TINY, len(vocabulary), order, context, character), rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text("abcdef", min_size=1, max_size=8), min_size=1), st.integers(1, 7), st.text("abcdef"))
def test_every_context_has_a_distribution(names: list[str], order: int, context: str) -> None:
    """Probabilities are above 0 and sum to 1, whatever was counted and whatever comes before."""
    p = KneserNey.fit(names, Vocabulary.of([*names, "abcdef"]), order).probabilities(context)
    assert (p > 0).all()
    assert p.sum() == pytest.approx(1, abs=1e-12)


def test_a_names_loss_is_the_sum_over_its_characters() -> None:
    """The loss of a whole name is that of its characters and its end, one after the other."""
    vocabulary = Vocabulary.of(TINY)
    model = KneserNey.fit(TINY, vocabulary, 4)
    ids = [*vocabulary.encode("hanni"), 0]
    expected = -sum(math.log(model.probabilities("hanni"[:t])[i]) for t, i in enumerate(ids))
    assert float(model.name_losses(["hanni"])[0]) == pytest.approx(expected, rel=1e-12)


def test_an_order_that_does_not_fit_is_refused() -> None:
    """Runs that 63 bits cannot hold are refused with the longest that they can."""
    with pytest.raises(TrainingError, match=r"order is 40; allowed with 5 characters: 1 to 27"):
        KneserNey.fit(TINY, Vocabulary.of(TINY), 40)


@pytest.mark.skipif(not NAMES_TXT.is_file(), reason="names.txt is not beside the project")
@pytest.mark.parametrize(
    ("order", "dev", "test"),
    [(3, 2.219, 2.220), (4, 2.065, 2.068), (5, 2.002, 2.001), (6, 1.997, 2.000), (7, 2.004, 2.008)],
)
def test_losses_on_names_txt_are_the_published_ones(order: int, dev: float, test: float) -> None:
    """On the lectures' split every order has the dev and test loss that was published, to the last digit."""
    names = NAMES_TXT.read_text().split()
    train, *parts = lecture_split(names)
    model = KneserNey.fit(train, Vocabulary.of(names), order)
    for part, published in zip(parts, (dev, test), strict=True):
        loss = float(model.name_losses(part).sum()) / sum(len(name) + 1 for name in part)
        assert loss == pytest.approx(published, abs=5.01e-4)


@pytest.mark.skipif(not NAMES_TXT.is_file(), reason="names.txt is not beside the project")
def test_the_split_is_the_usual_one() -> None:
    """The six numbers by which one knows the lectures' split: names and targets of train, dev and test."""
    parts = lecture_split(NAMES_TXT.read_text().split())
    assert [len(part) for part in parts] == [25_626, 3_203, 3_204]
    assert [sum(len(name) + 1 for name in part) for part in parts] == [182_625, 22_655, 22_866]
