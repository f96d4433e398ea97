"""What each method asks for: method, path, fields, and how its answer is read. No I/O, so that the sync and the async
client share it.
"""

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
from namewave_client.reading import Record, list_in, parsed

T = TypeVar("T", covariant=True)
JSON, NDJSON = "application/json", "application/x-ndjson"
REFERENCE = re.compile(r"([\w-]+)/([\w-]+)(?:@([\w-]+))?")


class Read(Protocol[T]):
    """How the body of an answer becomes a value. Raises `UnreadableAnswer`."""

    def __call__(self, content: bytes, /) -> T:
        """Return the value."""


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and how its answer is read. `statuses` are those of an answer that is hoped for."""

    method: str
    path: str
    read: Read[T]
    body: Mapping[str, Json] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    accept: str = JSON
    statuses: tuple[int, ...] = (200,)

    def is_answered_by(self, response: httpx.Response) -> bool:
        """Say whether this is an answer, and no error."""
        media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return response.status_code in self.statuses and (response.status_code == 200 or media == JSON)


def generate(**options: Unpack[GenerateOptions]) -> Call[Batch]:
    """Ask for names."""
    return Call("POST", "/generate", lambda content: Batch.read(_record(content)), generate_fields(**options))


def stream(**options: Unpack[GenerateOptions]) -> Call[None]:
    """Ask for names as a stream; `LineParser` reads it."""
    return Call("POST", "/generate", lambda content: None, generate_fields(**options), accept=NDJSON)


def score(names: Sequence[str], **options: Unpack[SourceOptions]) -> Call[Scores]:
    """Ask what a model makes of names. Raises `TypeError` for one text in the place of a list."""
    if isinstance(names, str):
        raise TypeError("names must be a list of texts, not one text.")
    body = {"names": list(names)} | source_fields(**options)
    return Call("POST", "/score", lambda content: Scores.read(_record(content)), body)


def next_characters(prefix: str, **options: Unpack[NextOptions]) -> Call[NextCharacters]:
    """Ask what may follow."""
    query = {"prefix": prefix} | query_of(next_fields(**options))
    return Call("GET", "/next", lambda content: NextCharacters.read(_record(content)), query=query)


def datasets() -> Call[tuple[Dataset, ...]]:
    """Ask for the data sets."""
    return Call("GET", "/datasets", lambda content: list_in(content, Dataset.read))


def models() -> Call[Models]:
    """Ask for all versions."""
    return Call("GET", "/models", lambda content: Models.read(_record(content)))


def model(reference: str) -> Call[ModelPage]:
    """Ask for one version. Raises `ValueError` for a reference without data set and architecture."""
    found = REFERENCE.fullmatch(reference)
    if found is None:
        raise ValueError(f"{reference!r} is no reference; allowed is dataset/architecture@version: human/lstm@4.")
    path = f"/models/{found[1]}/{found[2]}/{found[3] or 'latest'}"
    return Call("GET", path, lambda content: ModelPage.read(_record(content)))


def info() -> Call[Info]:
    """Ask for version and limits."""
    return Call("GET", "/info", lambda content: Info.read(_record(content)))


def ready() -> Call[Health]:
    """Ask whether names can be had. That they cannot is an answer, too, and is not asked again."""
    return Call("GET", "/health/ready", lambda content: Health.read(_record(content)), statuses=(200, 503))


def following(options: GenerateOptions, page: Batch) -> GenerateOptions | None:
    """Return what to ask for after a page, None after the last candidate that there is.

    The model is the page's own, by number, so that an alias that moves meanwhile does not mix two models.
    """
    if page.next_offset > MAX_SEED:
        return None
    onward: GenerateOptions = {**options, "seed": page.seed, "offset": page.next_offset, "model": page.model}
    # The shares of a blend's answer are normalised; written once more, their last digit might differ.
    if isinstance(page.dataset, str):
        onward["dataset"] = page.dataset
    return onward


def _record(content: bytes) -> Record:
    return Record(parsed(content))
