"""HTTP caching of /generate: ETag, Cache-Control and the link to the next page.

The answer for a seed and a model version never changes.
"""

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import urlencode

from app.schemas import GenerateQuery
from models.blends import Source
from models.inference import MAX_SEED

CONCRETE = re.compile(r"([a-z0-9-]+/)?[a-z_]+@[0-9]+")
YEAR = 31_536_000
# Raise it when a default changes: an ETag covers the fields that were set, so that new fields change no old link.
DEFAULTS = 1


def cache_headers(request: GenerateQuery, source: Source, others: str, private: bool = False) -> dict[str, str]:
    """Return ETag and Cache-Control of the answer to a link. Without a seed it must not be kept.

    The strong ETag is a hash of everything that the answer's bytes depend on; `others`: what neither request nor source
    knows. The answer is kept for ever, or with revalidation where an alias may move; if `private`, by its client alone.
    """
    if request.seed is None:
        return {"Cache-Control": "no-store"}
    text = f"{request.model_dump_json(exclude_unset=True)} {DEFAULTS} {source.digest} {others}"
    kept = (
        f"{'private' if private else 'public'}, max-age={YEAR}, immutable"
        if is_concrete(request, source)
        else "no-cache"
    )
    return {"ETag": f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"', "Cache-Control": kept}


def is_concrete(request: GenerateQuery, source: Source) -> bool:
    """Return whether the request names its version, or all of its versions, by number."""
    if isinstance(source.model, str):
        return isinstance(request.model, str) and CONCRETE.fullmatch(request.model) is not None
    asked = request.model.split(",") if isinstance(request.model, str) else list((request.model or {}).values())
    return len(asked) == len(source.model) and all(map(CONCRETE.fullmatch, asked))


def without_caching(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of an answer that the deadline cut, which must not be cached."""
    return {name: value for name, value in headers.items() if name != "ETag"} | {"Cache-Control": "no-store"}


def is_known(etag: str, if_none_match: list[str]) -> bool:
    """Return whether If-None-Match names this answer (RFC 9110, section 13.1.2: compared weakly)."""
    tags = [tag.strip().removeprefix("W/") for header in if_none_match for tag in header.split(",")]
    return etag in tags or "*" in tags


def next_link(path: str, request: GenerateQuery, source: Source, next_offset: int) -> dict[str, str]:
    """Return the Link header to the next page (RFC 8288); {} at the end.

    The link has the same seed and the concrete models.
    """
    if next_offset > MAX_SEED:
        return {}
    given = request.model_dump(exclude_unset=True)
    given |= {"dataset": dataset_text(source.dataset), "model": source.reference}
    given |= {"seed": request.seed, "offset": next_offset}
    fields = {name: value for name, value in given.items() if value is not None}
    fields |= {name: str(value).lower() for name, value in fields.items() if isinstance(value, bool)}
    return {"Link": f'<{path}?{urlencode(fields)}>; rel="next"'}


def dataset_text(dataset: str | Mapping[str, float]) -> str:
    """Return a data set, or the shares of a blend, as written in a link."""
    return dataset if isinstance(dataset, str) else ",".join(f"{name}:{share:g}" for name, share in dataset.items())
