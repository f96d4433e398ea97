"""/health and /info: liveness, readiness, version and limits."""

from operator import attrgetter

from fastapi import APIRouter, Response

from app import __version__
from app.dependencies import ServiceDep
from app.responses import Health, Info
from app.routes.models import fallbacks, refused, without_paths
from app.schemas import MAX_COUNT, MAX_SCORED, MAX_STREAMED
from app.web.errors import UNAVAILABLE
from models.inference import MAX_SEED, MAX_TEMPERATURE, MIN_TEMPERATURE
from models.manifest import MAX_NAME_LENGTH

router = APIRouter(tags=["service"], generate_unique_id_function=attrgetter("name"))


@router.get("/health/live", summary="Liveness")
async def live() -> Health:
    """Answer 200 while the process runs."""
    return Health(status="ok")


@router.get("/health/ready", summary="Readiness", responses={503: {"model": Health}})
async def ready(service: ServiceDep, response: Response) -> Health:
    """Answer 200 if every data set has a served default version, its own or a fallback; otherwise 503."""
    registry, now = service.registry, service.registry.now
    problems = [without_paths(registry, line) for line in now.problems()]
    if problems:
        response.status_code = UNAVAILABLE
    return Health(
        status="unavailable" if problems else "ok",
        problems=problems,
        refused=refused(registry, now),
        fallbacks=fallbacks(registry, now),
    )


@router.get("/info", summary="Version and limits")
async def info(service: ServiceDep) -> Info:
    """Return the version of the service and its limits."""
    limits = {
        "max_count": MAX_COUNT,
        "max_streamed_count": MAX_STREAMED,
        "min_temperature": MIN_TEMPERATURE,
        "max_temperature": MAX_TEMPERATURE,
        "max_seed": MAX_SEED,
        "max_name_length": MAX_NAME_LENGTH,
        "max_attempts": service.settings.max_attempts,
        "max_stream_attempts": service.settings.max_stream_attempts,
        "max_body_bytes": service.settings.max_body_bytes,
        "max_score_bytes": service.settings.max_score_bytes,
        "max_scored_names": MAX_SCORED,
    }
    return Info(version=__version__, limits=limits)
