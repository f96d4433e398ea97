"""The whole building on one page: lifespan, middleware, routes. A factory makes it; nothing is made at import."""

import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio.to_thread
import structlog
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from app.access.allowance import Allowance
from app.access.clients import Clients
from app.access.doors import KeyDoor, LimitDoor
from app.access.keys import Keys
from app.access.shared_windows import SharedWindows
from app.access.windows import Windows
from app.commands.opening import pins_of
from app.connection.heads import HeadAsGet
from app.connection.streaming import set_up_log
from app.dependencies import Service, State
from app.documentation.describing import describe
from app.errors import add_handlers
from app.ledger import Ledger
from app.load.admission import Admission
from app.load.costs import Costs, multiply_adds_of
from app.load.tally import Tally
from app.logs import set_up
from app.metrics import Metrics
from app.middleware import BodyLimit, RequestLog
from app.naming.decency import Decency
from app.naming.explaining import Explainer
from app.naming.sources import Sources
from app.processes.gauging import gauged
from app.processes.lag import measured
from app.processes.listening import address_of
from app.processes.quota import drawing_threads, processors
from app.processes.starting import NothingToServe, OneLine
from app.processes.telemetry import telemetry_of
from app.processes.watchdog import follow_parent, guarded
from app.processes.watching import watched
from app.routes import (
    docs,
    explain,
    generate,
    health,
    lab,
    lab_page,
    lab_wavenet,
    metrics,
    models,
    playground,
)
from app.settings import Settings
from models import ModelRegistry, prepare
from models.blends import Blender
from models.inference import MAX_SEED, PrefixMemory

DESCRIPTION = """Namewave invents names: human, animal, or in the manner of a list of your own.

Every answer names the concrete model and the seed, and with them anyone gets the same names again. Errors are
`application/problem+json` (RFC 9457) and say which field is wrong and what is allowed."""
ROUTES = (
    generate,
    explain,
    models,
    health,
    lab,
    lab_wavenet,
    metrics,
    playground,
    lab_page,
    docs,
)
# Headers that pages of other origins may read, if any may ask.
TOLD_ACROSS = ["ETag", "Link", "Namewave-Dataset", "Namewave-Model", "Namewave-Offset", "Namewave-Seed", "RateLimit"]
TOLD_ACROSS += ["RateLimit-Policy", "Retry-After", "X-Request-ID"]


def create_app(settings: Settings | None = None, entropy: Callable[[], int] | None = None) -> FastAPI:
    """Return the service. Without `settings` they are read from the environment; `entropy` gives seeds where none is
    asked for.
    """
    chosen = settings or Settings()
    counted = Metrics(health.VERSION)
    ledger = Ledger(counted)
    counted.wanted.set(chosen.workers)
    app = FastAPI(
        title="Namewave",
        version=health.VERSION,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lambda app: _lifespan(app, chosen, entropy or _fresh_seed, ledger),
        redirect_slashes=False,
        # Taken as they are: a router that is included is asked for its routes twice with each request.
        routes=[route for module in ROUTES for route in module.router.routes],
        telemetry=telemetry_of(chosen),
    )
    add_handlers(app)
    app.add_middleware(BodyLimit, limit=chosen.max_body_bytes, larger={"/score": chosen.max_score_bytes})
    _add_doors(app, chosen, counted)
    app.add_middleware(HeadAsGet)
    app.add_middleware(RequestLog, ledger=ledger)
    app.add_middleware(OneLine)
    describe(app)
    return app


