"""Parse references to versions, and report unknown ones. The snapshot resolves references."""

import difflib
from collections.abc import Iterable

from models.errors import UnknownReference

NONE = "one that exists; there is none"


def split_reference(model: str) -> tuple[str, str]:
    """Split "dataset/architecture@version" into data set, if any, and the rest.

    A slash after the @ has no meaning.
    """
    before, slash, after = model.partition("/")
    return (before, after) if slash and "@" not in before else ("", model)


def unknown(field: str, given: str, known: Iterable[str], lead: str) -> UnknownReference:
    """Return the error for an unknown name, with all valid names and the nearest ones."""
    names = list(known)
    nearest = difflib.get_close_matches(given, names, n=3, cutoff=0.4) or names[:5]
    listed = ", ".join(names[:12])
    if not names:
        return UnknownReference(f"{lead} {given!r}: there is none at all.", field=field, allowed=NONE)
    return UnknownReference(
        f"{lead} {given!r}. There is: {listed}.", field=field, allowed=f"one of {listed}", nearest=nearest
    )
