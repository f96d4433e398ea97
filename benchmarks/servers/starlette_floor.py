"""A floor between: Starlette, a body parsed as JSON, and the same names for everyone as a JSON response."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.servers.constant import constant_names
from benchmarks.servers.uvicorn_run import answer, run_app


async def generate(request: Request) -> JSONResponse:
    """Answer a request."""
    fields = await request.json()
    return JSONResponse(answer(None, "human/constant@1", constant_names(fields["count"])).model_dump())


if __name__ == "__main__":
    run_app(Starlette(routes=[Route("/generate", generate, methods=["POST"])]))
