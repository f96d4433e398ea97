"""Batched torch behind FastAPI: all names of a request in one batch, a forward pass for each position."""

from fastapi import FastAPI

from app.responses import GenerateAnswer
from app.schemas import GenerateRequest
from benchmarks.servers.network import TorchNames
from benchmarks.servers.uvicorn_run import answer, run


def create_app() -> FastAPI:
    """Return the server."""
    app, names = FastAPI(), TorchNames()

    # On the loop, as in `lecture`.
    @app.post("/generate")
    async def generate(request: GenerateRequest) -> GenerateAnswer:
        return answer(request, names.reference, names.together([(request.count, request.seed or 0)])[0])

    return app


if __name__ == "__main__":
    run(create_app())
