"""What the service says of an error (RFC 9457), as a value. How it is raised is told in `errors`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FieldProblem:
    """One field that is wrong: what is allowed, and the nearest names there are."""

    field: str
    allowed: str
    nearest: tuple[str, ...] = ()


@dataclass(frozen=True)
class Problem:
    """An error as the service tells it: `code` is stable, `errors` are the wrong fields if it is about fields."""

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[FieldProblem, ...] = ()
    code: str = ""
