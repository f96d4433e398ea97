"""The floor: FastAPI, the service's request and answer models, and the same names for everyone."""

from fastapi import FastAPI

from app.responses import GenerateAnswer
from app.schemas import GenerateRequest
from benchmarks.servers.constant import constant_names
from benchmarks.servers.uvicorn_run import answer, run


def create_app() -> FastAPI:
    """Return the server."""
    app = FastAPI()

    @app.post("/generate")
    async def generate(request: GenerateRequest) -> GenerateAnswer:
        return answer(request, "human/constant@1", constant_names(request.count))

    return app


if __name__ == "__main__":
    run(create_app())
