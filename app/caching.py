"""Which answers to a GET may be kept: a seed and a concrete model never mean anything else again. No drawing here."""

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import urlencode

from app.schemas import GenerateQuery
from models.blends import Source
from models.inference import MAX_SEED

CONCRETE = re.compile(r"([a-z0-9-]+/)?[a-z_]+@[0-9]+")
YEAR = 31_536_000


def validator(request: GenerateQuery, source: Source, others: str) -> str:
    """Return the strong ETag of the answer to a request with a seed: it tells apart whatever the bytes depend on, of
    which `others` is what neither request nor source knows.
    """
    said = f"{request.model_dump_json()} {source.digest} {others}"
    return f'"{hashlib.sha256(said.encode()).hexdigest()[:32]}"'


def is_concrete(request: GenerateQuery, source: Source) -> bool:
    """Say whether the request names its version, or all of its versions, by number."""
    if isinstance(source.model, str):
        return isinstance(request.model, str) and CONCRETE.fullmatch(request.model) is not None
    asked = request.model.split(",") if isinstance(request.model, str) else list((request.model or {}).values())
    return len(asked) == len(source.model) and all(map(CONCRETE.fullmatch, asked))


def policy(concrete: bool) -> str:
    """Return the Cache-Control of an answer with a seed: for ever, or until an alias moves, which must be asked."""
    return f"public, max-age={YEAR}, immutable" if concrete else "no-cache"


def as_cut(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of an answer that the deadline cut: another time there will be more of it."""
    return {name: value for name, value in headers.items() if name != "ETag"} | {"Cache-Control": "no-store"}


def is_known(validator: str, given: list[str]) -> bool:
    """Say whether If-None-Match names this answer (RFC 9110, section 13.1.2: compared weakly)."""
    tags = [tag.strip().removeprefix("W/") for header in given for tag in header.split(",")]
    return validator in tags or "*" in tags


def next_link(path: str, request: GenerateQuery, source: Source, next_offset: int) -> str | None:
    """Return the Link header that goes on after this page (RFC 8288), with the same seed and concrete models."""
    if next_offset > MAX_SEED:
        return None
    given = request.model_dump(exclude_unset=True)
    given |= {"dataset": dataset_text(source.dataset), "model": source.reference}
    given |= {"seed": request.seed, "offset": next_offset}
    fields = {name: _text(value) for name, value in given.items() if value is not None}
    return f'<{path}?{urlencode(fields)}>; rel="next"'


def dataset_text(dataset: str | Mapping[str, float]) -> str:
    """Return a data set, or the shares of a blend, as a link writes them."""
    return dataset if isinstance(dataset, str) else ",".join(f"{name}:{share:g}" for name, share in dataset.items())


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
