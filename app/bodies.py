"""How a JSON body and a query are read, more strictly than FastAPI does: no repeated keys, no NaN, no other content
type or encoding, no query beside a body. What the fields mean is the schemas' matter.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from app import headers
from app.errors import QUERY, UNREADABLE, UNSUPPORTED, invalid_query

# Deep enough for any request of ours; the parser's own limit is about a thousand.
MAX_DEPTH = 20
# More than any request of ours has: each array, object, key and parameter that is wrong takes time on the event loop.
MAX_BRACKETS, MAX_KEYS, MAX_PARAMETERS = 100, 1000, 100
# What Content-Encoding says of a body that is as it was written.
PLAIN = {"", "identity"}
# One that does not end is all that is left: no place is looked at twice.
STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)


class StrictRequest(Request):
    """A request whose JSON must say each thing once."""

    async def json(self) -> Any:
        """Return the body. Raises `HTTPException` 400 for repeated keys, NaN, Infinity, deep nesting, broken JSON."""
        return read_json(await self.body())


def read_json(body: bytes) -> Any:
    """Return what a body says. Raises `HTTPException` 400 as `StrictRequest.json` does."""
    brackets = _brackets(body)
    if brackets > MAX_BRACKETS:
        raise HTTPException(UNREADABLE)
    try:
        # JSON travels as UTF-8 (RFC 8259, section 8.1); json.loads would take other encodings of bytes.
        value = STRICT_JSON.decode(body.decode())
    except (ValueError, RecursionError):
        raise HTTPException(UNREADABLE) from None
    if brackets > MAX_DEPTH and _is_deep(value):
        raise HTTPException(UNREADABLE)
    return value


def _brackets(body: bytes) -> int:
    """Return how many arrays and objects begin in the body. Names may have brackets, too: few need no closer look."""
    found = body.count(b"[") + body.count(b"{")
    if found <= MAX_DEPTH:
        return found
    bare = STRINGS.sub(b"", body)
    return bare.count(b"[") + bare.count(b"{")


def _is_deep(value: Any) -> bool:
    """Tell whether arrays and objects stand in each other more than `MAX_DEPTH` deep."""
    level = [value]
    for _ in range(MAX_DEPTH):
        inside = [v.values() if isinstance(v, dict) else v for v in level if isinstance(v, (dict, list))]
        level = [v for values in inside for v in values]
    return any(isinstance(v, (dict, list)) for v in level)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ValueError("a key is repeated")
    if len(keys) > MAX_KEYS:
        raise ValueError("there are too many keys")
    return keys


def _refuse(constant: str) -> None:
    raise ValueError("this is no JSON number")


STRICT_JSON = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_refuse)


class StrictRoute(APIRoute):
    """A route that reads its requests strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's own handler behind the checks."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            strictly = StrictRequest(request.scope, request.receive)
            if request.method == "POST":
                _check_content_type(strictly)
            return (request.scope["query_string"] and _refusal(strictly)) or await handle(strictly)

        return strict


def _refusal(request: Request) -> Response | None:
    """Return the answer to a query beside a body, to too many parameters and to a repeated one, None for any other
    query.
    """
    if request.scope["query_string"].count(b"&") >= MAX_PARAMETERS:
        return invalid_query(QUERY, f"at most {MAX_PARAMETERS} parameters")
    names = Counter(name for name, _ in request.query_params.multi_items())
    if names and request.method == "POST":
        return invalid_query(QUERY, "none with POST: the fields go into the JSON body")
    repeated = next((name for name, times in names.items() if times > 1), None)
    return None if repeated is None else invalid_query(repeated, "each field once")


def _check_content_type(request: Request) -> None:
    types = {text.partition(";")[0].strip().lower() for text in headers.values(request.scope, b"content-type")}
    # A body that says it is packed would be read as if it were not.
    packings = {text.strip().lower() for text in headers.values(request.scope, b"content-encoding")}
    if types != {"application/json"} or packings - PLAIN:
        raise HTTPException(UNSUPPORTED)
