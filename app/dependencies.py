"""What handlers ask for: the registry, the settings, the threads for long work. All of it travels in the lifespan's
state.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, TypedDict

import anyio
import anyio.to_thread
from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from app.errors import NOT_ACCEPTABLE
from app.settings import Settings
from models import ModelRegistry


@dataclass(frozen=True)
class Service:
    """What a running service is made of. `entropy` gives a seed where a request has none."""

    settings: Settings
    registry: ModelRegistry
    threads: anyio.CapacityLimiter
    entropy: Callable[[], int]


class State(TypedDict):
    """The lifespan's state."""

    service: Service


Lifespan = AsyncIterator[State]


def service(request: Request) -> Service:
    """Return the running service."""
    running: Service = request.state.service
    return running


async def _service(request: Request) -> Service:
    # A coroutine: FastAPI would call anything else in a thread.
    return service(request)


def accepts_json(request: Request) -> None:
    """Refuse a client that wants no JSON (RFC 9110, section 12.5.1): other types are not built yet."""
    header = request.headers.get("accept", "*/*")
    if not any(_is_json(part) for part in header.split(",")):
        raise HTTPException(NOT_ACCEPTABLE)


def _is_json(part: str) -> bool:
    media, *parameters = (piece.strip().lower() for piece in part.split(";"))
    refused = any(p.replace(" ", "") in ("q=0", "q=0.0", "q=0.00", "q=0.000") for p in parameters)
    return media in ("application/json", "application/*", "*/*") and not refused


Running = Annotated[Service, Depends(_service)]
