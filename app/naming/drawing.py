"""From a request to an answer: the one call of a generator that HTTP and the command line share. No HTTP and no
threads.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.naming.decency import Decency
from app.replies import CharacterDetail, GenerateAnswer, NameDetail
from app.schemas import GenerateQuery
from models import Batch, Constraints, OptionError, SamplingOptions, Score
from models.blends import Source
from models.inference import MAX_SEED, NameStream, PrefixMemory
from models.inference.pace import FIRST, Pace
from models.spelling import capitalize, capitalize_all

# What is drawn in about a millisecond where nothing is remembered: at most so many candidates, and at most so many
# multiply-adds for one new node each. That is not worth waking a thread.
FEWEST, MOST, MULTIPLY_ADDS = 16, 256, 2**23
# A name has about so many characters, and so many times as many where it is hot; to judge one is worth drawing so many.
LENGTH, HOT, LONG_WHERE_HOT, JUDGING = 8, 2.0, 4, 4
# A character is judged in the time in which about so many are drawn, with the memory of prefixes half full: 4 to 31.
JUDGED_CHARACTER = 10
# So many candidates are drawn at a time where they are judged.
JUDGED_AT_ONCE = 32

# How many candidates a name takes that must be spelled in some way, before one knows better.
SPELLED_ATTEMPTS = 10


@dataclass(slots=True)
class Cost:
    """What a request cost so far: the characters that were drawn for it, those of refused candidates included, and
    those of names that were judged.
    """

    characters: int = 0
    judged: int = 0

    @property
    def charged(self) -> int:
        """What the client pays, in characters drawn."""
        return self.characters + JUDGED_CHARACTER * self.judged

    def add(self, other: "Cost") -> None:
        """Add what something else cost."""
        self.characters += other.characters
        self.judged += other.judged


def seeded(request: GenerateQuery, entropy: Callable[[], int]) -> GenerateQuery:
    """Return the request with a seed: its own, else one of `entropy`."""
    return request if request.seed is not None else request.model_copy(update={"seed": entropy()})


def draw_if_quick(
    request: GenerateQuery, source: Source, most: int, memory: PrefixMemory, decency: Decency, cost: Cost
) -> GenerateAnswer | None:
    """Return what `draw` would, or None where that might take longer than a few milliseconds."""
    if not is_small(request, source):
        return None
    few = few_candidates(request, source)
    answer = draw(request, source, min(most, few), memory, decency, cost)
    return answer if answer.complete or most <= few else None


def is_small(request: GenerateQuery, source: Source) -> bool:
    """Say whether `draw_if_quick` draws for this request."""
    # Half of the candidates may be refused.
    return 2 * request.count <= few_candidates(request, source)


def few_candidates(request: GenerateQuery, source: Source) -> int:
    """Return how many candidates of this source are drawn in about a millisecond at worst, and judged if they are."""
    few = max(FEWEST, min(MOST, MULTIPLY_ADDS // max(1, source.generator.multiply_adds)))
    return max(1, few // _weight(request))


def _weight(request: GenerateQuery) -> int:
    """Return how many ordinary candidates one of this request is worth: long ones, and judged ones, take longer."""
    long = LONG_WHERE_HOT if request.temperature > HOT else 1
    return max(long, request.min_length // LENGTH) * (JUDGING if request.judged else 1)


def draw(
    request: GenerateQuery,
    source: Source,
    most: int,
    memory: PrefixMemory,
    decency: Decency,
    cost: Cost | None = None,
) -> GenerateAnswer:
    """Return the names asked for by a request with a seed (see `seeded`), or those found among `most` candidates (see
    `budget`); what was drawn goes on `cost`. Raises `OptionError`, `UnknownCharacter`.
    """
    if request.seed is None:
        raise OptionError("A seed is needed here.", field="seed", allowed=f"a whole number, 0 to {MAX_SEED}")
    batch = source.generator.generate(
        request.count,
        seed=request.seed,
        offset=request.offset,
        options=options_of(request),
        constraints=constraints_of(request, source, decency),
        max_attempts=most,
        memory=memory,
    )
    if cost is not None:
        cost.characters += batch.characters
        cost.judged += judged_characters(request, batch.names)
    return answer_of(request, source, batch, told(request, source, batch.names))


def answer_of(
    request: GenerateQuery, source: Source, batch: Batch, names: list[str] | list[NameDetail]
) -> GenerateAnswer:
    """Return the answer with `names`, which are the batch's as they are told."""
    return GenerateAnswer(
        dataset=source.dataset,
        model=source.model,
        seed=batch.seed,
        offset=batch.offset,
        next_offset=batch.next_offset,
        temperature=request.temperature,
        complete=batch.complete,
        attempts=batch.attempts,
        acceptance_rate=acceptance_rate(len(batch.names), batch.attempts),
        refused=batch.refused,
        names=names,
    )


