"""Which fields of a request are wrong, told without what was given. Status codes are `errors`' matter."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, Field

from app.schemas import ALLOWED

UNKNOWN_FIELD = "(unknown field)"


class FieldProblem(BaseModel):
    """One field that is wrong: what is allowed, and the nearest names there are."""

    field: str = Field(examples=["temperature"])
    allowed: str = Field(examples=["0.05 to 5"])
    nearest: list[str] = Field(default=[], examples=[["wavenet"]])
    position: int | None = Field(None, description="Of a text: which character is wrong, counted from 1.", ge=1)


def wrong_fields(items: Iterable[dict[str, Any]], route: object) -> list[FieldProblem]:
    """Return the fields that pydantic's errors are about, each once."""
    ours = _fields_of(route)
    unique: dict[str, FieldProblem] = {}
    for item in items:
        name = _place(item) or UNKNOWN_FIELD
        # The nearest field is looked for once: there may be many that are unknown.
        if name not in unique:
            unique[name] = _field(item, ours)
    return list(unique.values())


def _fields_of(route: object) -> list[str]:
    """Return the fields that a route takes, in a query or a body; all there are where it does not say."""
    dependant = getattr(route, "dependant", None)
    parameters = [*dependant.query_params, *dependant.body_params] if dependant is not None else []
    models = [parameter.field_info.annotation for parameter in parameters]
    taken = {name for model in models for name in getattr(model, "model_fields", ())}
    return [name for name in ALLOWED if name in taken] or list(ALLOWED)


def _place(item: dict[str, Any]) -> str:
    """Return the field that is wrong, or nothing where it is none of ours."""
    # The first: a map by data set may have keys that are called as fields are.
    places = [part for part in item["loc"] if part in ALLOWED]
    return places[0] if places and item["type"] != "extra_forbidden" else ""


def _field(item: dict[str, Any], ours: Sequence[str]) -> FieldProblem:
    place = _place(item)
    if not place:
        if len(item["loc"]) < 2:
            return FieldProblem(field="body", allowed="a JSON object")
        nearest = difflib.get_close_matches(str(item["loc"][-1])[:32], ours, n=1)
        return FieldProblem(field=UNKNOWN_FIELD, allowed=", ".join(ours), nearest=nearest)
    return FieldProblem(field=place, allowed=ALLOWED[place])
