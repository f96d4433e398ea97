"""How likely a model finds a name, and what it expects next. Nothing is drawn here."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import UnknownCharacter
from models.inference.predictor import Predictor, opened
from models.kernel.freeze import Floats
from models.kernel.mixture import NEVER
from models.spelling import fold
from models.vocabulary import END

# Decimals of probabilities: coarse enough to be the same on every machine.
DECIMALS = 6


@dataclass(frozen=True)
class CharacterScore:
    """One step of a name: the character ("." for the end) and the natural logarithm of its probability."""

    character: str
    log_prob: float


@dataclass(frozen=True)
class Score:
    """A name's log-probability at temperature 1, end included, and whether the list has it."""

    name: str
    log_prob: float
    in_training: bool
    characters: tuple[CharacterScore, ...]


@dataclass(frozen=True)
class NextCharacter:
    """A character that may come next ("." for the end of the name), and its probability."""

    character: str
    probability: float


def score(predictor: Predictor, shares: Floats, known: Collection[str], name: str) -> Score:
    """Return how likely a name is, with the apostrophe of the list. Raises `UnknownCharacter`."""
    vocabulary = predictor.vocabulary
    name = vocabulary.spelled(name)
    ids = vocabulary.encode(name)
    log_probs = _log_softmax(predictor.logits(opened(ids), shares))
    outcomes = [*ids, END]
    chosen = log_probs[np.arange(len(outcomes)), outcomes]
    if chosen.min(initial=0.0) < NEVER / 2:
        raise UnknownCharacter(
            f"No model of the blend knows all characters of {name!r}.",
            allowed="text of characters that one of the models knows",
        )
    steps = [round(value, DECIMALS) for value in chosen.tolist()]
    characters = tuple(CharacterScore(vocabulary.itos[i], p) for i, p in zip(outcomes, steps, strict=True))
    return Score(name, round(sum(steps), DECIMALS), name in known, characters)


def next_characters(predictor: Predictor, shares: Floats, prefix: str, temperature: float) -> list[NextCharacter]:
    """Return all characters that may follow `prefix`, and the end, the most probable first.

    Raises `UnknownCharacter`.
    """
    ids = predictor.vocabulary.encode(fold(predictor.vocabulary.spelled(prefix)))
    if not predictor.knows(np.array(ids, np.int64)):
        raise UnknownCharacter(
            f"No model of the blend knows all characters of {prefix!r}.",
            allowed="text of characters that one of the models knows",
        )
    logits = predictor.logits(opened(ids), shares)[-1:].astype(np.float64)
    possible = np.flatnonzero(logits[0] > NEVER / 2)
    probabilities = np.exp(_log_softmax(logits[:, possible] / temperature))[0]
    order = np.argsort(-probabilities, kind="stable")
    itos = predictor.vocabulary.itos
    return [NextCharacter(itos[possible[k]], round(float(probabilities[k]), DECIMALS)) for k in order]


def _log_softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    wide -= np.log(np.exp(wide).sum(axis=1, keepdims=True))
    return wide
