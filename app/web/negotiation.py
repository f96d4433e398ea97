"""Content negotiation by Accept (RFC 9110, 12.5.1) for the media types of /generate."""

import re
from collections.abc import Sequence

JSON, NDJSON, TEXT, CSV = "application/json", "application/x-ndjson", "text/plain", "text/csv"
# In the order of preference among equal weights.
OFFERED = (JSON, NDJSON, TEXT, CSV)
WEIGHT = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


def chosen(headers: Sequence[str]) -> str | None:
    """Return the offered media type that the Accept headers prefer, or None.

    The most specific matching range gives the weight of a type. Without a header any type is accepted; a range with a
    malformed weight is ignored.
    """
    if not headers or headers == ["*/*"]:
        return JSON
    ranges = [part for header in headers for part in header.split(",") if part.strip()]
    if not ranges:
        return JSON
    weights = dict(parsed for parsed in map(_parse, ranges) if parsed)
    weight_of = {media: _weight(media, weights) for media in OFFERED}
    best = max(OFFERED, key=weight_of.__getitem__)
    return best if weight_of[best] > 0 else None


def accepts_gzip(headers: Sequence[str]) -> bool:
    """Return whether the Accept-Encoding headers name gzip and do not rule it out (RFC 9110, 12.5.3)."""
    codings = dict(parsed for header in headers for part in header.split(",") if (parsed := _parse(part)))
    return codings.get("gzip", codings.get("*", 0.0)) > 0


def _parse(part: str) -> tuple[str, float] | None:
    media, *parameters = (piece.strip().lower() for piece in part.split(";"))
    weight = next((p[2:] for p in parameters if p.startswith("q=")), "1")
    return (media, float(weight)) if WEIGHT.fullmatch(weight) else None


def _weight(media: str, weights: dict[str, float]) -> float:
    ranges = (media, f"{media.partition('/')[0]}/*", "*/*")
    return next((weights[name] for name in ranges if name in weights), 0.0)
