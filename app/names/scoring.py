"""Score names, and predict next characters: what /score and /next answer. No HTTP and no threads."""

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from app.names.sources import Variant
from app.responses import CharacterChance, CharacterDetail, Nearest, NextAnswer, ScoreAnswer, ScoredName
from app.schemas import NextQuery, ScoreRequest
from models import UnknownCharacter
from models.blends import Source
from models.inference import DECIMALS
from models.spelling import fold

# The log-probability of a name under each value of each style.
ByStyle = dict[str, dict[str, float]]
# Characters that are scored at a time, in some milliseconds.
BATCH_CHARACTERS = 160
# Names that are compared with the list at a time, in some milliseconds and megabytes.
COMPARED_NAMES = 32
# Sorted lists that are kept.
MAX_LISTS = 8


def next_batch(names: Sequence[str], start: int) -> Sequence[str]:
    """Return the names from `start` on that are scored at a time, at least one if any is left."""
    characters, end = 0, start
    while end < len(names) and characters < BATCH_CHARACTERS:
        characters += len(names[end]) + 1
        end += 1
    return names[start:end]


class Scorer:
    """Scores names, and finds the nearest name of a model's list. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lists: OrderedDict[int, tuple[frozenset[str], list[str]]] = OrderedDict()

    def score(self, request: ScoreRequest, source: Source, by_style: Sequence[ByStyle] = ()) -> ScoreAnswer:
        """Return the score of each name; `by_style`: what `add_by_style` found for each, or none."""
        names = [source.generator.vocabulary.normalize(name) for name in request.names]
        nearest: Sequence[Nearest | None] = [None] * len(names)
        if request.nearest:
            nearest = self._nearest(names, source.generator.names)
        others: Sequence[ByStyle | None] = by_style or [None] * len(names)
        scores = [_scored(*given, source) for given in zip(names, nearest, others, strict=True)]
        return ScoreAnswer(dataset=source.dataset, model=source.model, scores=scores)

    def next(self, request: NextQuery, source: Source) -> NextAnswer:
        """Return what may follow the request's prefix. Raises `UnknownCharacter`."""
        chances = source.generator.next_characters(request.prefix, request.temperature)
        return NextAnswer(
            dataset=source.dataset,
            model=source.model,
            prefix=fold(source.generator.vocabulary.spelled(request.prefix)),
            temperature=request.temperature,
            characters=[CharacterChance(character=c.character, probability=c.probability) for c in chances],
        )

    def _nearest(self, names: Sequence[str], known: frozenset[str]) -> list[Nearest]:
        """Return for each name the first of its nearest ones in the alphabet, by Levenshtein distance."""
        listed = self._sorted(known)
        found: list[Nearest] = []
        for start in range(0, len(names), COMPARED_NAMES):
            batch = names[start : start + COMPARED_NAMES]
            distances = cdist(batch, listed, scorer=Levenshtein.distance, dtype=np.uint8)
            for row, k in zip(distances, distances.argmin(axis=1).tolist(), strict=True):
                found.append(Nearest(name=listed[k], distance=int(row[k])))
        return found

    def _sorted(self, known: frozenset[str]) -> list[str]:
        with self._lock:
            # The set is kept with its sorted list, so that no other set can get its id.
            if id(known) not in self._lists:
                self._lists[id(known)] = known, sorted(known)
            self._lists.move_to_end(id(known))
            while len(self._lists) > MAX_LISTS:
                self._lists.popitem(last=False)
            return self._lists[id(known)][1]


def add_by_style(found: Sequence[ByStyle], names: Sequence[str], variant: Variant) -> None:
    """Add to what is `found` for each of `names` its log-probability under the value of a style, if it has one."""
    generator = variant.make().generator
    for name, values in zip(names, found, strict=True):
        try:
            log_prob = generator.score([name])[0].log_prob
        except UnknownCharacter:
            continue
        values.setdefault(variant.style, {})[variant.value] = log_prob


def _scored(name: str, nearest: Nearest | None, by_style: ByStyle | None, source: Source) -> ScoredName:
    try:
        found = source.generator.score([name])[0]
    except UnknownCharacter as error:
        return ScoredName(
            name=name,
            log_prob=None,
            perplexity=None,
            in_training=False,
            nearest=nearest,
            characters=[],
            reason=f"The name must be {error.allowed}.",
        )
    return ScoredName(
        name=name,
        log_prob=found.log_prob,
        # e to the mean loss of a character, at least 1.
        perplexity=round(math.exp(-found.log_prob / len(found.characters)), DECIMALS),
        in_training=found.in_training,
        nearest=nearest,
        characters=[CharacterDetail(character=c.character, log_prob=c.log_prob) for c in found.characters],
        by_style=by_style or None,
    )