def _add_doors(app: FastAPI, settings: Settings, counted: Metrics) -> None:
    """Add limits, keys and CORS where they are wanted: the last one is asked first. Raises `ConfigError`."""
    if settings.limit:
        # Without a common store no number of processes grants more than the limit.
        local = Windows(max(1, settings.limit // settings.workers))
        shared = SharedWindows(settings.limits_store, settings.limit) if settings.limits_store else None
        clients = Clients(settings.trusted_proxies)
        app.add_middleware(LimitDoor, allowance=Allowance(local, shared, counted), clients=clients)
    if settings.keys:
        app.add_middleware(KeyDoor, keys=Keys.load(settings.keys))
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Accept", "Authorization", "Content-Type", "X-API-Key", "X-Request-ID"],
            expose_headers=TOLD_ACROSS,
        )


@asynccontextmanager
async def _lifespan(
    app: FastAPI, settings: Settings, entropy: Callable[[], int], ledger: Ledger
) -> AsyncIterator[State]:
    ledger.tell = set_up(settings)
    set_up_log()
    follow_parent()
    registry = await anyio.to_thread.run_sync(_open, settings)
    admission = Admission(_threads(settings), settings.queue_seconds, Tally())
    memory = PrefixMemory(settings.memory)
    sources = Sources(registry, Blender(registry.kernels))
    decency = await anyio.to_thread.run_sync(Decency.load, settings, registry.kernels.find)
    await anyio.to_thread.run_sync(_warm, registry, decency)
    costs = await anyio.to_thread.run_sync(_costs, registry)
    # A tenth of a second, and whoever asks first would have all others wait for it.
    await anyio.to_thread.run_sync(app.openapi)
    _tell_ready(registry, settings)
    counted = ledger.metrics
    running = Service(
        settings, registry, sources, admission, entropy, memory, Explainer(), decency, costs, ledger.metrics
    )
    async with (
        guarded(settings.watchdog),
        watched(registry, settings.refresh, partial(_warm, registry, decency)),
        measured(counted.loop_lag.observe),
        gauged(counted, registry, memory),
    ):
        yield {"service": running}


def _open(settings: Settings) -> ModelRegistry:
    """Compile or load the kernels, verify every version: seconds at worst, so never on the event loop."""
    log = structlog.get_logger()
    kernels = prepare(settings.kernels)
    if kernels.folder is None:
        log.warning("no folder for compiled kernels can be written: they are compiled in memory at every start")
    log.info("kernels", processor=kernels.level, cached=kernels.cached)
    registry = ModelRegistry.open(kernels, settings.store, settings.shipped_store, pins_of(settings))
    for reference, reason in registry.refused.items():
        log.error("refused", model=reference, reason=reason)
    for line in registry.stand_ins:
        log.warning("stands in", reason=line)
    if not registry.versions():
        log.error("nothing can be served", stores=[str(store.root) for store in registry.stores])
        raise NothingToServe
    return registry


def _tell_ready(registry: ModelRegistry, settings: Settings) -> None:
    """Say what can be had, and where; a warning where /health/ready is 503."""
    log = structlog.get_logger().bind(
        version=health.VERSION,
        address=address_of(settings),
        models=len(registry.versions()),
        datasets=registry.datasets(),
        process=os.getpid(),
    )
    problems = registry.now.problems()
    if problems:
        log.warning("not ready", reason=" ".join(problems))
    else:
        log.info("ready")


def _threads(settings: Settings) -> int:
    there = processors()
    threads = drawing_threads(settings.threads, settings.workers, there)
    if (threads < settings.threads and "threads" in settings.model_fields_set) or settings.workers > there:
        structlog.get_logger().warning(
            "fewer processors than threads", processors=there, workers=settings.workers, threads=threads
        )
    return threads


def _costs(registry: ModelRegistry) -> Costs:
    """Return what requests cost on this machine, by the largest version: the others take less time to be asked."""
    generators = [version.generator for version in registry.versions()]
    return Costs(multiply_adds_of(max(generators, key=lambda generator: generator.multiply_adds)))


def _warm(registry: ModelRegistry, decency: Decency) -> None:
    """Make what finds words in the names of every version, so that no request has to wait for it."""
    for version in registry.versions():
        decency.automaton(version.generator.vocabulary)


def _fresh_seed() -> int:
    return secrets.randbelow(MAX_SEED + 1)
