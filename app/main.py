"""A factory for the FastAPI application, and its lifespan. Nothing is created at import."""

import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from functools import partial

import anyio.to_thread
import structlog
from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp

from app import __version__
from app.admission.controller import AdmissionController
from app.dependencies import Service, State
from app.logs import AccessLog, set_up
from app.metrics import Metrics, sampled
from app.names.generation import SamplerCache
from app.names.scoring import Scorer
from app.names.sources import SourceResolver
from app.routes import generate, health, lab, metrics, models, pages, scoring
from app.security.api_keys import ApiKeys
from app.security.client_address import ClientIdentifier
from app.security.rate_limiter import RateLimiter, RedisWindowCounters, SlidingWindowCounters
from app.server.server import service_url
from app.server.watchdog import exit_with_parent, watch_event_loop
from app.settings import Settings
from app.startup import available_processors, load_models, sampling_threads, warm_up
from app.store_watcher import watch_stores
from app.streaming import silence_unfinished_streams
from app.web.errors import CODES, add_handlers
from app.web.middleware import RequestMiddleware
from app.web.openapi import complete_openapi
from app.web.telemetry import telemetry_config
from models import ModelRegistry
from models.blends import Blender
from models.inference import MAX_SEED, PrefixMemory
from models.profanity import ProfanityFilter

DESCRIPTION = """Namewave invents names: human, animal, or in the manner of a list of your own.

Every answer names the concrete model and the seed, and with them anyone gets the same names again. Errors are
`application/problem+json` (RFC 9457) and say which field is wrong and what is allowed."""
ROUTERS = (generate, scoring, models, health, lab, metrics, pages)


def create_app(settings: Settings | None = None, entropy: Callable[[], int] | None = None) -> FastAPI:
    """Return the service. Raises `ConfigError`.

    Without `settings` they come from the environment; `entropy` returns seeds for requests that have none.
    """
    settings = settings or Settings()
    counters = Metrics(__version__)
    counters.workers_expected.set(settings.workers)
    access_log = AccessLog(counters, CODES)
    app = Application(
        title="Namewave",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lambda app: _lifespan(app, settings, entropy or partial(secrets.randbelow, MAX_SEED + 1), access_log),
        redirect_slashes=False,
        # The routes themselves: an included router is matched twice for each request.
        routes=[route for module in ROUTERS for route in module.router.routes],
        telemetry=telemetry_config(settings),
    )
    add_handlers(app)
    app.add_middleware(
        RequestMiddleware,
        access_log=access_log,
        keys=ApiKeys.load(settings.keys) if settings.keys else None,
        limiter=_rate_limiter(settings, counters) if settings.limit else None,
        clients=ClientIdentifier(settings.trusted_proxies),
        max_body_bytes={"": settings.max_body_bytes, "/score": settings.max_score_bytes},
        self_contained=generate.router.routes,
        cors_origins=settings.cors_origins,
        root_path=settings.root_path,
        metrics_port=settings.metrics_port,
    )
    complete_openapi(app, settings.root_path)
    return app


class Application(FastAPI):
    """FastAPI without what `RequestMiddleware` does itself: catch unexpected errors, and limit bodies."""

    def build_middleware_stack(self) -> ASGIApp:
        """Return the middleware around the router."""
        app: ASGIApp = ExceptionMiddleware(AsyncExitStackMiddleware(self.router), self.exception_handlers)
        for middleware, arguments, named in reversed(self.user_middleware):
            app = middleware(app, *arguments, **named)
        return app


def _rate_limiter(settings: Settings, counters: Metrics) -> RateLimiter:
    # Without a shared store the workers together must not grant more than the limit.
    local = SlidingWindowCounters(max(1, settings.limit // settings.workers))
    redis = RedisWindowCounters(settings.limits_store, settings.limit) if settings.limits_store else None
    return RateLimiter(local, redis, counters)


@asynccontextmanager
async def _lifespan(
    app: FastAPI, settings: Settings, entropy: Callable[[], int], access_log: AccessLog
) -> AsyncIterator[State]:
    access_log.lines = set_up(settings)
    silence_unfinished_streams()
    exit_with_parent()
    loaded = await anyio.to_thread.run_sync(load_models, settings)
    registry, profanity = loaded.registry, loaded.profanity
    service = Service(
        settings=settings,
        registry=registry,
        sources=SourceResolver(registry, Blender(registry.kernels)),
        admission=AdmissionController(sampling_threads(settings, available_processors()), settings.queue_seconds),
        cost_model=loaded.cost_model,
        entropy=entropy,
        memory=PrefixMemory(settings.memory),
        samplers=SamplerCache(profanity),
        scorer=Scorer(),
        metrics=access_log.metrics,
    )
    # Building it takes a tenth of a second, for which the first request would block all others.
    await anyio.to_thread.run_sync(app.openapi)
    _log_ready(registry, settings)
    with closing(access_log.lines):
        async with (
            watch_event_loop(settings.watchdog),
            watch_stores(registry, settings.refresh, partial(_on_change, service, profanity)),
            sampled(access_log.metrics, registry, service.memory),
        ):
            yield {"service": service}


def _on_change(service: Service, profanity: ProfanityFilter) -> None:
    service.samplers.clear()
    warm_up(service.registry, profanity)


def _log_ready(registry: ModelRegistry, settings: Settings) -> None:
    """Log what is served and where; a warning where /health/ready is 503."""
    log = structlog.get_logger().bind(
        version=__version__,
        address=service_url(settings),
        models=len(registry.versions()),
        datasets=registry.datasets(),
        process=os.getpid(),
    )
    problems = registry.now.problems()
    if problems:
        log.warning("not ready", reason=" ".join(problems))
    else:
        log.info("ready")
