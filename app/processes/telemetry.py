"""OpenTelemetry, where it is wanted: FastAPI makes the spans, the SDK of an optional package sends them. Metrics are
told by /metrics, and our log is on standard error: neither goes this way.
"""

import os
from importlib.util import find_spec

from fastapi.telemetry import TelemetryConfig

from app.settings import Settings
from models.errors import ConfigError

SDK = "opentelemetry.sdk.trace"
EXPORTER = "opentelemetry.exporter.otlp.proto.http"
# Where spans go (opentelemetry.io/docs/specs/otel/protocol/exporter).
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def telemetry_of(settings: Settings) -> TelemetryConfig:
    """Return what FastAPI is to do: nothing, or a span of each request, sent by a thread of its own. Raises
    `ConfigError` where that is wanted and cannot be.
    """
    if settings.telemetry and not (_is_there(SDK) and _is_there(EXPORTER)):
        raise ConfigError(
            "NAMEWAVE_TELEMETRY is set, and OpenTelemetry's SDK is not installed: "
            "pip install --require-hashes -r requirements/telemetry.txt"
        )
    if settings.telemetry and not any(os.environ.get(name) for name in ENDPOINTS):
        raise ConfigError(
            f"NAMEWAVE_TELEMETRY is set, and nothing says where spans go: set {ENDPOINTS[1]} to the address of a "
            "collector, such as http://127.0.0.1:4318"
        )
    # All said, on or off: what is not would be looked for with each request.
    return {
        "tracing": settings.telemetry,
        "auto_configure": settings.telemetry,
        "operation_spans": False,
        "metrics": False,
        "logs": False,
    }


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
