"""The playground at /: its page, modules and style, served as they lie in app/static/playground. It uses the public API
only.
"""

from fastapi import APIRouter, Request, Response

from app.routes import page_files

router = APIRouter(include_in_schema=False)
FOLDER = "playground"


@router.get("/")
async def page(request: Request) -> Response:
    """The page."""
    return page_files.page(request, FOLDER)


@router.get("/playground/{name}")
async def asset(name: str, request: Request) -> Response:
    """A module, the style, or the picture."""
    return page_files.asset(request, FOLDER, name)
