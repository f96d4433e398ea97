"""From errors to answers: the only file that knows status codes. RFC 9457 problems, which never repeat what was
given.
"""

from collections.abc import Sequence
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

from app.access.purse import TooMuch
from app.field_problems import UNKNOWN_FIELD, FieldProblem, wrong_fields
from app.negotiation import OFFERED
from app.schemas import ALLOWED
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

PROBLEM = "application/problem+json"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# An error is at most a kilobyte, whatever was asked: so many fields, names and characters of our lists are told.
MAX_FIELDS, MAX_NEAREST, MAX_ALLOWED = 4, 3, 200
QUERY = "(query)"

# What the other files refuse with, so that status codes are told here alone.
UNREADABLE, UNSUPPORTED = HTTPStatus.BAD_REQUEST, HTTPStatus.UNSUPPORTED_MEDIA_TYPE
NOT_ACCEPTABLE, NOT_FOUND, UNAVAILABLE = HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE
# For the log alone: nobody is left to read it.
CLIENT_GONE = 499
NOT_MODIFIED = HTTPStatus.NOT_MODIFIED
VERSION_NOT_SUPPORTED = HTTPStatus.HTTP_VERSION_NOT_SUPPORTED
HEAD_TOO_LARGE, TOO_SLOW = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HTTPStatus.REQUEST_TIMEOUT

# What any request may be refused with before its route is asked.
EDGE = (UNREADABLE, TOO_SLOW, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HEAD_TOO_LARGE)

# What refused a request, as the metrics call it, where the refusal itself does not say.
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

# A page of another origin asked whether it may ask, and may not. Its status is that of a body nobody can read.
PREFLIGHT = "preflight"

# The nearest class in an error's ancestry decides.
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


class Overloaded(Exception):
    """There is more to do than can be done; `seconds`, 1 or more: when to ask again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"overloaded for {seconds} s")
        self.seconds = seconds


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
    """Return the answer for an error."""
    said = detail or DETAILS.get(status, status.description or status.phrase)
    body = Problem(title=status.phrase, status=status, detail=said, errors=list(fields)).model_dump(exclude_none=True)
    return JSONResponse(body, status, headers, PROBLEM)


def add_handlers(app: FastAPI) -> None:
    """Let every error of `app` become a problem; `middleware.RequestLog` sees to those that nobody foresaw."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ModelError, _model)
    app.add_exception_handler(Overloaded, _overloaded)
    app.add_exception_handler(TooMuch, _too_much)
    app.add_exception_handler(MemoryError, _no_memory)


def no_key(given: bool) -> JSONResponse:
    """Return the answer to a request without a key, or with one that is not known."""
    detail = "This key is not known here." if given else ""
    return problem(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": 'Bearer realm="namewave"'})


def too_much(error: TooMuch) -> JSONResponse:
    """Return the answer to a client who had its share, and when it has enough again."""
    detail = (
        f"This request may take {error.characters} of the {error.limit} characters that a client has in a minute, and "
        "fewer are left for now; Retry-After says when there are enough."
    )
    return problem(HTTPStatus.TOO_MANY_REQUESTS, detail, headers={"Retry-After": str(error.seconds)})


async def _too_much(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TooMuch)
    return too_much(error)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's description of these errors of a route."""
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
    """Return what an error of this status may look like."""
    fields = [FieldProblem(field="temperature", allowed=ALLOWED["temperature"])]
    wrong = status == HTTPStatus.UNPROCESSABLE_ENTITY
    said = f"temperature: allowed is {ALLOWED['temperature']}." if wrong else DETAILS[status]
    return Problem(title=status.phrase, status=status, detail=said, errors=fields if wrong else []).model_dump(
        exclude_none=True
    )


def status_of(error: ModelError) -> HTTPStatus:
    """Return the status that `STATUS` gives the nearest ancestor of the error's class."""
    known = (STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    return next(known, HTTPStatus.INTERNAL_SERVER_ERROR)


async def _model(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ModelError)
    return model_problem(error)


def model_problem(error: ModelError) -> JSONResponse:
    """Return the answer for an error of `models`."""
    status = status_of(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        structlog.get_logger().error("model error", error=str(error))
        return problem(status)
    close = list(error.nearest[:MAX_NEAREST])
    field = FieldProblem(field=error.field, allowed=_short(error.allowed), nearest=close)
    place = ""
    if isinstance(error, ExpressionError):
        field.position = error.position
        place = f"character {error.position}: {error.reason}; "
    detail = f"{error.field}: {place}allowed is {field.allowed}.{_told(close)}"
    return problem(status, detail, [field])


def _told(nearest: Sequence[str]) -> str:
    return f" Nearest: {', '.join(nearest)}." if nearest else ""


async def _overloaded(request: Request, error: Exception) -> Response:
    assert isinstance(error, Overloaded)
    request.scope["refusal"] = "overload"
    return overloaded(error.seconds)


def overloaded(seconds: int) -> Response:
    """Return the answer that tells to come again in so many seconds (RFC 9110, section 10.2.3)."""
    headers = {"Retry-After": str(seconds), "Cache-Control": "no-store"}
    return Response(_busy(), UNAVAILABLE, headers, PROBLEM)


@cache
def _busy() -> bytes:
    # Made once: there are many of them when there is no time to make them.
    return bytes(problem(UNAVAILABLE, BUSY).body)


async def _no_memory(request: Request, error: Exception) -> Response:
    # Others may be done soon, and give theirs back.
    structlog.get_logger().error("no memory", error=str(error))
    request.scope["refusal"] = "overload"
    return overloaded(1)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    items = error.errors()
    if any(item["type"] in ("json_invalid", "json_type") for item in items):
        return problem(HTTPStatus.BAD_REQUEST)
    if any(item["loc"][:1] == ("path",) for item in items):
        return problem(HTTPStatus.NOT_FOUND)
    return _unprocessable(wrong_fields(items, request.scope.get("route")))


def _unprocessable(fields: Sequence[FieldProblem]) -> JSONResponse:
    first, others = fields[0], len(fields) - 1
    detail = f"{first.field}: allowed is {first.allowed}.{_told(first.nearest)}"
    if others:
        detail += f" {others} more {'field is' if others == 1 else 'fields are'} wrong; see errors."
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, fields[:MAX_FIELDS])


def invalid_query(name: str, allowed: str) -> JSONResponse:
    """Return the answer to a query that breaks a rule about parameters; `name` is told only if it is one of ours."""
    shown = name if name in (*ALLOWED, QUERY) else UNKNOWN_FIELD
    return _unprocessable([FieldProblem(field=shown, allowed=allowed)])


def _short(text: str) -> str:
    return text if len(text) <= MAX_ALLOWED else f"{text[:MAX_ALLOWED]}…"


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods(request))
    return problem(HTTPStatus(error.status_code), headers=headers)


def _methods(request: Request) -> list[str]:
    """Return what this address takes over all its routes: Starlette's own Allow tells of the first one only."""
    scopes = {method: dict(request.scope) | {"method": method} for method in METHODS}
    routes = request.app.router.routes
    taken = [m for m, scope in scopes.items() if any(route.matches(scope)[0] is Match.FULL for route in routes)]
    # `heads` answers it wherever GET is.
    return [*taken, "HEAD"] if "GET" in taken else taken
