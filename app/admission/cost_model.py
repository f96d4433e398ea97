"""Estimate what a request costs, in characters and seconds, from the work that finished before it."""

import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

from app.names.generation import needs_scores
from app.schemas import GenerateQuery, ScoreRequest
from models import Constraints, NameGenerator
from models.blends import Source
from models.inference.stream import CHUNK_SECONDS, FIRST_CHUNK

# Weight of the past at each update: half a second of sampling replaces it.
DECAY = 0.99
# Before anything is learnt: characters of a name, multiply-adds a second without a prefix cache (a tenth of a slow
# core), and the weight of these guesses (seconds, candidates).
NAME_LENGTH, SLOWEST_MULTIPLY_ADDS, LEAST_MULTIPLY_ADDS = 8.0, 1e9, 2000
PRIOR_SECONDS, PRIOR_CANDIDATES = 0.02, 100.0
# How many times the prior speed, which is half of that without a prefix cache, work on the event loop may count on.
MAX_CACHE_GAIN = 4
# Which share of candidates is accepted, at first, for each constraint.
ACCEPTANCE = {"ends_with": 0.05, "contains": 0.1, "pattern": 0.03, "novel": 0.5, "max_length": 0.5}
DEFAULT_ACCEPTANCE = 0.95
# Names repeat below this temperature.
REPEATING, REPEATING_TEMPERATURE, REPEATING_ACCEPTANCE = "repeating", 0.5, 0.2
MAX_ENTRIES = 1024
# The speed test: candidates, their longest length, runs.
TEST_CANDIDATES, TEST_LENGTH, TEST_RUNS = 64, 20, 3
# Pairs of names that one thread compares in a second.
COMPARISONS_PER_SECOND = 10_000_000.0
ConstraintKey = tuple[str, ...]
Key = TypeVar("Key")


@dataclass
class DecayingRatio:
    """The ratio of two sums that forget."""

    numerator: float
    denominator: float

    @property
    def value(self) -> float:
        """The ratio."""
        return self.numerator / self.denominator

    def update(self, numerator: float, denominator: float) -> None:
        """Add to both sums."""
        self.numerator = DECAY * self.numerator + numerator
        self.denominator = DECAY * self.denominator + denominator


class CostModel:
    """Learns the characters a second of each model, and the acceptance rate of each set of constraints.

    For one thread. `multiply_adds`: a second of one thread, see `measure_multiply_adds`.
    """

    def __init__(self, multiply_adds: float = SLOWEST_MULTIPLY_ADDS) -> None:
        self._multiply_adds = multiply_adds
        self._speeds: OrderedDict[str, DecayingRatio] = OrderedDict()
        self._acceptance: OrderedDict[ConstraintKey, DecayingRatio] = OrderedDict()

    def candidates(self, request: GenerateQuery, source: Source, max_attempts: int) -> float:
        """Return the expected number of candidates, at most `max_attempts`."""
        key = constraint_key(request, source)
        acceptance = self._acceptance[key].value if key in self._acceptance else prior_acceptance(key)
        return min(request.count / max(acceptance, 1e-6), max_attempts)

    def seconds(self, request: GenerateQuery, source: Source, max_attempts: int) -> float:
        """Return the expected seconds of one thread, scoring included."""
        scoring = request.count * NAME_LENGTH / self._scoring_speed(source) if needs_scores(request) else 0.0
        return self.candidates(request, source, max_attempts) * NAME_LENGTH / self.speed(source) + scoring

    def scoring_seconds(self, request: ScoreRequest, source: Source) -> float:
        """Return the expected seconds of one thread to score names and compare them with the list."""
        comparisons = len(request.names) * len(source.generator.names) if request.nearest else 0
        return sum(map(len, request.names)) / self._scoring_speed(source) + comparisons / COMPARISONS_PER_SECOND

    def speed(self, source: Source) -> float:
        """Return the characters that one thread samples in a second."""
        known = self._speeds.get(source.reference)
        return known.value if known else self._prior_speed(source)

    def inline_speed(self, source: Source) -> float:
        """Return the characters a second to count on for work on the event loop.

        What was learnt counts up to a multiple of the speed without a prefix cache: requests that find all their
        prefixes there say nothing about those that do not.
        """
        return min(self.speed(source), MAX_CACHE_GAIN * self._prior_speed(source))

    def first_chunk(self, request: GenerateQuery, source: Source) -> int:
        """Return the candidates of the first chunk: all, if the speed is known and nothing delays it."""
        known = self._speeds.get(source.reference)
        if known is None or needs_scores(request) or constraint_key(request, source) != (source.reference,):
            return FIRST_CHUNK
        return max(FIRST_CHUNK, int(known.value / NAME_LENGTH * CHUNK_SECONDS))

    def update(self, request: GenerateQuery, source: Source, names: int, attempts: int, seconds: float) -> None:
        """Learn from a chunk: `attempts` candidates, `names` of them accepted, in `seconds` of one thread."""
        if not attempts:
            return
        key, speed = constraint_key(request, source), self._prior_speed(source)
        known = _ratio(self._speeds, source.reference, speed * PRIOR_SECONDS, PRIOR_SECONDS)
        known.update(attempts * NAME_LENGTH, seconds)
        known = _ratio(self._acceptance, key, prior_acceptance(key) * PRIOR_CANDIDATES, PRIOR_CANDIDATES)
        known.update(names, attempts)

    def _prior_speed(self, source: Source) -> float:
        return self._multiply_adds / max(source.generator.multiply_adds, LEAST_MULTIPLY_ADDS)

    @staticmethod
    def _scoring_speed(source: Source) -> float:
        return SLOWEST_MULTIPLY_ADDS / max(source.generator.multiply_adds, LEAST_MULTIPLY_ADDS)


def measure_multiply_adds(generator: NameGenerator) -> float:
    """Measure a lower bound of one thread's multiply-adds per second, in some milliseconds.

    A process that knew nothing would take its first requests for much larger than they are, and refuse some.
    """
    sampler, seconds = generator.prepare(constraints=Constraints(max_length=TEST_LENGTH)), math.inf
    for _ in range(TEST_RUNS):
        started = time.perf_counter()
        sampler.draw(0, 0, TEST_CANDIDATES)
        seconds = min(seconds, time.perf_counter() - started)
    # Half of it, because the first requests find cold caches.
    return max(SLOWEST_MULTIPLY_ADDS, TEST_CANDIDATES * NAME_LENGTH * generator.multiply_adds / seconds / 2)


def constraint_key(request: GenerateQuery, source: Source) -> ConstraintKey:
    """Return what the acceptance rate is learnt by: the model, and what rejects candidates."""
    key = [source.reference]
    for field in ACCEPTANCE:
        if getattr(request, field):
            key.append(field)
    if request.unique and request.temperature < REPEATING_TEMPERATURE:
        key.append(REPEATING)
    return tuple(key)


def prior_acceptance(key: ConstraintKey) -> float:
    """Return the acceptance rate before anything is learnt."""
    acceptance = DEFAULT_ACCEPTANCE if REPEATING not in key else 1.0
    for field in key[1:]:
        acceptance *= ACCEPTANCE[field] if field != REPEATING else REPEATING_ACCEPTANCE
    return acceptance


def _ratio(ratios: OrderedDict[Key, DecayingRatio], key: Key, numerator: float, denominator: float) -> DecayingRatio:
    if key not in ratios:
        ratios[key] = DecayingRatio(numerator, denominator)
        if len(ratios) > MAX_ENTRIES:
            ratios.popitem(last=False)
    return ratios[key]
