"""Answers about names: generated names, scores and next characters. No I/O.

All log-probabilities are natural logarithms at temperature 1, and include the end of the name, shown as ".".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from namewave_client.reading import JsonReader, References, Shares


@dataclass(frozen=True)
class CharacterDetail:
    """A character of a name, and its log-probability."""

    character: str
    log_prob: float

    @classmethod
    def read(cls, record: JsonReader) -> Self:
        """Read the answer. Raises `UnreadableAnswer`, as every `read` does."""
        return cls(record.text("character"), record.number("log_prob"))


@dataclass(frozen=True)
class NameDetail:
    """A name, its log-probability, and whether it is in the model's list."""

    name: str
    log_prob: float
    in_training: bool
    characters: tuple[CharacterDetail, ...]

    @classmethod
    def read(cls, record: JsonReader) -> Self:
        """Read the answer."""
        characters = record.records("characters", CharacterDetail.read)
        return cls(record.text("name"), record.number("log_prob"), record.flag("in_training"), characters)


@dataclass(frozen=True)
class Batch:
    """New names, and everything needed to draw them again or to continue after them.

    `attempts` is the number of candidates, `refused` how many of them each constraint rejected. `complete` is false if
    the budget of attempts ran out; `note` says so where `safe` is a reason. `details` is empty unless requested.
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
    note: str | None = None

    @classmethod
    def read(cls, record: JsonReader) -> Self:
        """Read the answer."""
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
            note=record.maybe_text("note"),
        )


@dataclass(frozen=True)
class Nearest:
    """The nearest name of the model's list, and its edit distance (Levenshtein)."""

    name: str
    distance: int

    @classmethod
    def read(cls, record: JsonReader) -> Self:
        """Read the answer."""
        return cls(record.text("name"), record.whole("distance"))


@dataclass(frozen=True)
class Score:
    """The score of a name. If the model does not know a character, the numbers are None, with a `reason`.

    `by_style`: the log-probability under each value of each style, None unless asked for.
    """

    name: str
    log_prob: float | None
    perplexity: float | None
    in_training: bool
    nearest: Nearest | None
    characters: tuple[CharacterDetail, ...]
    reason: str | None = None
    by_style: Mapping[str, Mapping[str, float]] | None = None

    @classmethod
    def read(cls, record: JsonReader) -> Self:
        """Read the answer."""
        nearest = record.maybe_record("nearest")
        return cls(
            name=record.text("name"),
            log_prob=record.maybe_number("log_prob"),
            perplexity=record.maybe_number("perplexity"),
            in_training=record.flag("in_training"),
            nearest=Nearest.read(nearest) if nearest else None,
            characters=record.records("characters", CharacterDetail.read),
            reason=record.maybe_text("reason"),
            by_style=record.maybe_numbers_by_names("by_style"),
        )


@dataclass(frozen=True)
class Scores:
    """The scores of names, in order."""

    dataset: Shares
    model: References
    scores: tuple[Score, ...]

    @classmethod
    def read(cls, record: JsonReader) -> Self:
        """Read the answer."""
        return cls(record.shares("dataset"), record.references("model"), record.records("scores", Score.read))


@dataclass(frozen=True)
class NextCharacter:
    """A possible next character, and its probability."""

    character: str
    probability: float

    @classmethod
    def read(cls, record: JsonReader) -> Self:
        """Read the answer."""
        return cls(record.text("character"), record.number("probability"))


@dataclass(frozen=True)
class NextCharacters:
    """The possible next characters after a prefix, the most probable first."""

    dataset: Shares
    model: References
    prefix: str
    temperature: float
    characters: tuple[NextCharacter, ...]

    @classmethod
    def read(cls, record: JsonReader) -> Self:
        """Read the answer."""
        return cls(
            record.shares("dataset"),
            record.references("model"),
            record.text("prefix"),
            record.number("temperature"),
            record.records("characters", NextCharacter.read),
        )
