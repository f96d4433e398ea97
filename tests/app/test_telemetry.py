"""OpenTelemetry: off unless wanted, one line where it cannot be, and spans that reach a collector."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from app.main import create_app
from app.processes import telemetry
from app.settings import Settings
from models.errors import ConfigError
from tests.harness.service import served

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def collector() -> Iterator[tuple[str, list[Span]]]:
    """A collector on this machine: its address, and the spans that it got."""
    spans: list[Span] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told = ExportTraceServiceRequest.FromString(body)
            spans.extend(span for each in told.resource_spans for scope in each.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", spans
    server.shutdown()
    server.server_close()


def test_a_request_is_a_span_of_its_callers_trace(
    collector: tuple[str, list[Span]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request reaches the collector as a span by the time the service has stopped, within the trace of the
    caller's traceparent, with method, route or path, and status.
    """
    address, spans = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    with served(NAMEWAVE_TELEMETRY="true") as service:
        base = f"http://127.0.0.1:{service.port}"
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        assert httpx.post(f"{base}/generate", json={"count": 2}, headers=headers).status_code == 200
        assert httpx.get(f"{base}/generate?count=0").status_code == 422
        assert service.stop()[0] == 0
    [ours] = [span for span in spans if span.trace_id.hex() == TRACE]
    assert ours.parent_span_id.hex() == PARENT
    told = {each.key: each.value for each in ours.attributes}
    assert (told["http.request.method"].string_value, told["url.path"].string_value) == ("POST", "/generate")
    assert told["http.response.status_code"].int_value == 200
    others = [{each.key: each.value for each in span.attributes} for span in spans]
    assert any(each["http.response.status_code"].int_value == 422 for each in others)


@pytest.mark.parametrize("missing", [telemetry.SDK, telemetry.EXPORTER])
def test_it_says_what_to_install(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wanted without its packages, it is one error with the command that installs them."""
    monkeypatch.setattr(telemetry, "find_spec", lambda name: None if name == missing else object())
    with pytest.raises(ConfigError, match=r"requirements/telemetry\.txt"):
        create_app(Settings(telemetry=True))


def test_it_says_that_nobody_listens() -> None:
    """Wanted without an address to send to, `serve` is one line and status 2."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-m", "app", "serve", "--port", "0"],
        env={**clean, "NAMEWAVE_TELEMETRY": "true"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("Error: NAMEWAVE_TELEMETRY")
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_it_nothing_of_it_is_loaded() -> None:
    """Unless it is wanted, the application has no tracing, and the SDK is not imported."""
    script = (
        "import sys; from app.main import create_app; app = create_app(); "
        "print(app._telemetry['tracing'], 'opentelemetry.sdk' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
