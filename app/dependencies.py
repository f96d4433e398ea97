"""What handlers ask for: the registry, the settings, admission to the threads. All of it travels in the lifespan's
state.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, TypedDict

import anyio.to_thread
from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from app import headers, negotiation
from app.errors import NOT_ACCEPTABLE
from app.load.admission import Admission
from app.load.costs import Costs
from app.metrics import Metrics
from app.naming.decency import Decency
from app.naming.explaining import Explainer
from app.naming.sources import Sources, is_blend
from app.schemas import SourceQuery
from app.settings import Settings
from models import ModelRegistry
from models.blends import Source
from models.inference import PrefixMemory


@dataclass(frozen=True)
class Service:
    """What a running service is made of. `sources` finds what to draw from; `entropy` gives a seed where a request has
    none; `memory` is what was computed of prefixes; `explainer` judges names, `decency` knows which ones are not told;
    `admission` says what is begun, by what `costs` expects; `metrics` counts.
    """

    settings: Settings
    registry: ModelRegistry
    sources: Sources
    admission: Admission
    entropy: Callable[[], int]
    memory: PrefixMemory
    explainer: Explainer
    decency: Decency
    costs: Costs
    metrics: Metrics


class State(TypedDict):
    """The lifespan's state."""

    service: Service


Lifespan = AsyncIterator[State]


def service(request: Request) -> Service:
    """Return the running service."""
    running: Service = request.scope["state"]["service"]
    return running


async def _service(request: Request) -> Service:
    # A coroutine: FastAPI would call anything else in a thread.
    return service(request)


def accepted(request: Request) -> str:
    """Return the media type that the client likes best. Raises `HTTPException` 406 where we have none of its liking."""
    media = negotiation.chosen(headers.values(request.scope, b"accept"))
    if media is None:
        raise HTTPException(NOT_ACCEPTABLE, headers={"Vary": "Accept"})
    return media


async def source_of(request: SourceQuery, running: Service) -> Source:
    """Return what to draw from; a blend, which may have to be made first, off the event loop. Raises what
    `Sources.find` does.
    """
    if is_blend(request.dataset):
        return await anyio.to_thread.run_sync(_blended, request, running, limiter=running.admission.limiter)
    return running.sources.find(request.dataset, request.model)


def _blended(request: SourceQuery, running: Service) -> Source:
    source = running.sources.find(request.dataset, request.model)
    # Its letters together are an alphabet of its own.
    running.decency.automaton(source.generator.vocabulary)
    return source


Running = Annotated[Service, Depends(_service)]
