"""The request of each client method, and the parser of its answer. Shared by both clients; no I/O."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar, Unpack

import httpx

from namewave_client.catalogue import Dataset, Health, Info, ModelPage, Models
from namewave_client.names import Batch, NextCharacters, Scores
from namewave_client.options import (
    MAX_SEED,
    GenerateOptions,
    Json,
    NextOptions,
    SourceOptions,
    generate_fields,
    next_fields,
    query_of,
    source_fields,
)
from namewave_client.reading import JsonReader, list_in, parsed

T = TypeVar("T", covariant=True)
JSON, NDJSON = "application/json", "application/x-ndjson"
REFERENCE = re.compile(r"([\w-]+)/([\w-]+)(?:@([\w-]+))?")


class Read(Protocol[T]):
    """A parser for the body of an answer. Raises `UnreadableAnswer`."""

    def __call__(self, content: bytes, /) -> T:
        """Return the value."""


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request and the parser of its answer. `statuses` are those of a good answer."""

    method: str
    path: str
    read: Read[T]
    body: Mapping[str, Json] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    accept: str = JSON
    statuses: tuple[int, ...] = (200,)

    def is_answered_by(self, response: httpx.Response) -> bool:
        """Return whether the response is a good answer, not an error."""
        media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return response.status_code in self.statuses and (response.status_code == 200 or media == JSON)


def generate(**options: Unpack[GenerateOptions]) -> Call[Batch]:
    """Request names."""
    return Call("POST", "/generate", lambda content: Batch.read(_record(content)), generate_fields(**options))


def stream(**options: Unpack[GenerateOptions]) -> Call[None]:
    """Request names as a stream; `LineParser` reads it."""
    return Call("POST", "/generate", lambda content: None, generate_fields(**options), accept=NDJSON)


def score(names: Sequence[str], nearest: bool, by_style: bool, **options: Unpack[SourceOptions]) -> Call[Scores]:
    """Request the scores of names. Raises `TypeError` for one string in place of a list."""
    if isinstance(names, str):
        raise TypeError("names must be a list of strings, not one string.")
    asked = {name: True for name, value in (("nearest", nearest), ("by_style", by_style)) if value}
    body = {"names": list(names)} | asked | source_fields(**options)
    return Call("POST", "/score", lambda content: Scores.read(_record(content)), body)


def next_characters(prefix: str, **options: Unpack[NextOptions]) -> Call[NextCharacters]:
    """Request the probabilities of the next character."""
    query = {"prefix": prefix} | query_of(next_fields(**options))
    return Call("GET", "/next", lambda content: NextCharacters.read(_record(content)), query=query)


def datasets() -> Call[tuple[Dataset, ...]]:
    """Request the data sets."""
    return Call("GET", "/datasets", lambda content: list_in(content, Dataset.read))


def models() -> Call[Models]:
    """Request all versions."""
    return Call("GET", "/models", lambda content: Models.read(_record(content)))


def model(reference: str) -> Call[ModelPage]:
    """Request one version. Raises `ValueError` for a reference without data set and architecture."""
    found = REFERENCE.fullmatch(reference)
    if found is None:
        raise ValueError(f"{reference!r} is not a reference; allowed is dataset/architecture@version: human/lstm@5.")
    path = f"/models/{found[1]}/{found[2]}/{found[3] or 'latest'}"
    return Call("GET", path, lambda content: ModelPage.read(_record(content)))


def info() -> Call[Info]:
    """Request version and limits."""
    return Call("GET", "/info", lambda content: Info.read(_record(content)))


def ready() -> Call[Health]:
    """Request the readiness. 503 is a good answer here, and is not retried."""
    return Call("GET", "/health/ready", lambda content: Health.read(_record(content)), statuses=(200, 503))


def next_page_options(options: GenerateOptions, page: Batch) -> GenerateOptions | None:
    """Return the options of the next page, None after the last candidate.

    The model is the concrete version of the page, so that an alias that moves does not mix two models.
    """
    if page.next_offset > MAX_SEED:
        return None
    next_options: GenerateOptions = {**options, "seed": page.seed, "offset": page.next_offset, "model": page.model}
    # A blend's answer has normalised shares, whose last digit could differ if they were sent back.
    if isinstance(page.dataset, str):
        next_options["dataset"] = page.dataset
    return next_options


def _record(content: bytes) -> JsonReader:
    return JsonReader(parsed(content))
