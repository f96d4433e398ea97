"""What the OpenAPI document says of keys and limits, which stand before all routes but the probes."""

from typing import Any

from app.access.doors import OPEN
from app.errors import responses

RATE_LIMIT = {
    "RateLimit-Policy": {
        "description": "The limit `q` of characters for `w` seconds; where there are limits.",
        "schema": {"type": "string"},
        "example": '"characters";q=20000000;w=60;qu="characters"',
    },
    "RateLimit": {
        "description": "How many are left, `r`, and in how many seconds this window ends, `t`; where there are limits.",
        "schema": {"type": "string"},
        "example": '"characters";r=19999740;t=17',
    },
}
RETRY_AFTER = {"description": "Seconds until there is enough for this request.", "schema": {"type": "integer"}}
AUTHENTICATE = {"description": "How to show a key.", "schema": {"type": "string"}}
SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of `python -m app key`, where the service asks for keys.",
    },
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same key, where the service asks for keys.",
    },
}


def describe_doors(document: dict[str, Any]) -> None:
    """Write keys, limits and what they answer into `document`."""
    document["components"]["securitySchemes"] = SCHEMES
    # The first one: none.
    document["security"] = [{}, {"bearer": []}, {"key": []}]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path in OPEN:
                operation["security"] = []
            else:
                _describe(operation["responses"])


def _describe(answers: dict[str, Any]) -> None:
    for status, answer in answers.items():
        if status.startswith("2"):
            answer["headers"] = {**answer.get("headers", {}), **RATE_LIMIT}
    described = responses(401, 429)
    described[401]["headers"] = {"WWW-Authenticate": AUTHENTICATE}
    described[429]["headers"] = {"Retry-After": RETRY_AFTER, **RATE_LIMIT}
    answers.update({str(status): answer for status, answer in described.items()})
