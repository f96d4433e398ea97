"""Which form an answer takes: the media types there are, and the choice among them by the Accept header (RFC 9110,
section 12.5.1).
"""

import re
from collections.abc import Sequence

JSON, NDJSON, TEXT, CSV = "application/json", "application/x-ndjson", "text/plain", "text/csv"
# In the order in which equal wishes are met.
OFFERED = (JSON, NDJSON, TEXT, CSV)
WEIGHT = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


def chosen(headers: Sequence[str]) -> str | None:
    """Return the offered media type that the Accept headers like best, None if they like none.

    The most specific range that fits a type gives its weight. Without a header anything is liked; a range whose weight
    is not written as one is passed over.
    """
    ranges = [part for header in headers for part in header.split(",") if part.strip()]
    if not ranges:
        return JSON
    weights = dict(parsed for parsed in map(_parse, ranges) if parsed)
    liking = {media: _weight(media, weights) for media in OFFERED}
    best = max(OFFERED, key=liking.__getitem__)
    return best if liking[best] > 0 else None


def _parse(part: str) -> tuple[str, float] | None:
    media, *parameters = (piece.strip().lower() for piece in part.split(";"))
    weight = next((p[2:] for p in parameters if p.startswith("q=")), "1")
    return (media, float(weight)) if WEIGHT.fullmatch(weight) else None


def _weight(media: str, weights: dict[str, float]) -> float:
    ranges = (media, f"{media.partition('/')[0]}/*", "*/*")
    return next((weights[name] for name in ranges if name in weights), 0.0)
