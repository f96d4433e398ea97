"""Complete the OpenAPI document: problems, keys, limits, examples, answers of /generate."""

import json
from typing import Any

from fastapi import FastAPI

from app.responses import GenerateAnswer
from app.web.errors import BUSY, COMMON_ERRORS, PROBLEM, Problem, responses
from app.web.middleware import PUBLIC_PATHS
from app.web.negotiation import CSV, JSON, NDJSON, TEXT
from models.inference import REASONS

GENERATE_DESCRIPTION = """Draw names from a model.

Candidate *i* depends only on the model version, the sampling options, the seed and *i*. A request with a seed and a
concrete version gives the same names on any machine, and a page that starts at `next_offset` goes on without gap or
overlap.

`prefix`, `min_length` and `excludes` change the distribution. All other constraints reject candidates, in the order of
`refused`, and never change one; if the budget of attempts runs out, `complete` is false.

`Accept` chooses the form. As `application/x-ndjson`, `text/plain` or `text/csv` up to a million names come as a stream.
The last NDJSON record says whether the stream is complete; an incomplete text or CSV stream closes the connection
without its last chunk, which clients report as an error."""
LINK_DESCRIPTION = """The same as POST with the fields in the query, for links that can be shared.

Example: `/generate?dataset=animal&count=5&seed=7`

With a seed the answer has an `ETag`. If the model is named by number as well (`model=human/lstm@5`), it never changes.
Without a seed it must not be cached. A `Link` header leads to the next page, which may repeat names of this one."""
GENERATE_EXAMPLES = {
    "animals": {
        "summary": "Five animals, a little safer",
        "value": {"dataset": "animal", "count": 5, "temperature": 0.8},
    },
    "novel": {
        "summary": "Names that start with Mar and are in no list",
        "value": {"prefix": "Mar", "novel": True, "count": 5, "seed": 1},
    },
    "blend": {
        "summary": "Half-animal heroes, the likeliest first",
        "value": {"dataset": {"human": 0.6, "animal": 0.4}, "count": 5, "sort": "likelihood"},
    },
    "constraints": {
        "summary": "Eight letters or fewer, without z, with ar inside, that end in a",
        "value": {"contains": "ar", "ends_with": "a", "excludes": "z", "max_length": 8, "count": 5},
    },
    "details": {"summary": "How likely each character was", "value": {"count": 2, "details": True}},
}
NO_REJECTIONS = dict.fromkeys(REASONS, 0)
UNCHANGED: dict[int | str, Any] = {304: {"description": "The answer that If-None-Match names is still the same."}}
STREAM_HEADERS = {
    "Namewave-Dataset": {
        "description": "Streams only: the data set, or a blend's shares.",
        "schema": {"type": "string"},
    },
    "Namewave-Model": {"description": "Streams only: the concrete version.", "schema": {"type": "string"}},
    "Namewave-Seed": {"description": "Streams only: the stream of candidates.", "schema": {"type": "integer"}},
    "Namewave-Offset": {"description": "Streams only: the first candidate.", "schema": {"type": "integer"}},
}
# The other forms of an answer of /generate: beside JSON, generated clients would return either text or an object.
NAME_STREAM: dict[str, Any] = {
    "description": "Names as a stream, where Accept prefers one of these forms: up to a million.",
    "headers": STREAM_HEADERS,
    "content": {
        NDJSON: {
            "schema": {"type": "string", "description": "A JSON object per line; the last one tells how it ended."},
            "example": '{"name":"Marnabella"}\n{"name":"Marleya"}\n'
            '{"end":{"complete":true,"attempts":2,"next_offset":2,"acceptance_rate":1.0,'
            f'"refused":{json.dumps(NO_REJECTIONS, separators=(",", ":"))}}}}}\n',
        },
        TEXT: {"schema": {"type": "string", "description": "A name per line."}, "example": "Marnabella\nMarleya\n"},
        CSV: {
            "schema": {
                "type": "string",
                "description": "RFC 4180, with a header line. Names are never changed: "
                "one of your own list that starts with = is a formula to a spreadsheet.",
            },
            "example": "name\r\nMarnabella\r\nMarleya\r\n",
        },
    },
}
GENERATE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "Names as JSON. The streams are described under components: NameStream."},
    **responses(400, 404, 406, 413, 415, 422, 503, 505),
}
# Arguments of the routes of /generate.
GENERATE_DOCS: dict[str, Any] = {
    "summary": "Invent names",
    "description": GENERATE_DESCRIPTION,
    "response_model": GenerateAnswer,
    "responses": GENERATE_RESPONSES,
}
LINK_DOCS = GENERATE_DOCS | {
    "summary": "Invent names by a link",
    "description": LINK_DESCRIPTION,
    "responses": GENERATE_RESPONSES | UNCHANGED,
}
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
RETRY_AFTER_LIMIT = {"description": "Seconds until there is enough for this request.", "schema": {"type": "integer"}}
RETRY_AFTER_OVERLOAD = {
    "description": "Seconds until there may be room again; where there was more to do than can be done in time.",
    "schema": {"type": "integer", "minimum": 1},
}
WWW_AUTHENTICATE = {"description": "How to show a key.", "schema": {"type": "string"}}
SECURITY_SCHEMES = {
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


# Bodies of requests.
REQUESTS = ("GenerateRequest", "ScoreRequest", "GraphRequest")
# FastAPI's own error, which this service never sends.
FASTAPI_ERRORS = ("HTTPValidationError", "ValidationError")


def complete_openapi(app: FastAPI, root_path: str) -> None:
    """Make `app.openapi` return the complete document of a service at `root_path`."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(make())
            # Without a prefix of its own, the service is where the document is.
            app.openapi_schema["servers"] = [{"url": root_path or "./"}]
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    for name in FASTAPI_ERRORS:
        schemas.pop(name, None)
    for name in REQUESTS:
        # Generated types would make a field with a default a required one.
        for field in schemas[name]["properties"].values():
            field.pop("default", None)
    document["components"]["responses"] = {"NameStream": NAME_STREAM}
    document["components"]["securitySchemes"] = SECURITY_SCHEMES
    # The first one: none.
    document["security"] = [{}, {"bearer": []}, {"key": []}]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _complete_responses(operation["responses"], schemas)
            if path in PUBLIC_PATHS:
                operation["security"] = []
            else:
                _add_security(operation["responses"])
    return document


def _complete_responses(found: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Replace FastAPI's errors by ours, and add an example to each JSON answer."""
    for status, response in list(found.items()):
        if FASTAPI_ERRORS[0] in str(response):
            del found[status]
    content = found["200"]["content"].get(JSON, {})
    if content.get("schema") and "example" not in content:
        content["example"] = example_of(content["schema"], schemas)
    for code, response in responses(*COMMON_ERRORS).items():
        found.setdefault(str(code), response)
    unavailable = found.get("503", {})
    if PROBLEM in unavailable.get("content", {}):
        unavailable["headers"] = {"Retry-After": RETRY_AFTER_OVERLOAD}
        problem = unavailable["content"][PROBLEM]
        model = problem.pop("example")
        problem["examples"] = {
            "overload": {"summary": "Overloaded, with Retry-After", "value": model | {"detail": BUSY}},
            "model": {"summary": "Model unavailable", "value": model},
        }


def _add_security(found: dict[str, Any]) -> None:
    """Add 401, 429 and the headers of the rate limit."""
    for status, response in found.items():
        if status.startswith("2"):
            response["headers"] = {**response.get("headers", {}), **RATE_LIMIT}
    refusals = responses(401, 429)
    refusals[401]["headers"] = {"WWW-Authenticate": WWW_AUTHENTICATE}
    refusals[429]["headers"] = {"Retry-After": RETRY_AFTER_LIMIT, **RATE_LIMIT}
    found.update({str(status): response for status, response in refusals.items()})


def example_of(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """Return an example of a JSON schema, made of the examples of its fields."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "default" in schema:
        return schema["default"]
    for key in ("examples", "enum"):
        if key in schema:
            return schema[key][0]
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], schemas)
    match schema.get("type"):
        case "object":
            return {name: example_of(field, schemas) for name, field in schema.get("properties", {}).items()}
        case "array":
            return [example_of(item, schemas) for item in schema.get("prefixItems", [schema.get("items")])]
        case "boolean":
            return True
        case "string":
            return ""
    return 0
