"""Turn exceptions into problem documents (RFC 9457): this module alone maps errors to status codes."""

import difflib
import re
from collections.abc import Iterable, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from app.admission.controller import Overloaded
from app.schemas import ALLOWED, SYNONYMS
from app.security.rate_limiter import RateLimitExceeded
from app.web.negotiation import OFFERED
from models.errors import (
    CheckpointError,
    ConfigError,
    ExpressionError,
    ModelError,
    OptionError,
    StoreError,
    UnknownCharacter,
    UnknownReference,
)

# An error repeats the name of an unknown field only if it matches; `UNKNOWN_FIELD` replaces any other name.
ECHOED_FIELD = re.compile(r"[A-Za-z0-9_]{1,32}")
UNKNOWN_FIELD = "(unknown field)"
ONE_OF = "one of "
# People try temperature 0 to get the likeliest name.
GREEDY_HINT = "; top_k=1 gives the likeliest name"


class FieldProblem(BaseModel):
    """One wrong field: what it must be, and the nearest existing names."""

    field: str = Field(examples=["temperature"])
    allowed: str = Field(description="What the field must be.", examples=["a number between 0.05 and 5"])
    nearest: list[str] = Field(default=[], examples=[["wavenet"]])
    position: int | None = Field(None, description="The wrong character of a text, counted from 1.", ge=1)


class UnknownField(FieldProblem):
    """A field that does not exist; `allowed` lists those that do."""


def wrong_fields(items: Iterable[dict[str, Any]], route: object) -> list[FieldProblem]:
    """Return each field that pydantic's errors are about, once."""
    found: dict[str, FieldProblem] = {}
    unknown: str | None = None
    for item in items:
        # The first: a map by data set may have keys named like fields.
        name = next((part for part in item["loc"] if part in ALLOWED), "")
        if name and item["type"] != "extra_forbidden":
            hint = GREEDY_HINT if name == "temperature" and item.get("input") in (0, "0", "0.0") else ""
            found.setdefault(name, FieldProblem(field=name, allowed=ALLOWED[name] + hint))
        elif len(item["loc"]) < 2:
            found.setdefault("body", FieldProblem(field="body", allowed="a JSON object"))
        elif unknown is None:
            # There may be thousands of unknown fields; one is shown, and its nearest name is looked up once.
            unknown, known = str(item["loc"][-1]), _fields_of(route)
            shown = unknown if ECHOED_FIELD.fullmatch(unknown) else UNKNOWN_FIELD
            nearest = _nearest(unknown[:32], known)
            found[shown] = UnknownField(field=shown, allowed=f"{ONE_OF}{', '.join(known)}", nearest=nearest)
    return list(found.values())


def _nearest(unknown: str, known: Sequence[str]) -> list[str]:
    """Return the known field that is likely meant, if any: by its spelling, or by what others call it."""
    synonym = SYNONYMS.get(unknown.lower())
    return [synonym] if synonym is not None and synonym in known else difflib.get_close_matches(unknown, known, n=1)


def _fields_of(route: object) -> list[str]:
    """Return the fields of a route's query and body, or all fields where it declares none."""
    dependant = getattr(route, "dependant", None)
    parameters = [*dependant.query_params, *dependant.body_params] if dependant is not None else []
    models = [parameter.field_info.annotation for parameter in parameters]
    declared = {name for model in models for name in getattr(model, "model_fields", ())}
    return [name for name in ALLOWED if name in declared] or list(ALLOWED)


PROBLEM = "application/problem+json"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# Limits of fields, nearest names and characters that keep an error below a kilobyte, whatever was asked.
MAX_FIELDS, MAX_NEAREST, MAX_ALLOWED = 4, 3, 200
QUERY = "(query)"

# Statuses for other modules, so that codes are defined here alone.
UNREADABLE, UNSUPPORTED = HTTPStatus.BAD_REQUEST, HTTPStatus.UNSUPPORTED_MEDIA_TYPE
NOT_ACCEPTABLE, NOT_FOUND, UNAVAILABLE = HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE
# For the log only: the client has left.
CLIENT_GONE = 499
NOT_MODIFIED = HTTPStatus.NOT_MODIFIED
VERSION_NOT_SUPPORTED = HTTPStatus.HTTP_VERSION_NOT_SUPPORTED
HEAD_TOO_LARGE, TOO_SLOW = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HTTPStatus.REQUEST_TIMEOUT

# Any request may be refused with these before it reaches a route.
COMMON_ERRORS = (UNREADABLE, TOO_SLOW, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HEAD_TOO_LARGE)

