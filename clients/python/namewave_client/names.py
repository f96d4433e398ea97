"""Answers about names: new ones, judged ones, and what comes next. No I/O.

All logarithms are natural and count the end of the name, which is shown as "."; all are at temperature 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from namewave_client.reading import Record, References, Shares


@dataclass(frozen=True)
class CharacterDetail:
    """One step of a name, and the logarithm of its probability."""

    character: str
    log_prob: float

    @classmethod
    def read(cls, record: Record) -> Self:
        """Return what the service says. Raises `UnreadableAnswer`, as all `read` do."""
        return cls(record.text("character"), record.number("log_prob"))


@dataclass(frozen=True)
class NameDetail:
    """A name, the logarithm of its probability, and whether the model's list has it."""

    name: str
    log_prob: float
    in_training: bool
    characters: tuple[CharacterDetail, ...]

    @classmethod
    def read(cls, record: Record) -> Self:
        """Return what the service says."""
        characters = record.records("characters", CharacterDetail.read)
        return cls(record.text("name"), record.number("log_prob"), record.flag("in_training"), characters)


@dataclass(frozen=True)
class Batch:
    """New names, and all that is needed to draw the same ones again or to go on after them.

    `attempts` is how many candidates were drawn, `refused` how many of them each constraint refused; `complete` is
    false where the budget of attempts ran out first. `details` is empty unless it was asked for.
    """

    dataset: Shares
    model: References
    seed: int
    offset: int
    next_offset: int
    temperature: float
    complete: bool
    attempts: int
    acceptance_rate: float
    refused: Mapping[str, int]
    names: tuple[str, ...]
    details: tuple[NameDetail, ...] = ()

    @classmethod
    def read(cls, record: Record) -> Self:
        """Return what the service says."""
        names = record.names("names", NameDetail.read)
        return cls(
            dataset=record.shares("dataset"),
            model=record.references("model"),
            seed=record.whole("seed"),
            offset=record.whole("offset"),
            next_offset=record.whole("next_offset"),
            temperature=record.number("temperature"),
            complete=record.flag("complete"),
            attempts=record.whole("attempts"),
            acceptance_rate=record.number("acceptance_rate", 0.0),
            refused=record.counts("refused"),
            names=tuple(name if isinstance(name, str) else name.name for name in names),
            details=tuple(name for name in names if not isinstance(name, str)),
        )


@dataclass(frozen=True)
class Nearest:
    """The nearest name of the model's list, and how many edits away it is (Levenshtein)."""

    name: str
    distance: int

    @classmethod
    def read(cls, record: Record) -> Self:
        """Return what the service says."""
        return cls(record.text("name"), record.whole("distance"))


@dataclass(frozen=True)
class Score:
    """What a model makes of a name. Where it does not know a character, the numbers are None and `reason` says so."""

    name: str
    log_prob: float | None
    perplexity: float | None
    in_training: bool
    nearest: Nearest
    characters: tuple[CharacterDetail, ...]
    reason: str | None = None

    @classmethod
    def read(cls, record: Record) -> Self:
        """Return what the service says."""
        return cls(
            name=record.text("name"),
            log_prob=record.maybe_number("log_prob"),
            perplexity=record.maybe_number("perplexity"),
            in_training=record.flag("in_training"),
            nearest=Nearest.read(record.record("nearest")),
            characters=record.records("characters", CharacterDetail.read),
            reason=record.maybe_text("reason"),
        )


@dataclass(frozen=True)
class Scores:
    """What a model makes of names, in their order."""

    dataset: Shares
    model: References
    scores: tuple[Score, ...]

    @classmethod
    def read(cls, record: Record) -> Self:
        """Return what the service says."""
        return cls(record.shares("dataset"), record.references("model"), record.records("scores", Score.read))


@dataclass(frozen=True)
class NextCharacter:
    """A character that may come next, and its probability."""

    character: str
    probability: float

    @classmethod
    def read(cls, record: Record) -> Self:
        """Return what the service says."""
        return cls(record.text("character"), record.number("probability"))


@dataclass(frozen=True)
class NextCharacters:
    """What may follow a prefix at a temperature, the most probable first."""

    dataset: Shares
    model: References
    prefix: str
    temperature: float
    characters: tuple[NextCharacter, ...]

    @classmethod
    def read(cls, record: Record) -> Self:
        """Return what the service says."""
        return cls(
            record.shares("dataset"),
            record.references("model"),
            record.text("prefix"),
            record.number("temperature"),
            record.records("characters", NextCharacter.read),
        )
