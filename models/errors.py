"""Every error that the models raise: no HTTP status, no printing.

    ModelError
    ├── ConfigError            hyperparameters that cannot be built
    ├── UnknownCharacter       text with a character outside the model's alphabet
    ├── OptionError            a sampling option out of range, or options that contradict each other
    ├── ExpressionError        an expression that cannot be read or computed
    ├── UnknownReference       no such data set, architecture, version or alias
    ├── CheckpointError        a version folder that cannot be trusted
    └── StoreError             a store that cannot be read or written

`str(error)` is for the command line and may repeat what was given. `field`, `allowed` and `nearest` come from our own
lists only, so that a service may show them to a stranger.
"""

import difflib
from collections.abc import Iterable, Sequence


class ModelError(Exception):
    """Root of the tree: `field` is what was wrong, `nearest` are the closest valid names.

    `allowed` completes the sentence "`field` must be ...".
    """

    def __init__(self, message: str, *, field: str = "", allowed: str = "", nearest: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.field = field
        self.allowed = allowed
        self.nearest = tuple(nearest)


class ConfigError(ModelError):
    """Hyperparameters that cannot be built into a model."""


class UnknownCharacter(ModelError):
    """Text holds a character that the model's alphabet lacks."""


class OptionError(ModelError):
    """A sampling option is out of range, or two options contradict each other."""


class ExpressionError(ModelError):
    """An expression of the scalar engine that cannot be parsed or computed.

    `reason` explains the error in our own words; `position` is its character, counted from 1.
    """

    def __init__(
        self,
        message: str,
        *,
        field: str = "",
        allowed: str = "",
        nearest: Sequence[str] = (),
        position: int = 1,
        reason: str = "",
    ) -> None:
        super().__init__(message, field=field, allowed=allowed, nearest=nearest)
        self.position, self.reason = position, reason


class UnknownReference(ModelError):
    """A data set, architecture, version or alias that no store has."""


class CheckpointError(ModelError):
    """A version folder is incomplete, altered, foreign, or does not reproduce its golden names."""


class StoreError(ModelError):
    """A store's folder or alias file cannot be read or written."""


def unknown(field: str, given: str, known: Iterable[str], lead: str) -> UnknownReference:
    """Return the error for an unknown name, with all valid names and the nearest ones."""
    names = list(known)
    nearest = difflib.get_close_matches(given, names, n=3, cutoff=0.4) or names[:5]
    listed = ", ".join(names[:12])
    if not names:
        allowed = "one that exists; there is none"
        return UnknownReference(f"{lead} {given!r}: there is none at all.", field=field, allowed=allowed)
    return UnknownReference(
        f"{lead} {given!r}. There is: {listed}.", field=field, allowed=f"one of {listed}", nearest=nearest
    )
