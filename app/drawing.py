"""From a request to an answer: the one call of a generator that HTTP and the command line share."""

from collections.abc import Callable

from app.schemas import CharacterDetail, GenerateAnswer, GenerateQuery, NameDetail
from models import Batch, OptionError, SamplingOptions, Score, Version
from models.spelling import capitalize


def draw(request: GenerateQuery, version: Version, most_attempts: int, entropy: Callable[[], int]) -> GenerateAnswer:
    """Return the names asked for. `entropy` gives the seed of a request without one.

    Raises `OptionError` and `UnknownCharacter`.
    """
    batch = version.generator.generate(
        request.count,
        seed=entropy() if request.seed is None else request.seed,
        offset=request.offset,
        options=SamplingOptions(request.temperature, request.top_k, request.top_p, request.prefix, request.min_length),
        max_length=request.max_length,
        unique=request.unique,
        novel=request.novel,
        max_attempts=_budget(request, most_attempts),
    )
    return GenerateAnswer(
        dataset=version.manifest.dataset,
        model=version.reference,
        seed=batch.seed,
        offset=batch.offset,
        next_offset=batch.next_offset,
        temperature=request.temperature,
        complete=batch.complete,
        attempts=batch.attempts,
        refused=batch.refused,
        names=_names(request, version, batch),
    )


def _budget(request: GenerateQuery, most: int) -> int:
    if request.max_attempts is None:
        return min(50 * request.count + 1000, most)
    if request.max_attempts > most:
        raise OptionError(
            f"max_attempts is above the limit, {most}.", field="max_attempts", allowed=f"a whole number, 1 to {most}"
        )
    return request.max_attempts


def _names(request: GenerateQuery, version: Version, batch: Batch) -> list[str] | list[NameDetail]:
    if request.details:
        return [_detail(score, request.case) for score in version.generator.score(batch.names)]
    return [capitalize(name) for name in batch.names] if request.case == "title" else batch.names


def _detail(score: Score, case: str) -> NameDetail:
    return NameDetail(
        name=capitalize(score.name) if case == "title" else score.name,
        log_prob=score.log_prob,
        in_training=score.in_training,
        characters=[CharacterDetail(character=c.character, log_prob=c.log_prob) for c in score.characters],
    )
