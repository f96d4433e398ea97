"""Turn exceptions into problem documents (RFC 9457). Status codes live here alone; no answer repeats its input."""

import difflib
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
from app.schemas import ALLOWED
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

UNKNOWN_FIELD = "(unknown field)"


class FieldProblem(BaseModel):
    """One wrong field: what is allowed, and the nearest existing names."""

    field: str = Field(examples=["temperature"])
    allowed: str = Field(examples=["0.05 to 5"])
    nearest: list[str] = Field(default=[], examples=[["wavenet"]])
    position: int | None = Field(None, description="Of a text: which character is wrong, counted from 1.", ge=1)


def wrong_fields(items: Iterable[dict[str, Any]], route: object) -> list[FieldProblem]:
    """Return each field that pydantic's errors are about, once."""
    found: dict[str, FieldProblem] = {}
    for item in items:
        # The first: a map by data set may have keys named like fields.
        name = next((part for part in item["loc"] if part in ALLOWED), "")
        if name and item["type"] != "extra_forbidden":
            found.setdefault(name, FieldProblem(field=name, allowed=ALLOWED[name]))
        elif len(item["loc"]) < 2:
            found.setdefault("body", FieldProblem(field="body", allowed="a JSON object"))
        elif UNKNOWN_FIELD not in found:
            # There may be thousands of unknown fields; the nearest name is looked up once.
            known = _fields_of(route)
            nearest = difflib.get_close_matches(str(item["loc"][-1])[:32], known, n=1)
            found[UNKNOWN_FIELD] = FieldProblem(field=UNKNOWN_FIELD, allowed=", ".join(known), nearest=nearest)
    return list(found.values())


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

# Why a request was refused, as the metrics call it, unless the refusal itself says so.
REASONS = {
    HTTPStatus.BAD_REQUEST: "unreadable",
    HTTPStatus.UNAUTHORIZED: "key",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method",
    HTTPStatus.NOT_ACCEPTABLE: "not_acceptable",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "content_type",
    HTTPStatus.UNPROCESSABLE_ENTITY: "invalid",
    HTTPStatus.TOO_MANY_REQUESTS: "limit",
    HTTPStatus.INTERNAL_SERVER_ERROR: "error",
    HTTPStatus.SERVICE_UNAVAILABLE: "unavailable",
    VERSION_NOT_SUPPORTED: "http_version",
}

# The reason of a refused CORS preflight; its status is that of an unreadable body.
PREFLIGHT = "preflight"

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
    HTTPStatus.NOT_FOUND: "There is nothing by this name here.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not take this method; see the Allow header.",
    HTTPStatus.NOT_ACCEPTABLE: f"There is {', '.join(OFFERED)}; the Accept header takes none of them.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The request's body is too large; see /info for the limit.",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "The request's address and headers are too large, or too many.",
    HTTPStatus.REQUEST_TIMEOUT: "The request did not arrive in time.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body must be plain JSON, with the header Content-Type: application/json.",
    HTTPStatus.BAD_REQUEST: "The request cannot be read: the body is no JSON, repeats a key, or nests too deeply.",
    HTTPStatus.UNAUTHORIZED: "A key is needed, in the header Authorization: Bearer or X-API-Key.",
    HTTPStatus.TOO_MANY_REQUESTS: "This client had its share for now; Retry-After says when there is more.",
    HTTPStatus.SERVICE_UNAVAILABLE: "This model cannot be served at the moment; /health/ready says more.",
    VERSION_NOT_SUPPORTED: "Streams need HTTP/1.1: over HTTP/1.0 a cut stream looks complete. Behind nginx, set "
    "proxy_http_version 1.1.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong here; the log knows more under this request's id.",
}

BUSY = "There is more to do than this service can do in time; ask again after the seconds that Retry-After says."


class Problem(BaseModel):
    """An error after RFC 9457."""

    type: str = "about:blank"
    title: str = Field(examples=["Unprocessable Entity"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["temperature: allowed is a number, 0.05 to 5."])
    errors: list[FieldProblem] = []


def problem(
    status: HTTPStatus,
    detail: str = "",
    fields: Sequence[FieldProblem] = (),
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Return a problem document."""
    text = detail or DETAILS.get(status, status.description or status.phrase)
    body = Problem(title=status.phrase, status=status, detail=text, errors=list(fields)).model_dump(exclude_none=True)
    return JSONResponse(body, status, headers, PROBLEM)


def add_handlers(app: FastAPI) -> None:
    """Turn every expected error into a problem; `RequestMiddleware` handles the unexpected ones."""
    for kind in (RequestValidationError, HTTPException, ModelError, Overloaded, RateLimitExceeded, MemoryError):
        app.add_exception_handler(kind, _handle)


async def _handle(request: Request, error: Exception) -> Response:
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
    request.scope["refusal"] = "overload"
    return overloaded(error.seconds if isinstance(error, Overloaded) else 1)


def unauthorized(given: bool) -> JSONResponse:
    """Return the answer to a request without a key, or with an unknown one."""
    detail = "This key is not known here." if given else ""
    return problem(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": 'Bearer realm="namewave"'})


def rate_limited(error: RateLimitExceeded) -> JSONResponse:
    """Return the answer to a client over its rate limit, with Retry-After."""
    detail = (
        f"This request may take {error.characters} of the {error.limit} characters that a client has in a minute, and "
        "fewer are left for now; Retry-After says when there are enough."
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
    text = f"temperature: allowed is {ALLOWED['temperature']}." if invalid else DETAILS[status]
    return Problem(title=status.phrase, status=status, detail=text, errors=fields if invalid else []).model_dump(
        exclude_none=True
    )


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
    place = ""
    if isinstance(error, ExpressionError):
        field.position = error.position
        place = f"character {error.position}: {error.reason}; "
    detail = f"{error.field}: {place}allowed is {field.allowed}.{_did_you_mean(close)}"
    return problem(status, detail, [field])


def _did_you_mean(nearest: Sequence[str]) -> str:
    return f" Nearest: {', '.join(nearest)}." if nearest else ""


def overloaded(seconds: int) -> Response:
    """Return 503 with Retry-After (RFC 9110, section 10.2.3)."""
    headers = {"Retry-After": str(seconds), "Cache-Control": "no-store"}
    return Response(_overloaded_body(), UNAVAILABLE, headers, PROBLEM)


@cache
def _overloaded_body() -> bytes:
    # Cached: there are most of these when there is least time.
    return bytes(problem(UNAVAILABLE, BUSY).body)


def _invalid(items: Sequence[dict[str, Any]], route: object) -> JSONResponse:
    if any(item["type"] in ("json_invalid", "json_type") for item in items):
        return problem(HTTPStatus.BAD_REQUEST)
    if any(item["loc"][:1] == ("path",) for item in items):
        return problem(HTTPStatus.NOT_FOUND)
    return _unprocessable(wrong_fields(items, route))


def _unprocessable(fields: Sequence[FieldProblem]) -> JSONResponse:
    first, others = fields[0], len(fields) - 1
    detail = f"{first.field}: allowed is {first.allowed}.{_did_you_mean(first.nearest)}"
    if others:
        detail += f" {others} more {'field is' if others == 1 else 'fields are'} wrong; see errors."
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, fields[:MAX_FIELDS])


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
