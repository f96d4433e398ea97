"""What a model makes of names, and what it expects next: the calls behind /score and /next, shared with the command
line. No HTTP and no threads.
"""

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from app.replies import CharacterChance, CharacterDetail, Nearest, NextAnswer, ScoreAnswer, ScoredName
from app.schemas import NextQuery, ScoreRequest
from models import UnknownCharacter
from models.blends import Source
from models.inference import DECIMALS, Score
from models.spelling import fold, normalize

# Names of about so many characters in all are judged in a piece: some milliseconds.
AT_ONCE = 160
# So many names are compared with the list at a time: that takes some milliseconds and some MB.
COMPARED_AT_ONCE = 32
# Lists that are kept sorted.
MOST_LISTS = 8


def piece_of(names: Sequence[str], begin: int) -> Sequence[str]:
    """Return the names from `begin` on that are judged in a piece, at least one if there is one."""
    characters, end = 0, begin
    while end < len(names) and characters < AT_ONCE:
        characters += len(names[end]) + 1
        end += 1
    return names[begin:end]


class Explainer:
    """Keeps the lists that it compared with, sorted. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lists: OrderedDict[int, tuple[frozenset[str], list[str]]] = OrderedDict()

    def score(self, request: ScoreRequest, source: Source) -> ScoreAnswer:
        """Return what the source's model makes of each name."""
        names = [normalize(name) for name in request.names]
        nearest = self._nearest(names, source.generator.names)
        scores = [_scored(name, near, source) for name, near in zip(names, nearest, strict=True)]
        return ScoreAnswer(dataset=source.dataset, model=source.model, scores=scores)

    def next(self, request: NextQuery, source: Source) -> NextAnswer:
        """Return what may follow the request's prefix. Raises `UnknownCharacter`."""
        chances = source.generator.next_characters(request.prefix, request.temperature)
        return NextAnswer(
            dataset=source.dataset,
            model=source.model,
            prefix=fold(request.prefix),
            temperature=request.temperature,
            characters=[CharacterChance(character=c.character, probability=c.probability) for c in chances],
        )

    def _nearest(self, names: Sequence[str], known: frozenset[str]) -> list[Nearest]:
        listed = self._sorted(known)
        found: list[Nearest] = []
        for begin in range(0, len(names), COMPARED_AT_ONCE):
            some = names[begin : begin + COMPARED_AT_ONCE]
            distances = cdist(some, listed, scorer=Levenshtein.distance, dtype=np.uint8)
            # argmin takes the first of the least ones.
            for row, k in zip(distances, distances.argmin(axis=1).tolist(), strict=True):
                found.append(Nearest(name=listed[k], distance=int(row[k])))
        return found

    def _sorted(self, known: frozenset[str]) -> list[str]:
        with self._lock:
            # The list is kept beside it, so that no other one can have its id.
            if id(known) not in self._lists:
                self._lists[id(known)] = known, sorted(known)
            self._lists.move_to_end(id(known))
            while len(self._lists) > MOST_LISTS:
                self._lists.popitem(last=False)
            return self._lists[id(known)][1]


def _scored(name: str, nearest: Nearest, source: Source) -> ScoredName:
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
            reason=f"A character is not among the {error.allowed}.",
        )
    return ScoredName(
        name=name,
        log_prob=found.log_prob,
        perplexity=_perplexity(found),
        in_training=found.in_training,
        nearest=nearest,
        characters=[CharacterDetail(character=c.character, log_prob=c.log_prob) for c in found.characters],
    )


def _perplexity(score: Score) -> float:
    """Return e to the mean loss of a step: at least 1."""
    return round(math.exp(-score.log_prob / len(score.characters)), DECIMALS)
