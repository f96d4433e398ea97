"""/docs and /redoc, without any other host: pages of our own, scripts and styles from the package fastapi_offline and
app/static.
"""

from importlib.resources import files

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from app.errors import NOT_FOUND

router = APIRouter(include_in_schema=False)
ASSETS = {
    "swagger-ui-bundle.js": ("fastapi_offline", "text/javascript"),
    "swagger-ui.css": ("fastapi_offline", "text/css"),
    "redoc.standalone.js": ("fastapi_offline", "text/javascript"),
    "favicon.png": ("fastapi_offline", "image/png"),
    "docs.css": ("app", "text/css"),
    "docs.js": ("app", "text/javascript"),
    "redoc.js": ("app", "text/javascript"),
}
FOREIGN_MARK, OWN_MARK = b"https://cdn.redoc.ly/redoc/logo-mini.svg", b"/playground/wave.svg"
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Namewave API</title>
<link rel="icon" href="/docs/assets/favicon.png">
<link rel="stylesheet" href="/docs/assets/docs.css">
{head}
</head>
<body>
<nav class="namewave" aria-label="Namewave">
  <a href="/">Playground</a> <a href="/lab">Lab</a> <a href="/docs">API</a> <a href="/redoc">Reference</a>
</nav>
<div id="page"></div>
{scripts}
</body>
</html>
"""
SCRIPT = '<script src="/docs/assets/{}"></script>'


@router.get("/docs")
async def docs() -> HTMLResponse:
    """Swagger UI over our own description."""
    scripts = "\n".join(SCRIPT.format(name) for name in ("swagger-ui-bundle.js", "docs.js"))
    head = '<link rel="stylesheet" href="/docs/assets/swagger-ui.css">'
    return HTMLResponse(PAGE.format(head=head, scripts=scripts))


@router.get("/redoc")
async def redoc() -> HTMLResponse:
    """ReDoc over our own description."""
    scripts = "\n".join(SCRIPT.format(name) for name in ("redoc.standalone.js", "redoc.js"))
    return HTMLResponse(PAGE.format(head="", scripts=scripts))


@router.get("/docs/assets/{name}")
async def asset(name: str) -> Response:
    """One of the files that the two pages need."""
    if name not in ASSETS:
        raise HTTPException(NOT_FOUND)
    package, media = ASSETS[name]
    # ReDoc shows its maker's mark from a foreign host; ours stands in for it.
    content = (files(package) / "static" / name).read_bytes().replace(FOREIGN_MARK, OWN_MARK)
    return Response(content, media_type=media, headers={"Cache-Control": "public, max-age=86400"})