# The stable code of each error, in problem documents and in the metrics.
CODES = {
    HTTPStatus.BAD_REQUEST: "unreadable_request",
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.NOT_ACCEPTABLE: "not_acceptable",
    HTTPStatus.REQUEST_TIMEOUT: "request_timeout",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type",
    HTTPStatus.UNPROCESSABLE_ENTITY: "invalid_field",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_exceeded",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "head_too_large",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal_error",
    HTTPStatus.SERVICE_UNAVAILABLE: "model_unavailable",
    VERSION_NOT_SUPPORTED: "http_version_not_supported",
}
# Codes that a status alone does not tell: no capacity (503), an unknown field (422), a refused CORS preflight (400, in
# the metrics alone).
OVERLOADED, UNKNOWN_FIELD_CODE, PREFLIGHT = "overloaded", "unknown_field", "preflight_refused"

# The first class in an error's MRO decides.
STATUS: dict[type[ModelError], HTTPStatus] = {
    UnknownReference: HTTPStatus.NOT_FOUND,
    OptionError: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnknownCharacter: HTTPStatus.UNPROCESSABLE_ENTITY,
    ExpressionError: HTTPStatus.UNPROCESSABLE_ENTITY,
    CheckpointError: HTTPStatus.SERVICE_UNAVAILABLE,
    StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
    ConfigError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
DETAILS = {
    HTTPStatus.NOT_FOUND: "This address does not exist.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not support this method; see the Allow header.",
    HTTPStatus.NOT_ACCEPTABLE: f"The Accept header must allow one of {', '.join(OFFERED)}.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large; /info has the limit.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "The address or the headers are too large, or there are too many.",
    HTTPStatus.REQUEST_TIMEOUT: "The request did not arrive in time.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body must be plain JSON, with the header Content-Type: application/json.",
    HTTPStatus.BAD_REQUEST: "The body must be valid JSON, without repeated keys or deep nesting.",
    HTTPStatus.UNAUTHORIZED: "This service needs an API key, in the header Authorization: Bearer or X-API-Key.",
    HTTPStatus.TOO_MANY_REQUESTS: "You have reached the rate limit. Try again after the seconds in Retry-After.",
    HTTPStatus.SERVICE_UNAVAILABLE: "This model is not available at the moment; /health/ready has details.",
    VERSION_NOT_SUPPORTED: "Streams need HTTP/1.1, because over HTTP/1.0 a cut stream looks complete. For nginx, set "
    "proxy_http_version 1.1.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "The service made an error; its log has details under the id in X-Request-ID.",
}

BUSY = "The service is overloaded. Try again after the seconds in Retry-After."


class Problem(BaseModel):
    """An error after RFC 9457."""

    type: str = "about:blank"
    code: str = Field(description="Which kind of error: a stable name for programs.", examples=["invalid_field"])
    title: str = Field(examples=["Unprocessable Entity"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["temperature must be a number between 0.05 and 5."])
    errors: list[FieldProblem] = []


def problem(
    status: HTTPStatus,
    detail: str = "",
    fields: Sequence[FieldProblem] = (),
    headers: dict[str, str] | None = None,
    code: str = "",
) -> JSONResponse:
    """Return a problem document. `detail` and `code` are those of the status by default."""
    text = detail or DETAILS.get(status, status.description or status.phrase)
    document = Problem(code=code or CODES[status], title=status.phrase, status=status, detail=text, errors=list(fields))
    return JSONResponse(document.model_dump(exclude_none=True), status, headers, PROBLEM)


# The errors that a request may end with; `RequestMiddleware` handles all others.
EXPECTED = (RequestValidationError, HTTPException, ModelError, Overloaded, RateLimitExceeded, MemoryError)


def add_handlers(app: FastAPI) -> None:
    """Turn every expected error into a problem."""
    for kind in EXPECTED:
        app.add_exception_handler(kind, problem_of)


async def problem_of(request: Request, error: Exception) -> Response:
    """Return the answer for one of `EXPECTED`."""
    match error:
        case RequestValidationError():
            return _invalid(error.errors(), request.scope.get("route"))
        case HTTPException():
            return _http(request, error)
        case ModelError():
            return model_problem(error)
        case RateLimitExceeded():
            return rate_limited(error)
        case MemoryError():
            structlog.get_logger().error("no memory", error=str(error))
    # Memory may be free again soon.
    request.scope["refusal"] = OVERLOADED
    return overloaded(error.seconds if isinstance(error, Overloaded) else 1)


def unauthorized(given: bool) -> JSONResponse:
    """Return the answer to a request without a key, or with an unknown one."""
    detail = "This API key is not valid." if given else ""
    return problem(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": 'Bearer realm="namewave"'})


def rate_limited(error: RateLimitExceeded) -> JSONResponse:
    """Return the answer to a client over its rate limit, with Retry-After."""
    detail = (
        f"You have reached the rate limit: this request needs up to {error.characters} of your {error.limit} "
        "characters per minute. Try again after the seconds in Retry-After."
    )
    return problem(HTTPStatus.TOO_MANY_REQUESTS, detail, headers={"Retry-After": str(error.seconds)})


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of these errors."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {
                PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": _example(HTTPStatus(status))}
            },
        }
        for status in statuses
    }


