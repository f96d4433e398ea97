"""The lectures' loop behind FastAPI: torch, name by name, one forward pass over a window for each character."""

from fastapi import FastAPI

from app.responses import GenerateAnswer
from app.schemas import GenerateRequest
from benchmarks.servers.network import TorchNames
from benchmarks.servers.uvicorn_run import answer, run


def create_app() -> FastAPI:
    """Return the server."""
    app, names = FastAPI(), TorchNames()

    # On the loop, not in threads: on one core, threads that draw at the same time only hinder each other.
    @app.post("/generate")
    async def generate(request: GenerateRequest) -> GenerateAnswer:
        return answer(request, names.reference, names.one_by_one(request.count, request.seed or 0))

    return app


if __name__ == "__main__":
    run(create_app())
