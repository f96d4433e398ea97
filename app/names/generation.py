"""Interpret a request: its seed, attempt budget, options, constraints and spelling. No HTTP."""

from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from typing import Any

from pydantic_core import to_json

from app.schemas import ALLOWED, MAX_COUNT, GenerateQuery
from app.web.negotiation import JSON, NDJSON
from models import Constraints, NameGenerator, OptionError, SamplingOptions, Score
from models.blends import Blend, Source
from models.inference import MAX_SEED, PreparedSampler
from models.profanity import ProfanityFilter

# Seconds of work that are not worth waking a thread, and the candidates that this is at least and at most.
INLINE_SECONDS, MIN_INLINE_CANDIDATES, MAX_INLINE_CANDIDATES = 0.002, 16, 1024
# Estimates: name length in characters; where names get longer, by which factor; scoring cost relative to sampling.
NAME_LENGTH, HOT_TEMPERATURE, HOT_LENGTH_FACTOR, SCORING_FACTOR = 8, 2.0, 4, 4
# Cost of scoring a character relative to sampling it: measured 4 to 31 with the prefix cache half full.
SCORED_CHARACTER_COST = 10
# How many prepared samplers are kept, and what they depend on: the fields of `SamplingOptions`, then of `Constraints`.
MAX_SAMPLERS = 256
# Bytes that a kept sampler of a style may hold beside those of its version.
MAX_SAMPLER_BYTES = 2**17
OPTIONS = ("temperature", "top_k", "top_p", "prefix", "min_length", "excludes")
CONSTRAINTS = ("max_length", "ends_with", "contains", "pattern", "novel", "unique")
SAMPLER_FIELDS = attrgetter(*OPTIONS, *CONSTRAINTS, "safe")


class SamplerCache:
    """Prepares samplers, and keeps those of the last requests: most differ in seed and count alone."""

    def __init__(self, profanity: ProfanityFilter) -> None:
        self.profanity = profanity
        self._cached = lru_cache(MAX_SAMPLERS)(self._prepare)

    def clear(self) -> None:
        """Forget all samplers, and with them the versions that are gone."""
        self._cached.cache_clear()

    def get(self, request: GenerateQuery, source: Source) -> PreparedSampler:
        """Return the sampler of a request. Raises `OptionError` and `UnknownCharacter`."""
        # Each request for a blend has a generator of its own, and the plan of a style may be large.
        is_large = isinstance(source, Blend) or source.generator.plan.own_bytes > MAX_SAMPLER_BYTES
        prepare = self._prepare if is_large else self._cached
        return prepare(source.generator, SAMPLER_FIELDS(request))

    def _prepare(self, generator: NameGenerator, fields: tuple[Any, ...]) -> PreparedSampler:
        unsafe = self.profanity.automaton(generator) if fields[-1] else None
        split = len(OPTIONS)
        options, constraints = dict(zip(OPTIONS, fields[:split], strict=True)), (*fields[split:-1], unsafe)
        # `SamplingOptions` folds them, and knows no alphabet.
        options["excludes"] = generator.vocabulary.spelled(options["excludes"])
        return generator.prepare(SamplingOptions(**options), Constraints(*constraints))


def validate_for_media_type(request: GenerateQuery, media: str) -> None:
    """Raise `OptionError` for options that do not go together, or not with the media type."""
    if media == JSON and request.count > MAX_COUNT:
        raise _option_error(request, "count")
    if request.unique and request.count > MAX_COUNT:
        raise _option_error(request, "unique")
    if request.sort != "drawn" and media != JSON:
        raise _option_error(request, "sort")
    if request.details and media not in (JSON, NDJSON):
        raise _option_error(request, "details")


def _option_error(request: GenerateQuery, field: str) -> OptionError:
    given = str(getattr(request, field)).lower()
    with_count = "" if field == "count" else f" and count is {request.count}"
    return OptionError(
        f"{field} is {given}{with_count}; {field} must be {ALLOWED[field]}.", field=field, allowed=ALLOWED[field]
    )


def with_seed(request: GenerateQuery, entropy: Callable[[], int]) -> GenerateQuery:
    """Return the request with its own seed, or with one of `entropy`."""
    return request if request.seed is not None else request.model_copy(update={"seed": entropy()})


def seed_of(request: GenerateQuery) -> int:
    """Return the request's seed. Raises `OptionError` if it has none; see `with_seed`."""
    if request.seed is None:
        raise OptionError("A seed is needed here.", field="seed", allowed=f"a whole number between 0 and {MAX_SEED}")
    return request.seed


def attempt_budget(request: GenerateQuery, max_attempts: int) -> int:
    """Return how many candidates the request may sample.

    Raises `OptionError` above the limit.
    """
    left = MAX_SEED + 1 - request.offset
    if request.max_attempts is None:
        return min(50 * request.count + 1000, max_attempts, left)
    if request.max_attempts > max_attempts:
        raise OptionError(
            f"max_attempts is above the limit, {max_attempts}.",
            field="max_attempts",
            allowed=f"a whole number between 1 and {max_attempts}",
        )
    return min(request.max_attempts, left)


def needs_scores(request: GenerateQuery) -> bool:
    """Return whether the log-probability of each name is needed."""
    return request.details or request.sort != "drawn"


def inline_candidate_limit(request: GenerateQuery, speed: float) -> int:
    """Return how many candidates are sampled, and scored if asked, in `INLINE_SECONDS`.

    `speed`: the characters that are sampled in a second.
    """
    limit = int(INLINE_SECONDS * speed / NAME_LENGTH)
    limit = max(MIN_INLINE_CANDIDATES, min(MAX_INLINE_CANDIDATES, limit))
    # Long names, and scored ones, take longer.
    hot = HOT_LENGTH_FACTOR if request.temperature > HOT_TEMPERATURE else 1
    length = max(hot, -(-request.min_length // NAME_LENGTH))
    return max(1, limit // (length * (SCORING_FACTOR if needs_scores(request) else 1)))


def source_json(source: Source) -> bytes:
    """Return the first fields of an answer: data set and model."""
    dataset, model = source.dataset, source.model
    if isinstance(dataset, str) and isinstance(model, str):
        return _cached_head(dataset, model)
    return _json_head(dataset, model)


def _json_head(dataset: object, model: object) -> bytes:
    return b'{"dataset":%b,"model":%b' % (to_json(dataset), to_json(model))


_cached_head = lru_cache(MAX_SAMPLERS)(_json_head)


def detail_json(score: Score, name: str) -> bytes:
    """Return the score of a name, spelled as `name`, as the JSON of `NameDetail`, without objects for characters."""
    characters = [{"character": c.character, "log_prob": c.log_prob} for c in score.characters]
    return to_json(
        {"name": name, "log_prob": score.log_prob, "in_training": score.in_training, "characters": characters}
    )
