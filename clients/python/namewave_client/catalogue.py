"""Answers about data sets, models and the service. No I/O.

Losses are in nats per character, including the end of the name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from namewave_client.reading import JsonReader


@dataclass(frozen=True)
class Dataset:
    """A data set.

    `names` is the number of names in its list, `longest` the length of the longest one, and `default` the version that
    serves if no model is named. `styles` are those of the default, each with its values.
    """

    dataset: str
    title: str
    names: int
    longest: int
    licence: str
    default: str | None
    models: tuple[str, ...]
    styles: Mapping[str, tuple[str, ...]]

    @classmethod
    def read(cls, record: JsonReader) -> Self:
        """Read the answer. Raises `UnreadableAnswer`, as every `read` does."""
        return cls(
            dataset=record.text("dataset"),
            title=record.text("title", ""),
            names=record.whole("names"),
            longest=record.whole("longest"),
            licence=record.text("licence", ""),
            default=record.maybe_text("default"),
            models=record.texts("models"),
            styles=record.lists_by_name("styles"),
        )


@dataclass(frozen=True)
class Model:
    """A version such as `human/lstm@5`, with its losses on train, dev and test, and the values of its styles."""

    model: str
    architecture: str
    version: int
    parameters: int
    losses: Mapping[str, float]
    created: str
    styles: Mapping[str, tuple[str, ...]]

    @classmethod
    def read(cls, record: JsonReader) -> Self:
        """Read the answer."""
        return cls(**_summary(record))


@dataclass(frozen=True)
class ModelPage(Model):
    """All information about a version.

    `golden` are its first names with seed 0, `card` is Markdown, and `files` are addresses at the service.
    """

    config: Mapping[str, Any]
    training: Mapping[str, Any]
    data: Mapping[str, Any]
    vocabulary: tuple[str, ...]
    golden: tuple[str, ...]
    card: str
    files: Mapping[str, str]

    @classmethod
    def read(cls, record: JsonReader) -> Self:
        """Read the answer."""
        return cls(
            **_summary(record),
            config=record.anything("config"),
            training=record.anything("training"),
            data=record.anything("data"),
            vocabulary=record.texts("vocabulary"),
            golden=record.texts("golden"),
            card=record.text("card", ""),
            files=record.texts_by_name("files"),
        )


@dataclass(frozen=True)
class AliasMove:
    """A move of an alias, with its reason and its time in UTC."""

    alias: str
    target: str
    reason: str
    at: str

    @classmethod
    def read(cls, record: JsonReader) -> Self:
        """Read the answer."""
        return cls(record.text("alias"), record.text("target"), record.text("reason", ""), record.text("at", ""))


@dataclass(frozen=True)
class Models:
    """All versions, the aliases of each data set, their last moves, and refused versions with reasons."""

    models: tuple[Model, ...]
    aliases: Mapping[str, Any]
    reasons: tuple[AliasMove, ...]
    refused: Mapping[str, str]

    @classmethod
    def read(cls, record: JsonReader) -> Self:
        """Read the answer."""
        return cls(
            models=record.records("models", Model.read),
            aliases=record.anything("aliases"),
            reasons=record.records("reasons", AliasMove.read),
            refused=record.texts_by_name("refused"),
        )


@dataclass(frozen=True)
class Info:
    """The service's version and limits."""

    name: str
    version: str
    limits: Mapping[str, float]

    @classmethod
    def read(cls, record: JsonReader) -> Self:
        """Read the answer."""
        return cls(record.text("name", ""), record.text("version"), record.numbers("limits"))


@dataclass(frozen=True)
class Health:
    """The readiness of the service, its problems, and refused versions with reasons."""

    ok: bool
    problems: tuple[str, ...]
    refused: Mapping[str, str]

    @classmethod
    def read(cls, record: JsonReader) -> Self:
        """Read the answer."""
        return cls(record.text("status") == "ok", record.texts("problems"), record.texts_by_name("refused"))


def _summary(record: JsonReader) -> dict[str, Any]:
    return {
        "model": record.text("model"),
        "architecture": record.text("architecture"),
        "version": record.whole("version"),
        "parameters": record.whole("parameters"),
        "losses": record.numbers("losses"),
        "created": record.text("created", ""),
        "styles": record.lists_by_name("styles"),
    }
