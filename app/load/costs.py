"""What a request costs: characters to be drawn, and seconds, by what finished work has shown. No admission here."""

import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from app.schemas import GenerateQuery, ScoreRequest
from models import NameGenerator, SamplingOptions
from models.blends import Source
from models.inference.pace import FIRST, GOAL

# How much of what was known is kept with each piece that is measured: half a second of drawing changes the mind.
KEPT = 0.99
# Before anything was learnt: characters of a name, multiply-adds a second without any memory (a slow core's tenth),
# and how much this counts against what is measured (characters, seconds, candidates).
LENGTH, MULTIPLY_ADDS, LEAST_MULTIPLY_ADDS = 8.0, 1e9, 2000
FIRST_SECONDS, FIRST_CANDIDATES = 0.02, 100.0
# Which share of the candidates passes, at first: of each constraint that is asked for.
PASSING = {"ends_with": 0.05, "contains": 0.1, "pattern": 0.03, "novel": 0.5, "max_length": 0.5}
# Below this temperature names repeat.
REPEATING, REPEATING_PASS = 0.5, 0.2
MOST_KEPT = 1024
# What is drawn to measure a machine: candidates, of so many characters at most, so many times.
MEASURED, MEASURED_LENGTH, TRIES = 64, 20, 3
# Pairs of names a second that one thread compares.
COMPARED = 10_000_000.0
Kind = tuple[str, ...]
Key = TypeVar("Key")


@dataclass
class _Ratio:
    """A ratio of two sums that forget."""

    above: float
    below: float

    @property
    def value(self) -> float:
        return self.above / self.below

    def add(self, above: float, below: float) -> None:
        self.above = KEPT * self.above + above
        self.below = KEPT * self.below + below


class Costs:
    """Learns from finished work: characters a second of each model, and which share of its candidates passes, by the
    kinds of constraints. For one thread.
    """

    def __init__(self, multiply_adds: float = MULTIPLY_ADDS) -> None:
        """Begin with a machine of so many multiply-adds a second, as `multiply_adds_of` tells."""
        self._multiply_adds = multiply_adds
        self._speeds: OrderedDict[str, _Ratio] = OrderedDict()
        self._passing: OrderedDict[Kind, _Ratio] = OrderedDict()

    def characters(self, request: GenerateQuery, source: Source, most: int) -> float:
        """Return how many characters are likely drawn: count x attempts for a name x length, of at most `most`
        candidates.
        """
        kind = kind_of(request, source)
        passing = self._passing[kind].value if kind in self._passing else first_share(request)
        return min(request.count / max(passing, 1e-6), most) * LENGTH

    def seconds(self, request: GenerateQuery, source: Source, most: int) -> float:
        """Return how long one thread likely draws, and judges what it drew."""
        judged = request.count * LENGTH / self._judging_speed(source) if request.judged else 0.0
        return self.characters(request, source, most) / self.speed(source) + judged

    def scoring_seconds(self, request: ScoreRequest, source: Source) -> float:
        """Return how long one thread likely judges: each character once, and each name beside those of the list."""
        compared = len(request.names) * len(source.generator.names)
        return sum(map(len, request.names)) / self._judging_speed(source) + compared / COMPARED

    def speed(self, source: Source) -> float:
        """Return the characters a second that one thread draws of this source."""
        known = self._speeds.get(source.reference)
        return known.value if known else self._first_speed(source)

    def first_piece(self, request: GenerateQuery, source: Source) -> int:
        """Return how many candidates to begin with: as many as are drawn in the time of a piece, where it is known how
        long that takes, and nothing is asked that takes longer.
        """
        known = self._speeds.get(source.reference)
        if known is None or request.judged or kind_of(request, source) != (source.reference,):
            return FIRST
        return max(FIRST, int(known.value / LENGTH * GOAL))

    def learn(self, request: GenerateQuery, source: Source, names: int, attempts: int, seconds: float) -> None:
        """Take note of a piece: `attempts` candidates, of which `names` passed, in `seconds` of one thread."""
        if not attempts:
            return
        start = self._first_speed(source)
        _kept(self._speeds, source.reference, start * FIRST_SECONDS, FIRST_SECONDS).add(attempts * LENGTH, seconds)
        share = first_share(request)
        kind = kind_of(request, source)
        _kept(self._passing, kind, share * FIRST_CANDIDATES, FIRST_CANDIDATES).add(names, attempts)

    def _first_speed(self, source: Source) -> float:
        return self._multiply_adds / max(source.generator.multiply_adds, LEAST_MULTIPLY_ADDS)

    @staticmethod
    def _judging_speed(source: Source) -> float:
        return MULTIPLY_ADDS / max(source.generator.multiply_adds, LEAST_MULTIPLY_ADDS)


def multiply_adds_of(generator: NameGenerator) -> float:
    """Return how many multiply-adds a second one thread of this machine does at least, by names drawn for nothing: a
    process that knew nothing would take the first requests for much larger than they are, and refuse some.
    """
    nowhere, options, seconds = np.zeros(0, np.int64), SamplingOptions(), math.inf
    for _ in range(TRIES):
        began = time.perf_counter()
        generator.draw(nowhere, options, MEASURED_LENGTH, 0, 0, MEASURED)
        seconds = min(seconds, time.perf_counter() - began)
    # What comes first finds cold caches.
    return max(MULTIPLY_ADDS, MEASURED * LENGTH * generator.multiply_adds / seconds / 2)


def kind_of(request: GenerateQuery, source: Source) -> Kind:
    """Return what the share of passing candidates is learnt by."""
    asked = tuple(field for field in PASSING if getattr(request, field))
    return (source.reference, *asked, *(("repeating",) if is_repeating(request) else ()))


def is_repeating(request: GenerateQuery) -> bool:
    """Say whether many candidates are refused for being names that the answer has."""
    return request.unique and request.temperature < REPEATING


def first_share(request: GenerateQuery) -> float:
    """Return the share of candidates that passes where nothing was learnt."""
    share = REPEATING_PASS if is_repeating(request) else 0.95
    for field, passing in PASSING.items():
        if getattr(request, field):
            share *= passing
    return share


def _kept(kept: OrderedDict[Key, _Ratio], key: Key, above: float, below: float) -> _Ratio:
    if key not in kept:
        kept[key] = _Ratio(above, below)
        if len(kept) > MOST_KEPT:
            kept.popitem(last=False)
    return kept[key]
