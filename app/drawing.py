"""From a request to an answer: the one call of a generator that HTTP and the command line share. No HTTP and no
threads.
"""

from collections.abc import Callable

from app.schemas import CharacterDetail, GenerateAnswer, GenerateQuery, NameDetail
from models import Batch, OptionError, SamplingOptions, Score, Version
from models.inference import MAX_SEED
from models.spelling import capitalize, capitalize_all

# So few names, from so few candidates, are drawn in the time it takes to wake a thread.
FEW_NAMES, FEW_CANDIDATES = 32, 64


def seeded(request: GenerateQuery, entropy: Callable[[], int]) -> GenerateQuery:
    """Return the request with a seed: its own, else one of `entropy`."""
    return request if request.seed is not None else request.model_copy(update={"seed": entropy()})


def draw_if_quick(request: GenerateQuery, version: Version, most_attempts: int) -> GenerateAnswer | None:
    """Return what `draw` would, or None where that might take longer than a few milliseconds."""
    budget = _budget(request, most_attempts)
    if request.count > FEW_NAMES:
        return None
    short = request.model_copy(update={"max_attempts": min(budget, FEW_CANDIDATES)})
    answer = draw(short, version, most_attempts)
    return answer if answer.complete or budget <= FEW_CANDIDATES else None


def draw(request: GenerateQuery, version: Version, most_attempts: int) -> GenerateAnswer:
    """Return the names asked for by a request with a seed (see `seeded`). Raises `OptionError`, `UnknownCharacter`."""
    if request.seed is None:
        raise OptionError("A seed is needed here.", field="seed", allowed=f"a whole number, 0 to {MAX_SEED}")
    batch = version.generator.generate(
        request.count,
        seed=request.seed,
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
    left = MAX_SEED + 1 - request.offset
    if request.max_attempts is None:
        return min(50 * request.count + 1000, most, left)
    if request.max_attempts > most:
        raise OptionError(
            f"max_attempts is above the limit, {most}.", field="max_attempts", allowed=f"a whole number, 1 to {most}"
        )
    return min(request.max_attempts, left)


def _names(request: GenerateQuery, version: Version, batch: Batch) -> list[str] | list[NameDetail]:
    if request.details:
        return [_detail(score, request.case) for score in version.generator.score(batch.names)]
    return capitalize_all(batch.names) if request.case == "title" else batch.names


def _detail(score: Score, case: str) -> NameDetail:
    return NameDetail(
        name=capitalize(score.name) if case == "title" else score.name,
        log_prob=score.log_prob,
        in_training=score.in_training,
        characters=[CharacterDetail(character=c.character, log_prob=c.log_prob) for c in score.characters],
    )
