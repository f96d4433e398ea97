"""Aliases of versions: a parser of the alias file, and the combination of several. No file access.

{"human": {"default": "wavenet@2", "wavenet": {"latest": 2, "stable": 1}}, "reasons": [...]}
"""

import json
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from models.errors import StoreError
from models.manifest import DatasetName

DEFAULT, LATEST, STABLE, REASONS = "default", "latest", "stable", "reasons"

AliasName = Annotated[str, Field(pattern=r"\A[a-z][a-z0-9-]{0,31}\z")]
Number = Annotated[int, Field(ge=1)]


class Reason(BaseModel):
    """The reason of an alias move, its alias and target, and its time (UTC, ISO 8601)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alias: str
    target: str
    reason: str
    at: str


class DatasetAliases(BaseModel):
    """One data set's aliases.

    `default` is "architecture@version"; `versions` maps architecture to alias to number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    default: Annotated[str, Field(pattern=r"\A[a-z][a-z0-9_]{0,31}@[1-9][0-9]{0,8}\z")] | None = None
    versions: dict[str, dict[AliasName, Number]] = {}

    def over(self, below: "DatasetAliases") -> "DatasetAliases":
        """Return the combination of both; these aliases win."""
        architectures = {**below.versions, **self.versions}
        versions = {a: {**below.versions.get(a, {}), **self.versions.get(a, {})} for a in architectures}
        return DatasetAliases(default=self.default or below.default, versions=versions)

    def moved(self, architecture: str, alias: str, number: int) -> "DatasetAliases":
        """Return a copy in which `alias` of `architecture` is `number`."""
        moved = {**self.versions.get(architecture, {}), alias: number}
        return self.model_copy(update={"versions": {**self.versions, architecture: moved}})

    def as_json(self) -> dict[str, object]:
        """Return the contents for the alias file."""
        head: dict[str, object] = {} if self.default is None else {DEFAULT: self.default}
        return {**head, **self.versions}


class Aliases(BaseModel):
    """One store's alias file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    datasets: dict[DatasetName, DatasetAliases] = {}
    reasons: tuple[Reason, ...] = ()

    def of(self, dataset: str) -> DatasetAliases:
        """Return the aliases of `dataset`, none if it is not there."""
        return self.datasets.get(dataset, DatasetAliases())

    def with_dataset(self, dataset: str, aliases: DatasetAliases) -> "Aliases":
        """Return a copy in which `dataset` has `aliases`."""
        return self.model_copy(update={"datasets": {**self.datasets, dataset: aliases}})


def parse_aliases(content: bytes, place: str) -> Aliases:
    """Parse an alias file. Raises `StoreError` for a damaged one, which must not be overwritten as empty."""
    try:
        document = TypeAdapter(dict[str, object]).validate_json(content)
        reasons = document.pop(REASONS, [])
        datasets = {name: _split(entry) for name, entry in document.items()}
        return Aliases.model_validate({"datasets": datasets, "reasons": reasons})
    except (ValidationError, TypeError, ValueError) as error:
        problem = f"{place} is damaged and cannot be read: {_fault(error)}."
        raise StoreError(f"{problem} Repair it, or move it away and set the aliases again.") from None


def _fault(error: Exception) -> str:
    """Describe the error in plain words. A name from the file is quoted, because it may hold anything."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return f"it is not JSON ({first['ctx']['error']})"
    match first["loc"]:
        case ("datasets", name, *_):
            return f"the entry of {name!r} is invalid"
        case ("reasons", *_):
            return "its reasons are invalid"
    return "it is not a JSON object"


def _split(entry: object) -> dict[str, object]:
    if not isinstance(entry, dict):
        raise TypeError("a data set's entry is not an object")
    return {"default": entry.get(DEFAULT), "versions": {key: value for key, value in entry.items() if key != DEFAULT}}


def dump_aliases(aliases: Aliases) -> bytes:
    """Return the alias file for `aliases`."""
    document: dict[str, object] = {name: entry.as_json() for name, entry in sorted(aliases.datasets.items())}
    document[REASONS] = [reason.model_dump() for reason in aliases.reasons]
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def merged(files: Sequence[Aliases], dataset: str) -> DatasetAliases:
    """Return the aliases of `dataset` over several stores; later ones win."""
    together = DatasetAliases()
    for aliases in files:
        together = aliases.of(dataset).over(together)
    return together
