"""Web pages: playground, lab, /docs and /redoc, with their assets. No page loads anything from another host.

The lab's names.txt is every hundredth name of the human list:
`awk 'NR % 100 == 1' data/human.txt > app/static/lab/names.txt`.
"""

import hashlib
from functools import lru_cache
from importlib.resources import files

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from app.web import headers
from app.web.caching import is_known
from app.web.errors import NOT_FOUND, NOT_MODIFIED

router = APIRouter(include_in_schema=False)
INDEX = "index.html"
MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript",
    "css": "text/css",
    "svg": "image/svg+xml",
    "png": "image/png",
    "txt": "text/plain; charset=utf-8",
}
# Assets of /docs and /redoc that a package holds.
PACKAGED = ("swagger-ui-bundle.js", "swagger-ui.css", "redoc.standalone.js", "favicon.png")
# ReDoc shows its logo from another host; ours replaces it.
REDOC_LOGO, OUR_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg", b"/playground/wave.svg"


@router.get("/")
async def playground(request: Request) -> Response:
    """The playground."""
    return _static(request, "playground", INDEX)


@router.get("/playground/{name}")
async def playground_asset(name: str, request: Request) -> Response:
    """A file of the playground."""
    return _asset(request, "playground", name)


@router.get("/lab")
async def lab(request: Request) -> Response:
    """The lab."""
    return _static(request, "lab", INDEX)


@router.get("/lab/page/{name}")
async def lab_asset(name: str, request: Request) -> Response:
    """A file of the lab."""
    return _asset(request, "lab", name)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Swagger UI."""
    return _static(request, "docs", "swagger.html")


@router.get("/redoc")
async def redoc(request: Request) -> Response:
    """ReDoc."""
    return _static(request, "docs", "redoc.html")


@router.get("/docs/assets/{name}")
async def docs_asset(name: str, request: Request) -> Response:
    """A file of /docs or /redoc."""
    if name not in PACKAGED:
        return _asset(request, "docs", name)
    content = (files("fastapi_offline") / "static" / name).read_bytes().replace(REDOC_LOGO, OUR_LOGO)
    return Response(content, media_type=_media_type(name), headers={"Cache-Control": "public, max-age=86400"})


def _asset(request: Request, folder: str, name: str) -> Response:
    # The folder's listing decides: a client's text never becomes a path.
    if name.endswith(".html") or name not in _names(folder):
        raise HTTPException(NOT_FOUND)
    return _static(request, folder, name)


def _static(request: Request, folder: str, name: str) -> Response:
    """Return a file; browsers ask for it each time, so that a new version shows at once."""
    content, etag = _read(folder, name)
    caching = {"ETag": etag, "Cache-Control": "no-cache"}
    if is_known(etag, headers.get_all(request.scope, b"if-none-match")):
        return Response(status_code=NOT_MODIFIED, headers=caching)
    return Response(content, media_type=_media_type(name), headers=caching)


def _media_type(name: str) -> str:
    return MEDIA_TYPES[name.rpartition(".")[2]]


@lru_cache
def _names(folder: str) -> frozenset[str]:
    names = (each.name for each in (files("app") / "static" / folder).iterdir())
    return frozenset(name for name in names if name.rpartition(".")[2] in MEDIA_TYPES)


@lru_cache
def _read(folder: str, name: str) -> tuple[bytes, str]:
    content = (files("app") / "static" / folder / name).read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'
