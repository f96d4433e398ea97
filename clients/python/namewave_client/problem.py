"""The problem details of an error (RFC 9457). `errors` has the exceptions."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FieldProblem:
    """A wrong field, its allowed values, and the most similar valid names."""

    field: str
    allowed: str
    nearest: tuple[str, ...] = ()


@dataclass(frozen=True)
class Problem:
    """An error of the service. `code` is stable; `errors` lists the wrong fields, if any."""

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[FieldProblem, ...] = ()
    code: str = ""
