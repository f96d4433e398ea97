"""What the temperature does: to the distribution of the next character, and to the names that come of it. Numbers only;
`temperatures_plot` draws them, `temperatures_command` prints them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from models import NameGenerator, SamplingOptions
from models.inference import AS_DRAWN

TEMPERATURES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
# Those whose next characters are shown.
SHOWN = (0.5, 1.0, 2.0)
SEED = 0


@dataclass(frozen=True)
class Expectation:
    """What may follow a prefix at a temperature: probabilities by character, "." for the end."""

    temperature: float
    probabilities: dict[str, float]

    @property
    def entropy(self) -> float:
        """How open it is, in nats: 0 where one character is sure, ln V where all are as likely."""
        return -sum(p * math.log(p) for p in self.probabilities.values() if p > 0)


@dataclass(frozen=True)
class TemperatureSample:
    """Names drawn at a temperature. `new`: share that the list does not hold; `repeated`: share that came before;
    `log_prob`: of a character of theirs, on average, at temperature 1; `too_long`: share of candidates that were
    refused for being longer than any name of the list.
    """

    temperature: float
    new: float
    repeated: float
    log_prob: float
    too_long: float
    first: tuple[str, ...]


def expect(generator: NameGenerator, prefix: str, temperature: float) -> Expectation:
    """Return what the model expects after `prefix`. Raises `UnknownCharacter`."""
    following = generator.next_characters(prefix, temperature)
    return Expectation(temperature, {one.character: one.probability for one in following})


def sample_at(generator: NameGenerator, temperature: float, count: int) -> TemperatureSample:
    """Draw `count` names of seed 0, repeats and all, and say what they are like."""
    batch = generator.generate(count, seed=SEED, options=SamplingOptions(temperature=temperature), constraints=AS_DRAWN)
    names = batch.names
    return TemperatureSample(
        temperature=temperature,
        new=fmean(name not in generator.names for name in names),
        repeated=1 - len(set(names)) / len(names),
        log_prob=character_log_prob(generator, names),
        too_long=batch.refused["max_length"] / batch.attempts,
        first=tuple(names[:2]),
    )


def character_log_prob(generator: NameGenerator, names: Sequence[str]) -> float:
    """Return the mean log-probability of a character, ends included, at temperature 1, in nats."""
    scores = generator.score(names)
    return sum(score.log_prob for score in scores) / sum(len(score.characters) for score in scores)
