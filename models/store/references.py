"""How a version is named in a request, and the error for a name that nothing has. What a name means is the snapshot's
job.
"""

import difflib
from collections.abc import Iterable

from models.errors import UnknownReference

NONE = "one that exists; there is none"


def halves(model: str) -> tuple[str, str]:
    """Return the data set (or nothing) and the rest of "dataset/architecture@version"; a slash after the @ means
    nothing.
    """
    before, slash, after = model.partition("/")
    return (before, after) if slash and "@" not in before else ("", model)


def unknown(field: str, given: str, known: Iterable[str], lead: str) -> UnknownReference:
    """Return the error that names what there is, and the nearest of it."""
    names = list(known)
    nearest = difflib.get_close_matches(given, names, n=3, cutoff=0.4) or names[:5]
    listed = ", ".join(names[:12])
    if not names:
        return UnknownReference(f"{lead} {given!r}: there is none at all.", field=field, allowed=NONE)
    return UnknownReference(
        f"{lead} {given!r}. There is: {listed}.", field=field, allowed=f"one of {listed}", nearest=nearest
    )
