"""A request's headers straight from its scope, where all names are in lower case: Starlette's own mapping goes through
all of them for each.
"""

from starlette.types import Scope


def values(scope: Scope, name: bytes) -> list[str]:
    """Return what each header called `name` (in lower case) holds, in their order."""
    return [str(value, "latin-1") for key, value in scope["headers"] if key == name]


def first(scope: Scope, name: bytes) -> str:
    """Return what the first header called `name` (in lower case) holds, or nothing."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return ""
