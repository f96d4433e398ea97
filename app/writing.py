"""The bytes of a JSON answer, made where its names are drawn, so that the event loop has only to send them. What is
drawn, and how, is `drawing`'s matter.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic_core import to_json

from app.decency import Decency
from app.drawing import draw, draw_if_quick
from app.replies import GenerateAnswer
from app.schemas import GenerateQuery
from models import Score
from models.blends import Source
from models.inference import PrefixMemory
from models.spelling import capitalize


@dataclass(frozen=True)
class Written:
    """An answer as JSON, and where the next page starts."""

    json: bytes
    next_offset: int


def write(
    request: GenerateQuery,
    source: Source,
    most: int,
    memory: PrefixMemory,
    decency: Decency,
    stopped: Callable[[], bool] = lambda: False,
) -> Written:
    """Return what `drawing.draw` would, written down. Raises what it raises."""
    return _written(request, source, draw(_bare(request), source, most, memory, decency, stopped), stopped)


def write_if_quick(
    request: GenerateQuery, source: Source, most: int, memory: PrefixMemory, decency: Decency
) -> Written | None:
    """Return what `write` would, or None where that might take longer than a few milliseconds."""
    answer = draw_if_quick(_bare(request), source, most, memory, decency)
    return None if answer is None else _written(request, source, answer, lambda: False)


def detail_json(score: Score, case: str) -> bytes:
    """Return the JSON of `drawing.detail`, without an object for each character."""
    name = capitalize(score.name) if case == "title" else score.name
    characters = [{"character": c.character, "log_prob": c.log_prob} for c in score.characters]
    told = {"name": name, "log_prob": score.log_prob, "in_training": score.in_training, "characters": characters}
    return to_json(told)


def _bare(request: GenerateQuery) -> GenerateQuery:
    """Return the request for the names alone, where details are asked for: those are put on when it is written."""
    return request.model_copy(update={"details": False, "case": "lower"}) if request.details else request


def _written(request: GenerateQuery, source: Source, answer: GenerateAnswer, stopped: Callable[[], bool]) -> Written:
    if not request.details:
        return Written(answer.model_dump_json().encode(), answer.next_offset)
    around = answer.model_copy(update={"names": []}).model_dump_json().encode()
    end = b"]}"
    names = (name for name in answer.names if isinstance(name, str) and not stopped())
    details = b",".join(detail_json(source.generator.score([name])[0], request.case) for name in names)
    return Written(around.removesuffix(end) + details + end, answer.next_offset)
