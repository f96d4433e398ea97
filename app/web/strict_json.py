"""Parse JSON bodies and queries more strictly than FastAPI.

No repeated keys, no NaN, no other content type or encoding, no query beside a body.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope

from app.schemas import ALLOWED
from app.web.errors import QUERY, UNKNOWN_FIELD, UNREADABLE, UNSUPPORTED
from models.errors import OptionError

Model = TypeVar("Model", bound=BaseModel)
# Deep enough for any request of ours; the parser's own limit is about a thousand.
MAX_DEPTH = 20
# Above any valid request: each wrong array, object, key and parameter takes time on the event loop.
MAX_BRACKETS, MAX_KEYS, MAX_PARAMETERS = 100, 1000, 100
# Content-Encoding of a body that is not compressed.
NO_ENCODING = (b"", b"identity")
# An unfinished string takes all the rest, so that no place is scanned twice.
STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)


def read_json(body: bytes) -> Any:
    """Return the value of a body. Raises `HTTPException` 400 as `StrictRequest.json` does."""
    brackets = _brackets(body)
    if brackets > MAX_BRACKETS:
        raise HTTPException(UNREADABLE)
    try:
        # JSON is UTF-8 (RFC 8259, section 8.1); json.loads would guess other encodings.
        value = STRICT_JSON.decode(body.decode())
    except (ValueError, RecursionError):
        raise HTTPException(UNREADABLE) from None
    if brackets > MAX_DEPTH and _is_deep(value):
        raise HTTPException(UNREADABLE)
    return value


def _brackets(body: bytes) -> int:
    """Return how many arrays and objects a body opens.

    Strings may contain brackets; few need no closer look.
    """
    found = body.count(b"[") + body.count(b"{")
    if found <= MAX_DEPTH:
        return found
    bare = STRINGS.sub(b"", body)
    return bare.count(b"[") + bare.count(b"{")


def _is_deep(value: Any) -> bool:
    """Return whether arrays and objects nest deeper than `MAX_DEPTH`."""
    level = [value]
    for _ in range(MAX_DEPTH):
        inside = [v.values() if isinstance(v, dict) else v for v in level if isinstance(v, (dict, list))]
        level = [v for values in inside for v in values]
    return any(isinstance(v, (dict, list)) for v in level)


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ValueError("a key is repeated")
    if len(keys) > MAX_KEYS:
        raise ValueError("there are too many keys")
    return keys


def _reject_constant(constant: str) -> None:
    raise ValueError("this is no JSON number")


STRICT_JSON = json.JSONDecoder(object_pairs_hook=_reject_duplicate_keys, parse_constant=_reject_constant)


class StrictRequest(Request):
    """A request whose JSON is parsed strictly."""

    async def json(self) -> Any:
        """Return the body, parsed strictly.

        Raises `HTTPException` 400 for repeated keys, NaN, Infinity, deep nesting, broken JSON.
        """
        return read_json(await self.body())


class StrictRoute(APIRoute):
    """A route whose requests are parsed strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler behind our checks."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            check_request(request.scope)
            return await handle(StrictRequest(request.scope, request.receive))

        return strict


def check_request(scope: Scope) -> None:
    """Check content type, encoding and query. Raises `HTTPException` 415 and `OptionError`."""
    if scope["method"] == "POST":
        _check_content_type(scope)
    if scope["query_string"]:
        _check_query(Request(scope))


async def parse_body(scope: Scope, receive: Receive, model: type[Model]) -> Model:
    """Return the JSON body as `model`. Raises `HTTPException`, `OptionError`, `RequestValidationError`."""
    check_request(scope)
    # The middleware gives the whole body at once.
    body = (await receive())["body"]
    return _validated(model, read_json(body) if body else None, "body")


def parse_query(scope: Scope, model: type[Model]) -> Model:
    """Return the query as `model`. Raises `OptionError` and `RequestValidationError`."""
    check_request(scope)
    return _validated(model, dict(Request(scope).query_params), "query")


def _validated(model: type[Model], value: Any, place: str) -> Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        items = error.errors(include_url=False)
        raise RequestValidationError([{**item, "loc": (place, *item["loc"])} for item in items]) from None


def _check_query(request: Request) -> None:
    """Reject a query beside a body, too many parameters, and a repeated one."""
    if request.scope["query_string"].count(b"&") >= MAX_PARAMETERS:
        raise OptionError("The query is too long.", field=QUERY, allowed=f"at most {MAX_PARAMETERS} parameters long")
    names = Counter(name for name, _ in request.query_params.multi_items())
    if names and request.method == "POST":
        raise OptionError(
            "POST has a query.", field=QUERY, allowed="empty with POST: the fields belong into the JSON body"
        )
    for name, times in names.items():
        if times > 1:
            shown = name if name in ALLOWED else UNKNOWN_FIELD
            raise OptionError("A parameter is repeated.", field=shown, allowed="given once")


def _check_content_type(scope: Scope) -> None:
    types = set()
    for name, value in scope["headers"]:
        if name == b"content-type":
            types.add(value.partition(b";")[0].strip().lower())
        # A compressed body would be parsed as if it were not.
        elif name == b"content-encoding" and value.strip().lower() not in NO_ENCODING:
            raise HTTPException(UNSUPPORTED)
    if types != {b"application/json"}:
        raise HTTPException(UNSUPPORTED)
