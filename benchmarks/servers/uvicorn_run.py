"""How the FastAPI servers of this folder are run: one uvicorn process with the fastest loop and parser that are
installed, no access log. The torch servers share the answer of this module, in the service's own schema.
"""

import click
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from app.responses import GenerateAnswer
from app.schemas import GenerateRequest
from models.inference import REASONS


def run(app: FastAPI) -> None:
    """Serve `app` on 127.0.0.1 at the port of the command line, until a signal."""
    run_app(app)


def run_app(app: ASGIApp) -> None:
    """Do what `run` does for any ASGI application."""

    @click.command()
    @click.option("--port", type=int, required=True)
    def command(port: int) -> None:
        uvicorn.run(app, host="127.0.0.1", port=port, loop="auto", http="auto", access_log=False, log_level="warning")

    command()


def answer(request: GenerateRequest | None, model: str, names: list[str]) -> GenerateAnswer:
    """Return `names` as the service would answer them."""
    return GenerateAnswer(
        dataset="human",
        model=model,
        seed=0 if request is None else request.seed or 0,
        offset=0,
        next_offset=len(names),
        temperature=1.0,
        complete=True,
        attempts=len(names),
        acceptance_rate=1.0,
        refused=dict.fromkeys(REASONS, 0),
        names=names,
    )
