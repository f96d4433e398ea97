"""Dependencies of route handlers: the running service, from the lifespan state, and its parts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypedDict

import anyio.to_thread
from fastapi import Depends, Request
from starlette.exceptions import HTTPException
from starlette.types import Scope

from app.admission.controller import AdmissionController
from app.admission.cost_model import CostModel
from app.admission.execution import Execution
from app.metrics import Metrics
from app.names.generation import SamplerCache, with_seed
from app.names.jobs import GenerateJob, StreamJob
from app.names.scoring import Scorer
from app.names.sources import SourceResolver, is_blend
from app.schemas import GenerateQuery, SourceQuery
from app.security.rate_limiter import QUOTA_KEY, RequestQuota
from app.settings import Settings
from app.web import headers, negotiation
from app.web.errors import NOT_ACCEPTABLE, VERSION_NOT_SUPPORTED
from app.web.negotiation import JSON
from models import ModelRegistry
from models.blends import Source
from models.inference import PrefixMemory
from models.inference.stream import FIRST_CHUNK


@dataclass(frozen=True)
class Service:
    """The parts of a running service. `entropy` returns a seed; `memory` is the cache of prefixes."""

    settings: Settings
    registry: ModelRegistry
    sources: SourceResolver
    admission: AdmissionController
    cost_model: CostModel
    entropy: Callable[[], int]
    memory: PrefixMemory
    samplers: SamplerCache
    scorer: Scorer
    metrics: Metrics

    @property
    def etag_settings(self) -> str:
        """The settings that change an answer, as text for its ETag."""
        settings = self.settings
        return f"{settings.max_attempts} {settings.max_stream_attempts} {self.samplers.profanity.digest}"

    def execute(self, request: GenerateQuery, source: Source, media: str, quota: RequestQuota | None) -> Execution:
        """Return the execution of a request, to be entered. Raises `OptionError` and `UnknownCharacter`."""
        request, settings = with_seed(request, self.entropy), self.settings
        is_small = request.count <= FIRST_CHUNK
        first = FIRST_CHUNK if is_small else self.cost_model.first_chunk(request, source)
        kind, attempts = (
            (GenerateJob, settings.max_attempts) if media == JSON else (StreamJob, settings.max_stream_attempts)
        )
        speed = self.cost_model.inline_speed(source)
        job = kind(request, source, attempts, self.memory, self.samplers, media, first, speed)
        return Execution(job, quota, self.admission, self.cost_model, self.metrics, settings.deadline_seconds)


class State(TypedDict):
    """The lifespan state."""

    service: Service


async def _get_service(request: Request) -> Service:
    # A coroutine: FastAPI calls anything else in a thread.
    service: Service = request.scope["state"]["service"]
    return service


def get_quota(request: Request) -> RequestQuota | None:
    """Return the quota that the middleware left in the scope, or None without a rate limit."""
    return request.scope.get(QUOTA_KEY)


def negotiated_media_type(scope: Scope) -> str:
    """Return the media type that Accept prefers.

    Raises `HTTPException`: 406 if Accept allows none of ours, 505 for a stream over HTTP/1.0, where a client cannot see
    whether it is complete.
    """
    if b"accept" not in scope[headers.GIVEN]:
        return JSON
    media = negotiation.chosen(headers.get_all(scope, b"accept"))
    if media is None:
        raise HTTPException(NOT_ACCEPTABLE, headers={"Vary": "Accept"})
    if media != JSON and scope["http_version"] == "1.0":
        raise HTTPException(VERSION_NOT_SUPPORTED)
    return media


async def resolve_source(request: SourceQuery, service: Service) -> Source:
    """Return the version or blend to sample from; a blend, which may be new, in a thread.

    Raises what `SourceResolver.find` does.
    """
    if is_blend(request.dataset):
        return await anyio.to_thread.run_sync(_resolve_blend, request, service, limiter=service.admission.limiter)
    return service.sources.find(request.dataset, request.model, request.style)


def _resolve_blend(request: SourceQuery, service: Service) -> Source:
    source = service.sources.find(request.dataset, request.model, request.style)
    # A blend has an alphabet of its own.
    service.samplers.profanity.automaton(source.generator)
    return source


ServiceDep = Annotated[Service, Depends(_get_service)]
