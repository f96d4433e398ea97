"""Temperatures: the next character against the power law, names against their own list, the picture."""

import math

import numpy as np
import pytest

from models import NameGenerator
from models.networks import Network
from training.lessons.temperatures import SHOWN, TEMPERATURES, character_log_prob, expect, harvest
from training.lessons.temperatures_command import figures
from training.lessons.temperatures_plot import temperatures_plot

Pair = tuple[NameGenerator, Network]


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_a_temperature_is_a_power(any_generator: Pair, temperature: float) -> None:
    """Dividing logits by T is raising probabilities to 1/T and dividing by their sum."""
    generator, _ = any_generator
    plain, bent = (expect(generator, "ka", t).probabilities for t in (1.0, temperature))
    powers = {character: p ** (1 / temperature) for character, p in plain.items()}
    total = sum(powers.values())
    assert bent == pytest.approx({character: p / total for character, p in powers.items()}, abs=2e-4)


def test_entropy_is_that_of_the_closed_form(any_generator: Pair) -> None:
    """It is numpy's sum, grows with the temperature, and stays below ln V."""
    generator, _ = any_generator
    entropies = [expect(generator, "ka", t).entropy for t in TEMPERATURES]
    p = np.array(list(expect(generator, "ka", 1.0).probabilities.values()))
    assert entropies[TEMPERATURES.index(1.0)] == pytest.approx(float(-(p[p > 0] * np.log(p[p > 0])).sum()))
    assert entropies == sorted(entropies)
    assert entropies[-1] < math.log(generator.vocab_size)


def test_harvests_are_counted(any_generator: Pair) -> None:
    """Shares are those of the very names drawn: new ones are not in the list, repeated ones came before, and the same
    again is the same.
    """
    generator, _ = any_generator
    one = harvest(generator, 0.25, 300)
    assert one == harvest(generator, 0.25, 300)
    known = NameGenerator(generator.predictor, [*generator.names, *one.first], generator.longest, generator.kernels)
    counted = harvest(known, 0.25, 300)
    assert counted.new <= one.new
    assert (counted.repeated, counted.log_prob) == (one.repeated, one.log_prob)
    nothing = NameGenerator(generator.predictor, [], generator.longest, generator.kernels)
    assert harvest(nothing, 0.25, 300).new == 1
    assert harvest(nothing, 0.25, 300).repeated > harvest(nothing, 2.0, 300).repeated


def test_the_mean_is_over_characters(any_generator: Pair) -> None:
    """It is the sum of all log-probabilities over the number of characters, ends included: long names weigh more."""
    generator, _ = any_generator
    names = ["ka", "lomirentu"]
    steps = [step.log_prob for score in generator.score(names) for step in score.characters]
    assert len(steps) == 3 + 10
    assert character_log_prob(generator, names) == pytest.approx(float(np.mean(steps)), abs=1e-5)


def test_the_picture_and_the_figures(any_generator: Pair) -> None:
    """There is a figure for each temperature shown, and a picture that repeats itself."""
    generator, _ = any_generator
    expectations = [expect(generator, "ka", t) for t in SHOWN]
    harvests = [harvest(generator, t, 50) for t in TEMPERATURES]
    found = figures("ka", expectations, harvests)
    assert len(found) == 3 * len(SHOWN)
    assert found['entropy after "ka" at temperature 2'] == expectations[2].entropy
    assert found["share of new names at temperature 2"] == harvests[-1].new
    picture = temperatures_plot("ka", expectations, harvests)
    assert picture.startswith(b"\x89PNG")
    assert 5_000 < len(picture) < 300_000
    assert temperatures_plot("ka", expectations, harvests) == picture