def stream_of(request: GenerateQuery, source: Source, most: int, decency: Decency, first: int = FIRST) -> NameStream:
    """Return the names of a request with a seed, to be drawn in pieces, `first` candidates at first. Raises
    `OptionError`, `UnknownCharacter`.
    """
    if request.seed is None:
        raise OptionError("A seed is needed here.", field="seed", allowed=f"a whole number, 0 to {MAX_SEED}")
    return NameStream(
        source.generator,
        request.count,
        seed=request.seed,
        offset=request.offset,
        options=options_of(request),
        constraints=constraints_of(request, source, decency),
        max_attempts=most,
        # Who is stopped, or leaves, must not leave many behind to be judged.
        pace=Pace(most=JUDGED_AT_ONCE) if request.judged else Pace(first=first),
    )


def expected_characters(request: GenerateQuery, source: Source) -> int:
    """Return about how many characters the request will have drawn: names x length x candidates for each name, and
    as many more as judging is worth. What it really took is known afterwards (see `Cost`); names are taken to be as
    long as they may be.
    """
    longest = source.generator.longest if request.max_length is None else request.max_length
    spelled = request.ends_with or request.contains or request.pattern
    attempts = request.count * (SPELLED_ATTEMPTS if spelled else 1)
    judged = JUDGED_CHARACTER * request.count if request.judged else 0
    return (min(attempts, request.max_attempts or attempts) + judged) * (longest + 1)


def judged_characters(request: GenerateQuery, names: Sequence[str]) -> int:
    """Return how many characters of these names the request has judged, their ends included."""
    return sum(map(len, names)) + len(names) if request.judged else 0


def options_of(request: GenerateQuery) -> SamplingOptions:
    """Return what the request's candidates depend on."""
    return SamplingOptions(
        request.temperature, request.top_k, request.top_p, request.prefix, request.min_length, request.excludes
    )


def constraints_of(request: GenerateQuery, source: Source, decency: Decency) -> Constraints:
    """Return what the request wants its names to be."""
    return Constraints(
        max_length=request.max_length,
        ends_with=request.ends_with,
        contains=request.contains,
        pattern=request.pattern,
        novel=request.novel,
        unique=request.unique,
        unsafe=decency.automaton(source.generator.vocabulary) if request.safe else None,
    )


def budget(request: GenerateQuery, most: int) -> int:
    """Return how many candidates the request may draw. Raises `OptionError` where it asks for more than `most`."""
    left = MAX_SEED + 1 - request.offset
    if request.max_attempts is None:
        return min(50 * request.count + 1000, most, left)
    if request.max_attempts > most:
        raise OptionError(
            f"max_attempts is above the limit, {most}.", field="max_attempts", allowed=f"a whole number, 1 to {most}"
        )
    return min(request.max_attempts, left)


def acceptance_rate(names: int, attempts: int) -> float:
    """Return which share of the candidates became names."""
    return round(names / attempts, 6) if attempts else 0.0


def told(request: GenerateQuery, source: Source, names: list[str]) -> list[str] | list[NameDetail]:
    """Return the names as the request wants them: judged, sorted, with capitals."""
    if not request.judged:
        return capitalize_all(names) if request.case == "title" else names
    judged = source.generator.judge(names)
    scores = [judged[i] for i in in_order(request, [score.log_prob for score in judged])]
    if request.details:
        return [detail(score, request.case) for score in scores]
    names = [score.name for score in scores]
    return capitalize_all(names) if request.case == "title" else names


def in_order(request: GenerateQuery, log_probs: Sequence[float]) -> Sequence[int]:
    """Return the places of judged names in the order that the request wants; as likely ones stay in that in which they
    were drawn.
    """
    places = range(len(log_probs))
    return sorted(places, key=lambda i: -log_probs[i]) if request.sort == "likelihood" else places


def detail(score: Score, case: str) -> NameDetail:
    """Return the score as an answer tells it."""
    return NameDetail(
        name=capitalize(score.name) if case == "title" else score.name,
        log_prob=score.log_prob,
        in_training=score.in_training,
        characters=[CharacterDetail(character=c.character, log_prob=c.log_prob) for c in score.characters],
    )
