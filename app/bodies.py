"""How a JSON body and a query are read, more strictly than FastAPI does: no repeated keys, no NaN, no other content
type.
"""

import json
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

BAD_REQUEST, UNSUPPORTED_MEDIA_TYPE = 400, 415
# Deep enough for any request of ours; the parser's own limit is a thousand and costs more.
MAX_DEPTH = 20


class StrictRequest(Request):
    """A request whose JSON must say each thing once."""

    async def json(self) -> Any:
        """Return the body. Raises `HTTPException` 400 for repeated keys, NaN, Infinity, deep nesting, broken JSON."""
        body = await self.body()
        if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
            raise HTTPException(BAD_REQUEST)
        try:
            return json.loads(body, object_pairs_hook=_once, parse_constant=_refuse)
        except (ValueError, RecursionError):
            raise HTTPException(BAD_REQUEST) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ValueError("a key is repeated")
    return keys


def _refuse(constant: str) -> None:
    raise ValueError("this is no JSON number")


class StrictRoute(APIRoute):
    """A route that reads its requests strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's own handler behind the checks."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            if request.method == "POST":
                _check_content_type(request)
            if max(Counter(key for key, _ in request.query_params.multi_items()).values(), default=1) > 1:
                raise HTTPException(422)
            return await handle(StrictRequest(request.scope, request.receive))

        return strict


def _check_content_type(request: Request) -> None:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise HTTPException(UNSUPPORTED_MEDIA_TYPE)
