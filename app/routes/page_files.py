"""Files of a page, as they lie in a folder of app/static: asked for anew each time, so that a new version shows at
once. Which address has which folder is the routes' matter.
"""

import hashlib
from functools import lru_cache
from importlib.resources import files

from fastapi import Request, Response
from starlette.exceptions import HTTPException

from app.caching import is_known
from app.errors import NOT_FOUND, NOT_MODIFIED
from app.headers import values

PAGE = "index.html"
MEDIA = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


def page(request: Request, folder: str) -> Response:
    """Return the folder's page, or nothing where the browser has it."""
    return _answer(request, folder, PAGE)


def asset(request: Request, folder: str, name: str) -> Response:
    """Return another of the folder's files, or nothing where the browser has it. Raises `HTTPException` 404."""
    # Looked up in the folder's list: a name is never made a path.
    if name == PAGE or name not in _names(folder):
        raise HTTPException(NOT_FOUND)
    return _answer(request, folder, name)


def _answer(request: Request, folder: str, name: str) -> Response:
    content, tag = _read(folder, name)
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if is_known(tag, values(request.scope, b"if-none-match")):
        return Response(status_code=NOT_MODIFIED, headers=headers)
    return Response(content, media_type=MEDIA[f".{name.rpartition('.')[2]}"], headers=headers)


@lru_cache
def _names(folder: str) -> frozenset[str]:
    listed = (each.name for each in (files("app") / "static" / folder).iterdir())
    return frozenset(name for name in listed if f".{name.rpartition('.')[2]}" in MEDIA)


@lru_cache
def _read(folder: str, name: str) -> tuple[bytes, str]:
    content = (files("app") / "static" / folder / name).read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'