def _example(status: HTTPStatus) -> dict[str, Any]:
    """Return an example of an error with this status."""
    fields = [FieldProblem(field="temperature", allowed=ALLOWED["temperature"])]
    invalid = status == HTTPStatus.UNPROCESSABLE_ENTITY
    return Problem(
        code=CODES[status],
        title=status.phrase,
        status=status,
        detail=_sentence(fields[0]) if invalid else DETAILS[status],
        errors=fields if invalid else [],
    ).model_dump(exclude_none=True)


def status_of(error: ModelError) -> HTTPStatus:
    """Return the status of the nearest class in `STATUS`."""
    known = (STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    return next(known, HTTPStatus.INTERNAL_SERVER_ERROR)


def model_problem(error: ModelError) -> JSONResponse:
    """Return the answer for an error of `models`; server errors are logged, not shown."""
    status = status_of(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        structlog.get_logger().error("model error", error=str(error))
        return problem(status)
    close = list(error.nearest[:MAX_NEAREST])
    field = FieldProblem(field=error.field, allowed=_truncate(error.allowed), nearest=close)
    detail = _sentence(field)
    if isinstance(error, ExpressionError):
        field.position = error.position
        detail = f"{error.field}, character {error.position}: {error.reason}. Allowed: {field.allowed}."
    return problem(status, detail, [field])


def _sentence(field: FieldProblem) -> str:
    """Return what is wrong with a field, as a sentence."""
    meant = f"did you mean {' or '.join(f'`{name}`' for name in field.nearest)}?" if field.nearest else ""
    if isinstance(field, UnknownField):
        return f"unknown field `{field.field}`; {meant or f'the fields are {field.allowed.removeprefix(ONE_OF)}.'}"
    return f"{field.field} must be {field.allowed}.{f' {meant.capitalize()}' if meant else ''}"


def overloaded(seconds: int) -> Response:
    """Return 503 with Retry-After (RFC 9110, section 10.2.3)."""
    headers = {"Retry-After": str(seconds), "Cache-Control": "no-store"}
    return Response(_overloaded_body(), UNAVAILABLE, headers, PROBLEM)


@cache
def _overloaded_body() -> bytes:
    # Cached: there are most of these when there is least time.
    return bytes(problem(UNAVAILABLE, BUSY, code=OVERLOADED).body)


def _invalid(items: Sequence[dict[str, Any]], route: object) -> JSONResponse:
    if any(item["type"] in ("json_invalid", "json_type") for item in items):
        return problem(HTTPStatus.BAD_REQUEST)
    if any(item["loc"][:1] == ("path",) for item in items):
        return problem(HTTPStatus.NOT_FOUND)
    return _unprocessable(wrong_fields(items, route))


def _unprocessable(fields: Sequence[FieldProblem]) -> JSONResponse:
    first, others = fields[0], len(fields) - 1
    detail = _sentence(first)
    if others:
        detail += f" {others} more {'field is' if others == 1 else 'fields are'} wrong; see errors."
    code = UNKNOWN_FIELD_CODE if isinstance(first, UnknownField) else ""
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, fields[:MAX_FIELDS], code=code)


def _truncate(text: str) -> str:
    return text if len(text) <= MAX_ALLOWED else f"{text[:MAX_ALLOWED]}…"


def _http(request: Request, error: HTTPException) -> JSONResponse:
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods(request))
    return problem(HTTPStatus(error.status_code), headers=headers)


def _methods(request: Request) -> list[str]:
    """Return the methods of all routes at this path: Starlette's own Allow has those of the first one."""
    scopes = {method: dict(request.scope) | {"method": method} for method in METHODS}
    routes = request.app.router.routes
    taken = [m for m, scope in scopes.items() if any(route.matches(scope)[0] is Match.FULL for route in routes)]
    # The middleware answers HEAD wherever there is GET.
    return [*taken, "HEAD"] if "GET" in taken else taken
