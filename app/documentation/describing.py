"""The OpenAPI document as FastAPI makes it, and what it cannot know: our problems, what is refused before any route is
asked, an example of each answer.
"""

from typing import Any

from fastapi import FastAPI

from app.documentation.describing_doors import describe_doors
from app.documentation.samples import SAMPLES
from app.errors import BUSY, EDGE, PROBLEM, Problem, responses
from app.negotiation import JSON

RETRY_AFTER = {
    "description": "Seconds until there may be room again; where there was more to do than can be done in time.",
    "schema": {"type": "integer", "minimum": 1},
}
# FastAPI's own error, which we never give.
FOREIGN = ("HTTPValidationError", "ValidationError")


def describe(app: FastAPI) -> None:
    """Let `app` have a complete OpenAPI document."""
    make = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(make())
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    made = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(made.pop("$defs", {}))
    schemas["Problem"] = made
    for name in FOREIGN:
        schemas.pop(name, None)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _complete_responses(operation["responses"], SAMPLES.get(path))
    describe_doors(document)
    return document


def _complete_responses(told: dict[str, Any], sample: Any) -> None:
    for status, response in list(told.items()):
        # A path that nothing can be called is 404, which the route tells.
        if FOREIGN[0] in str(response):
            del told[status]
    if sample is not None:
        told["200"]["content"][JSON]["example"] = sample
    for code, response in responses(*EDGE).items():
        told.setdefault(str(code), response)
    if PROBLEM in told.get("503", {}).get("content", {}):
        _complete_unavailable(told["503"])


def _complete_unavailable(told: dict[str, Any]) -> None:
    """Tell the two reasons for a 503 apart: too much to do, with when to come again, and a model that is not served."""
    told["headers"] = {"Retry-After": RETRY_AFTER}
    content = told["content"][PROBLEM]
    busy = content["example"] | {"detail": BUSY}
    content["examples"] = {
        "overload": {"summary": "Too much to do, with Retry-After", "value": busy},
        "model": {"summary": "A model that cannot be served", "value": content.pop("example")},
    }
