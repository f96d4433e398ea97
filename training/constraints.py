"""What a field of a pydantic model allows, in words: for help texts, and for one-line messages instead of pydantic's.

Knows nothing of training; the words are made from the fields' own constraints, so that they cannot disagree.
"""

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

_KINDS = {"integer": "a whole number", "number": "a number", "string": "text", "boolean": "true or false"}


def option(field: str) -> str:
    """Return how a field is called on the command line."""
    return f"--{field.replace('_', '-')}"


def allowed(model: type[BaseModel], field: str) -> str:
    """Return what `field` allows, e.g. "a whole number from 1 to 2048" or "adamw or sgd"."""
    schema: Mapping[str, Any] = model.model_json_schema()["properties"][field]
    if choices := schema.get("enum"):
        return f"{', '.join(choices[:-1])} or {choices[-1]}"
    kind = _KINDS.get(str(schema.get("type")), "a table")
    limits = []
    if "exclusiveMinimum" in schema:
        limits.append(f"above {schema['exclusiveMinimum']:,g}")
    if "minimum" in schema:
        limits.append(f"from {_number(schema['minimum'])}")
    if "maximum" in schema:
        limits.append(f"to {_number(schema['maximum'])}")
    return " ".join([kind, *limits])


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.15g}"


def explain(error: ValidationError, *models: type[BaseModel]) -> list[str]:
    """Return one line for each thing that is wrong: the option, what was given, what is allowed.

    `models`: the pydantic models whose fields may appear, outermost first.
    """
    return [_line(dict(item), models) for item in error.errors(include_url=False)]


def _line(item: Mapping[str, Any], models: tuple[type[BaseModel], ...]) -> str:
    field = str(item["loc"][-1]) if item["loc"] else ""
    if item["type"] == "value_error":
        return f"{str(item['msg']).removeprefix('Value error, ')}."
    if item["type"] == "extra_forbidden":
        known = [name for model in models for name in model.model_fields]
        nearest = difflib.get_close_matches(field, known, n=1)
        return f"{field!r} is no hyperparameter; {'did you mean' if nearest else 'allowed:'} {_some(nearest or known)}"
    owner = next((model for model in models if field in model.model_fields), None)
    if owner is None:
        return f"{field}: {item['msg']}."
    if item["type"] == "missing":
        return f"{field} is missing; allowed: {allowed(owner, field)}."
    return f"{option(field)} is {item['input']!r}; allowed: {allowed(owner, field)}."


def _some(names: list[str]) -> str:
    return f"{names[0]}?" if len(names) == 1 else f"{', '.join(names)}."
