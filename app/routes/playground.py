"""The playground at /: its page, modules and style, served as they lie in app/static/playground. It uses the public API
only.
"""

import hashlib
from functools import lru_cache
from importlib.resources import files

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from app.caching import is_known
from app.errors import NOT_FOUND, NOT_MODIFIED
from app.headers import values

router = APIRouter(include_in_schema=False)
PAGE = "index.html"
ASSETS = {
    **dict.fromkeys(
        [f"{m}.js" for m in ("api", "dom", "favourites", "form", "main", "markdown", "models", "next", "play", "why")],
        "text/javascript",
    ),
    "style.css": "text/css",
    "wave.svg": "image/svg+xml",
}
# Stricter than what the documentation pages need: no style and no script but our own files.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


@router.get("/")
async def page(request: Request) -> Response:
    """The page."""
    return _file(request, PAGE, "text/html; charset=utf-8")


@router.get("/playground/{name}")
async def asset(name: str, request: Request) -> Response:
    """A module, the style, or the picture."""
    if name not in ASSETS:
        raise HTTPException(NOT_FOUND)
    return _file(request, name, ASSETS[name])


def _file(request: Request, name: str, media: str) -> Response:
    """Return a file, or nothing where the browser has it: it asks each time, so that a new version shows at once."""
    content, tag = _read(name)
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Content-Security-Policy": POLICY}
    if is_known(tag, values(request.scope, b"if-none-match")):
        return Response(status_code=NOT_MODIFIED, headers=headers)
    return Response(content, media_type=media, headers=headers)


@lru_cache
def _read(name: str) -> tuple[bytes, str]:
    content = (files("app") / "static" / "playground" / name).read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'
