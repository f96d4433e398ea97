"""/metrics: Prometheus metrics."""

from operator import attrgetter

import anyio.to_thread
from fastapi import APIRouter, Request, Response

from app.dependencies import ServiceDep
from app.web import headers

router = APIRouter(tags=["service"], generate_unique_id_function=attrgetter("name"))
EXAMPLE = (
    "# HELP namewave_requests_total Requests that were answered.\n"
    "# TYPE namewave_requests_total counter\n"
    'namewave_requests_total{route="/generate",status="200"} 42.0\n'
)


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={
        200: {
            "description": "All processes' metrics, as text or as OpenMetrics (see Accept).",
            "content": {"text/plain": {"schema": {"type": "string"}, "example": EXAMPLE}},
        }
    },
)
async def metrics(service: ServiceDep, request: Request) -> Response:
    """Return the metrics: requests, latency, names, errors, models, streams, memory, loop lag.

    The numbers are those of all worker processes together. With NAMEWAVE_METRICS_PORT only that port has this address.
    """
    accept = ",".join(headers.get_all(request.scope, b"accept"))
    text, media = await anyio.to_thread.run_sync(service.metrics.exposition, accept)
    return Response(text, headers={"Content-Type": media})
