"""The options of requests as typed keywords, and their encoding. The service checks the values.

An option that is missing or None is not sent, so the service's default applies.
"""

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, TypedDict, Unpack, cast

# The last candidate of a stream, and the largest seed.
MAX_SEED = 2**53 - 1
Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]


class SourceOptions(TypedDict, total=False):
    """The data set, the model and the style."""

    # A name of `datasets()`, or up to four with weights: a blend.
    dataset: str | Mapping[str, float] | None
    # "lstm", "lstm@5", "lstm@stable", "human/lstm@5"; for a blend by data set.
    model: str | Mapping[str, str] | None
    # Values that `datasets()` lists: {"gender": "feminine", "decade": 1920}.
    style: str | Mapping[str, str | int] | None


class NextOptions(SourceOptions, total=False):
    """The options of `next_characters`, besides the prefix."""

    temperature: float | None


class DrawOptions(SourceOptions, total=False):
    """The options of `stream`. Lengths are in characters."""

    count: int | None
    temperature: float | None
    top_k: int | None
    top_p: float | None
    seed: int | None
    offset: int | None
    prefix: str | None
    ends_with: str | None
    contains: str | None
    pattern: str | None
    excludes: str | None
    min_length: int | None
    max_length: int | None
    unique: bool | None
    novel: bool | None
    safe: bool | None
    case: Literal["list", "title", "lower"] | None
    sort: Literal["drawn", "likelihood"] | None
    max_attempts: int | None


class GenerateOptions(DrawOptions, total=False):
    """The options of `generate` and `pages`: all fields of /generate."""

    details: bool | None


def source_fields(**options: Unpack[SourceOptions]) -> dict[str, Json]:
    """Return the fields of a JSON body. Raises `TypeError` for an unknown option."""
    return _without_none(options, SourceOptions.__annotations__)


def next_fields(**options: Unpack[NextOptions]) -> dict[str, Json]:
    """Return the fields of a query before encoding. Raises `TypeError` as `source_fields` does."""
    return _without_none(options, NextOptions.__annotations__)


def generate_fields(**options: Unpack[GenerateOptions]) -> dict[str, Json]:
    """Return the fields of a JSON body. Raises `TypeError` as `source_fields` does."""
    return _without_none(options, GenerateOptions.__annotations__)


def query_of(fields: Mapping[str, Json]) -> dict[str, str]:
    """Encode the fields of a query: `human:0.6,animal:0.4`, and `human/lstm@5,animal/lstm@5`."""
    return {name: _text(name, value) for name, value in fields.items()}


def _text(name: str, value: Json) -> str:
    if isinstance(value, Mapping):
        if name == "model":
            return ",".join(_full_reference(dataset, str(model)) for dataset, model in value.items())
        if name == "style":
            return ",".join(f"{style}:{chosen}" for style, chosen in value.items())
        return ",".join(f"{dataset}:{weight!r}" for dataset, weight in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)


def _full_reference(dataset: str, model: str) -> str:
    return model if "/" in model else f"{dataset}/{model}"


def _without_none(options: Mapping[str, object], known: Collection[str]) -> dict[str, Json]:
    """Return the options that are not None. The type checker checks types, and the service values."""
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise TypeError(f"There is no option {name!r}" + (f"; did you mean {near[0]!r}?" if near else "."))
    return {name: _plain(value) for name, value in options.items() if value is not None}


def _plain(value: object) -> Json:
    return cast(Json, dict(value) if isinstance(value, Mapping) else value)
