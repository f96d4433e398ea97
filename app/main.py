"""The whole building on one page: lifespan, middleware, routes. A factory makes it; nothing is made at import."""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio.to_thread
import structlog
from fastapi import FastAPI

from app.admission import Admission
from app.costs import Costs
from app.decency import Decency
from app.dependencies import Service, State
from app.door import Door
from app.errors import Problem, add_handlers
from app.explaining import Explainer
from app.lag import LoopLag, measured
from app.logs import set_up
from app.middleware import BodyLimit, RequestLog
from app.routes import docs, explain, generate, health, inference_protocol, models
from app.settings import Settings
from app.sources import Sources
from app.streaming import set_up_log
from app.tally import Tally
from app.watching import watched
from models import ModelRegistry, prepare
from models.blends import Blender
from models.inference import MAX_SEED, PrefixMemory

DESCRIPTION = """Namewave invents names: human, animal, or in the manner of a list of your own.

Every answer names the concrete model and the seed, and with them anyone gets the same names again. Errors are
`application/problem+json` (RFC 9457) and say which field is wrong and what is allowed."""
ROUTES = (generate, explain, models, health, inference_protocol, docs)


def create_app(settings: Settings | None = None, entropy: Callable[[], int] | None = None) -> FastAPI:
    """Return the service. Without `settings` they are read from the environment; `entropy` gives seeds where none is
    asked for.
    """
    chosen = settings or Settings()
    app = FastAPI(
        title="Namewave",
        version=health.VERSION,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lambda app: _lifespan(chosen, entropy or _fresh_seed),
        redirect_slashes=False,
        # Taken as they are: a router that is included is asked for its routes twice with each request.
        routes=[
            route
            for module in (generate, explain, models, health, inference_protocol, docs)
            for route in module.router.routes
        ],
        # We have no OpenTelemetry, which would be looked for with each request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    add_handlers(app)
    app.add_middleware(BodyLimit, limit=chosen.max_body_bytes, larger={"/score": chosen.max_score_bytes})
    app.add_middleware(Door)
    app.add_middleware(RequestLog)
    _describe_problems(app)
    return app


@asynccontextmanager
async def _lifespan(settings: Settings, entropy: Callable[[], int]) -> AsyncIterator[State]:
    set_up(settings)
    set_up_log()
    registry = await anyio.to_thread.run_sync(_open, settings)
    admission = Admission(settings.threads, settings.queue_seconds, Tally())
    memory, lag = PrefixMemory(settings.memory), LoopLag()
    sources = Sources(registry, Blender(registry.kernels))
    decency = await anyio.to_thread.run_sync(Decency.load, settings, registry.kernels.find)
    await anyio.to_thread.run_sync(_warm, registry, decency)
    running = Service(settings, registry, sources, admission, lag, entropy, memory, Explainer(), decency, Costs())
    async with (
        watched(registry, settings.refresh, partial(_warm, registry, decency)),
        measured(lag, settings.watchdog_seconds),
    ):
        yield {"service": running}


def _open(settings: Settings) -> ModelRegistry:
    """Compile or load the kernels, verify every version: seconds at worst, so never on the event loop."""
    log = structlog.get_logger()
    kernels = prepare(settings.kernels)
    if kernels.folder is None:
        log.warning("no folder for compiled kernels can be written: they are compiled in memory at every start")
    log.info("kernels", processor=kernels.level, cached=kernels.cached)
    registry = ModelRegistry.open(kernels, settings.store, settings.shipped_store)
    for reference, reason in registry.refused.items():
        log.error("refused", model=reference, reason=reason)
    for line in registry.stand_ins:
        log.warning("stands in", reason=line)
    log.info("ready", models=len(registry.versions()), datasets=registry.datasets())
    return registry


def _warm(registry: ModelRegistry, decency: Decency) -> None:
    """Make what finds words in the names of every version, so that no request has to wait for it."""
    for version in registry.versions():
        decency.automaton(version.generator.vocabulary)


def _fresh_seed() -> int:
    return secrets.randbelow(MAX_SEED + 1)


def _describe_problems(app: FastAPI) -> None:
    """Put the problem's schema into OpenAPI in the place of FastAPI's own error, and a shared error into every
    operation.
    """
    make = app.openapi

    def described() -> dict[str, object]:
        if app.openapi_schema is None:
            document = make()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            made = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(made.pop("$defs", {}))
            schemas["Problem"] = made
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]
