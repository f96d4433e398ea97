"""Web pages: playground, lab, /docs and /redoc, with their assets, all from this host.

All addresses in them are relative, so that they work behind any prefix.

The lab's names.txt is every hundredth name of the human list:
`awk 'NR % 100 == 1' data/human.txt > app/static/lab/names.txt`.
"""

import hashlib
from functools import lru_cache, partial
from importlib.resources import files

import anyio.to_thread
from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from app.web.errors import NOT_FOUND
from app.web.files import MEDIA_TYPES, compress, file_response

router = APIRouter(include_in_schema=False)
INDEX = "index.html"
# Assets of /docs and /redoc that a package holds.
PACKAGED = ("swagger-ui-bundle.js", "swagger-ui.css", "redoc.standalone.js", "favicon.png")
# ReDoc shows its logo from another host; ours replaces it.
REDOC_LOGO, OUR_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg", b"playground/wave.svg"


@router.get("/")
async def playground(request: Request) -> Response:
    """The playground."""
    return await _static(request, "playground", INDEX)


@router.get("/playground/{name}")
async def playground_asset(name: str, request: Request) -> Response:
    """A file of the playground."""
    return await _asset(request, "playground", name)


@router.get("/lab")
async def lab(request: Request) -> Response:
    """The lab."""
    return await _static(request, "lab", INDEX)


@router.get("/lab/page/{name}")
async def lab_asset(name: str, request: Request) -> Response:
    """A file of the lab."""
    return await _asset(request, "lab", name)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Swagger UI."""
    return await _static(request, "docs", "swagger.html")


@router.get("/redoc")
async def redoc(request: Request) -> Response:
    """ReDoc."""
    return await _static(request, "docs", "redoc.html")


@router.get("/docs/assets/{name}")
async def docs_asset(name: str, request: Request) -> Response:
    """A file of /docs or /redoc."""
    return await (_static if name in PACKAGED else _asset)(request, "docs", name)


async def _asset(request: Request, folder: str, name: str) -> Response:
    # The folder's listing decides: a client's text never becomes a path.
    if name.endswith(".html") or name not in _names(folder):
        raise HTTPException(NOT_FOUND)
    return await _static(request, folder, name)


async def _static(request: Request, folder: str, name: str) -> Response:
    digest, size = await anyio.to_thread.run_sync(_identify, folder, name)
    return await file_response(
        request, name, digest, size, partial(_read, folder, name), partial(_read_compressed, folder, name)
    )


@lru_cache
def _names(folder: str) -> frozenset[str]:
    names = (each.name for each in (files("app") / "static" / folder).iterdir())
    return frozenset(name for name in names if name.rpartition(".")[2] in MEDIA_TYPES)


@lru_cache
def _identify(folder: str, name: str) -> tuple[str, int]:
    """Return a file's digest and size."""
    content = _read(folder, name)
    return hashlib.sha256(content).hexdigest(), len(content)


@lru_cache
def _read(folder: str, name: str) -> bytes:
    if name in PACKAGED:
        return (files("fastapi_offline") / "static" / name).read_bytes().replace(REDOC_LOGO, OUR_LOGO)
    return (files("app") / "static" / folder / name).read_bytes()


@lru_cache
def _read_compressed(folder: str, name: str) -> bytes:
    return compress(_read(folder, name))
