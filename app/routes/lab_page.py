"""The lab at /lab: its page, modules and style, served as they lie in app/static/lab. It computes in the browser, and
asks the public API for the rest.

Its names.txt is every hundredth name of the human list:
`awk 'NR % 100 == 1' data/human.txt > app/static/lab/names.txt`.
"""

from fastapi import APIRouter, Request, Response

from app.routes import page_files

router = APIRouter(include_in_schema=False)
FOLDER = "lab"


@router.get("/lab")
async def page(request: Request) -> Response:
    """The page."""
    return page_files.page(request, FOLDER)


@router.get("/lab/page/{name}")
async def asset(name: str, request: Request) -> Response:
    """A module, a style, or the names."""
    return page_files.asset(request, FOLDER, name)
