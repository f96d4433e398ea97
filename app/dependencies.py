"""What route handlers ask for: the running service, which travels in the lifespan state, and what it resolves."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypedDict

import anyio.to_thread
from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from app.admission.controller import AdmissionController
from app.admission.cost_model import CostModel
from app.admission.execution import Execution
from app.metrics import Metrics
from app.names.jobs import SamplingJob
from app.names.profanity import ProfanityFilter
from app.names.scoring import Scorer
from app.names.sources import SourceResolver, is_blend
from app.schemas import SourceQuery
from app.security.rate_limiter import QUOTA_KEY, RequestQuota
from app.settings import Settings
from app.web import headers, negotiation
from app.web.errors import NOT_ACCEPTABLE
from models import ModelRegistry
from models.blends import Source
from models.inference import PrefixMemory


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
    profanity: ProfanityFilter
    scorer: Scorer
    metrics: Metrics

    def execute(self, job: SamplingJob, quota: RequestQuota | None) -> Execution:
        """Return the execution of a job, to be entered."""
        deadline = self.settings.deadline_seconds
        return Execution(job, quota, self.admission, self.cost_model, self.metrics, deadline)


class State(TypedDict):
    """The lifespan state."""

    service: Service


def get_service(request: Request) -> Service:
    """Return the running service."""
    service: Service = request.scope["state"]["service"]
    return service


async def _get_service(request: Request) -> Service:
    # A coroutine: FastAPI calls anything else in a thread.
    return get_service(request)


def get_quota(request: Request) -> RequestQuota | None:
    """Return the quota that the middleware left in the scope, or None without a rate limit."""
    return request.scope.get(QUOTA_KEY)


def negotiated_media_type(request: Request) -> str:
    """Return the media type that Accept prefers. Raises `HTTPException` 406 if it allows none of ours."""
    media = negotiation.chosen(headers.get_all(request.scope, b"accept"))
    if media is None:
        raise HTTPException(NOT_ACCEPTABLE, headers={"Vary": "Accept"})
    return media


async def resolve_source(request: SourceQuery, service: Service) -> Source:
    """Return the version or blend to sample from; a blend, which may be new, in a thread.

    Raises what `SourceResolver.find` does.
    """
    if is_blend(request.dataset):
        return await anyio.to_thread.run_sync(_resolve_blend, request, service, limiter=service.admission.limiter)
    return service.sources.find(request.dataset, request.model)


def _resolve_blend(request: SourceQuery, service: Service) -> Source:
    source = service.sources.find(request.dataset, request.model)
    # A blend has an alphabet of its own.
    service.profanity.automaton(source.generator.vocabulary)
    return source


ServiceDep = Annotated[Service, Depends(_get_service)]
