"""Optional OpenTelemetry tracing: FastAPI creates the spans, an optional SDK sends them."""

import os
from contextlib import suppress
from importlib.util import find_spec

from fastapi.telemetry import TelemetryConfig

from app.settings import Settings
from models.errors import ConfigError

PACKAGES = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")
# The endpoint for spans (opentelemetry.io/docs/specs/otel/protocol/exporter).
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def telemetry_config(settings: Settings) -> TelemetryConfig:
    """Return FastAPI's telemetry configuration: none, or one span for each request.

    A separate thread sends the spans.

    Raises `ConfigError` if tracing is enabled and cannot work.
    """
    if settings.telemetry and not _is_installed():
        raise ConfigError(
            "NAMEWAVE_TELEMETRY is set, and OpenTelemetry's SDK is not installed: "
            "pip install --require-hashes -r requirements/telemetry.txt"
        )
    if settings.telemetry and not any(os.environ.get(name) for name in ENDPOINTS):
        raise ConfigError(
            f"NAMEWAVE_TELEMETRY is set, and nothing says where spans go: set {ENDPOINTS[1]} to the address of a "
            "collector, such as http://127.0.0.1:4318"
        )
    # FastAPI looks up a missing entry with each request.
    return {
        "tracing": settings.telemetry,
        "auto_configure": settings.telemetry,
        "operation_spans": False,
        "metrics": False,
        "logs": False,
    }


def _is_installed() -> bool:
    with suppress(ModuleNotFoundError):
        return all(map(find_spec, PACKAGES))
    return False
