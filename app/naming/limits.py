"""What a request may ask for in the form that it wants: the rules that a field alone cannot tell."""

from app.negotiation import JSON, NDJSON
from app.schemas import ALLOWED, MAX_COUNT, GenerateQuery
from models import OptionError


def check(request: GenerateQuery, media: str) -> None:
    """Raise `OptionError` for too many names as JSON, for too many that must be unique, for details in a form that has
    no place for them.
    """
    if media == JSON and request.count > MAX_COUNT:
        raise _refusal(request, "count")
    if request.unique and request.count > MAX_COUNT:
        raise _refusal(request, "unique")
    if request.sort != "drawn" and media != JSON:
        raise _refusal(request, "sort")
    if request.details and media not in (JSON, NDJSON):
        raise _refusal(request, "details")


def _refusal(request: GenerateQuery, field: str) -> OptionError:
    given = str(getattr(request, field)).lower()
    with_count = "" if field == "count" else f" and count is {request.count}"
    return OptionError(
        f"{field} is {given}{with_count}; allowed for {field}: {ALLOWED[field]}.", field=field, allowed=ALLOWED[field]
    )
