"""The bytes of a JSON answer, made where its names are drawn, so that the event loop has only to send them. What is
drawn, and how, is `drawing`'s matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic_core import to_json

from app.replies import GenerateAnswer
from models import Score
from models.spelling import capitalize


@dataclass(frozen=True)
class Written:
    """An answer as JSON, where the next page starts, and how many names and attempts there were, and what refused."""

    json: bytes
    next_offset: int
    names: int
    attempts: int
    refused: dict[str, int]


def written(answer: GenerateAnswer) -> Written:
    """Return the answer, written down."""
    json = answer.model_dump_json().encode()
    return Written(json, answer.next_offset, len(answer.names), answer.attempts, answer.refused)


def written_details(answer: GenerateAnswer, details: Sequence[bytes]) -> Written:
    """Return an answer that has no names yet, written down with these details, which are JSON already."""
    end = b"]}"
    json = answer.model_dump_json().encode().removesuffix(end) + b",".join(details) + end
    return Written(json, answer.next_offset, len(details), answer.attempts, answer.refused)


def detail_json(score: Score, case: str) -> bytes:
    """Return the JSON of `drawing.detail`, without an object for each character."""
    name = capitalize(score.name) if case == "title" else score.name
    characters = [{"character": c.character, "log_prob": c.log_prob} for c in score.characters]
    told = {"name": name, "log_prob": score.log_prob, "in_training": score.in_training, "characters": characters}
    return to_json(told)
