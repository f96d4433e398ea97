"""Statistics of sampled names: the share of new names, the share of repeats, combining marks, and examples."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from models import NameGenerator, SamplingOptions
from models.inference import AS_DRAWN, Constraints
from models.spelling import continues

TEMPERATURES = (0.5, 0.8, 1.0)
COUNT, SHOWN, SEED = 2000, 20, 0
# New names shown for each value of a style.
SHOWN_BY_STYLE = 6


@dataclass(frozen=True)
class SamplingStats:
    """Names sampled at one temperature: the share of new names, the share of duplicates, and examples as spelled."""

    temperature: float
    new: float
    repeated: float
    names: tuple[str, ...]


def sampling_stats_at(generator: NameGenerator, temperature: float, count: int = COUNT) -> SamplingStats:
    """Sample `count` names with seed 0, duplicates included."""
    options = SamplingOptions(temperature=temperature)
    names = generator.generate(count, seed=SEED, options=options, constraints=AS_DRAWN).names
    distinct = dict.fromkeys(names)
    n = max(len(names), 1)  # a model that never ends its names draws none
    new = sum(name not in generator.names for name in names) / n
    shown = [name for name in distinct if name not in generator.names][:SHOWN]
    examples = generator.spelled(shown or list(distinct)[:SHOWN])
    return SamplingStats(temperature, new, 1 - len(distinct) / n, tuple(examples))


def sampling_stats(generator: NameGenerator) -> list[SamplingStats]:
    """Return the statistics at each of `TEMPERATURES`."""
    return [sampling_stats_at(generator, temperature) for temperature in TEMPERATURES]


def mark_lines(generator: NameGenerator) -> list[str]:
    """Return lines on combining marks in names drawn with seed 0 at temperature 1; none for a list without marks."""
    listed = generator.names
    if not any(map(continues, set().union(*listed))):
        return []
    names = generator.generate(COUNT, seed=SEED, constraints=AS_DRAWN).names
    bare, foreign = count_odd_marks(names, listed)
    kind = "grapheme clusters" if generator.vocabulary.clustered else "code points"
    return [
        f"characters: {len(generator.vocabulary) - 1:,} {kind}",
        f"names that begin with a combining mark: {bare:,} of {len(names):,}",
        f"names with two marks in a row that no listed name has: {foreign:,} of {len(names):,}",
    ]


def count_odd_marks(names: Sequence[str], listed: Collection[str]) -> tuple[int, int]:
    """Return how many names begin with a mark, and how many have two marks in a row that no listed name has."""
    known = set().union(*map(_doubled, listed))
    return sum(continues(name[0]) for name in names if name), sum(not _doubled(name) <= known for name in names)


def _doubled(name: str) -> set[tuple[str, str]]:
    return {(a, b) for a, b in pairwise(name) if continues(a) and continues(b)}


def names_by_style(generator: NameGenerator) -> dict[str, tuple[str, ...]]:
    """Return new names for each value of each style, e.g. {"gender: feminine": ("Zella", ...)}."""
    constraints = Constraints(novel=True, unique=True)

    def drawn(styled: NameGenerator) -> tuple[str, ...]:
        return tuple(styled.spelled(styled.generate(SHOWN_BY_STYLE, seed=SEED, constraints=constraints).names))

    return {
        f"{style}: {value}": drawn(generator.styled({style: value}))
        for style, values in generator.styles.values.items()
        for value in values
    }
