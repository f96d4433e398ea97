"""Prometheus metrics and OpenTelemetry spans."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
import yaml
from click.testing import CliRunner
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from app.admission.controller import Overloaded
from app.cli.main import main
from app.main import create_app
from app.metrics import BUCKETS, MULTIPROC_DIR, Metrics
from app.security.api_keys import generate_key, key_line
from app.settings import Settings
from app.web import telemetry
from models import Snapshot
from models.errors import ConfigError
from tests.app.running import TIMEOUT
from tests.harness.app_client import app_client
from tests.harness.service import free_port, run_python, served

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z")
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parse(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scrape(client: httpx.AsyncClient, accept: str = "*/*") -> Samples:
    answer = await client.get("/metrics", headers={"accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return parse(answer.text)


def by_label(samples: Samples, name: str, label: str) -> dict[str, float]:
    return {dict(labels)[label]: value for (each, labels), value in samples.items() if each == name}


async def test_names_candidates_and_characters_are_counted(client: httpx.AsyncClient) -> None:
    """The counters cover JSON, streams and rejected candidates. A name has its characters and an end."""
    fields = {"dataset": "elves", "count": 30, "seed": 1, "max_length": 8}
    answer = (await client.post("/generate", json=fields)).json()
    stream = await client.post("/generate", json=fields, headers={"accept": "application/x-ndjson"})
    end = json.loads(stream.text.splitlines()[-1])["end"]
    found = await scrape(client)
    model = (("model", "elves/wavenet@1"),)
    assert answer["model"] == "elves/wavenet@1"
    assert found["namewave_names_total", model] == 60
    assert found["namewave_candidates_total", model] == answer["attempts"] + end["attempts"]
    least = 2 * (sum(map(len, answer["names"])) + len(answer["names"]))
    assert least <= found["namewave_characters_total", model] <= 9 * 2 * 256
    assert answer["refused"]["max_length"] > 0
    for reason, number in answer["refused"].items():
        assert found["namewave_candidates_refused_total", (("reason", reason),)] == number + end["refused"][reason]
    assert found["namewave_streams", ()] == 0


async def test_every_route_has_a_label(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert len(paths) > 10
    for path, operations in paths.items():
        await client.request(next(iter(operations)).upper(), re.sub(r"\{.*?\}", "1", path))
    await client.get("/no/such/place")
    found = await scrape(client)
    counted = set(by_label(found, "namewave_requests_total", "route"))
    assert set(paths) | {"(none)"} <= counted
    assert set(by_label(found, "namewave_request_seconds_count", "route")) == counted


async def test_refusals_are_counted_by_reason(client: httpx.AsyncClient) -> None:
    await client.post("/generate", json={"dataset": "elves", "count": 0})
    await client.post("/generate", json={"dataset": "nobody"})
    await client.post("/generate", content=b"{", headers={"content-type": "application/json"})
    await client.post("/generate", json={"dataset": "elves"})
    found = await scrape(client)
    reasons = by_label(found, "namewave_requests_refused_total", "reason")
    assert reasons == {"invalid_field": 1, "not_found": 1, "unreadable_request": 1}
    assert found["namewave_requests_total", (("route", "/generate"), ("status", "200"))] == 1


async def test_models_and_build_are_exposed_from_the_start(client: httpx.AsyncClient) -> None:
    found = await scrape(client)
    assert found["namewave_models_served", ()] == 2
    assert found["namewave_models_refused", ()] == found["namewave_models_problems", ()] == 0
    assert found["namewave_model_served", (("model", "elves/wavenet@2"),)] == 1
    assert found["namewave_workers", ()] == 1
    assert by_label(found, "namewave_build_info", "version")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux has /proc/self/status")
async def test_resident_memory_agrees_with_the_kernel(client: httpx.AsyncClient) -> None:
    found = await scrape(client)
    [kibibytes] = re.findall(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text("ascii"))
    assert found["namewave_resident_bytes", ()] == pytest.approx(1024 * int(kibibytes), rel=0.2)
    assert found["namewave_resident_bytes", ()] > found["namewave_prefix_memory_bytes", ()]


async def test_openmetrics_is_negotiated(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize("accept", ["text/plain;version=x", "application/openmetrics-text;version=abc"])
async def test_malformed_version_in_accept_gets_plain_text(client: httpx.AsyncClient, accept: str) -> None:
    assert (await scrape(client, accept))["namewave_workers", ()] == 1


async def test_clients_cannot_create_labels(client: httpx.AsyncClient) -> None:
    """Invented paths, methods and blends share the labels (none) and (blend)."""
    blend = {"dataset": {"elves": 1.5}, "count": 1}
    for path in ("/a", "/b?x=1", "/models/x/y/1"):
        await client.request("BREW", path)
    await client.post("/generate", json=blend)
    before = set(await scrape(client))
    for path in ("/c", "/d?x=2", "/models/z/y/2"):
        await client.request("STIR", path)
    await client.post("/generate", json=blend | {"dataset": {"elves": 2.5}})
    new = {key for key in set(await scrape(client)) - before if dict(key[1]).get("route") != "/metrics"}
    assert new == set()


def snapshot_of(*references: str, refused: int = 0, problems: int = 0, fallbacks: int = 0) -> Snapshot:
    """Return as much of a snapshot as the metrics read."""
    keys = [SimpleNamespace(reference=reference) for reference in references]
    counts = {"refused": range(refused), "problems": lambda: range(problems), "fallbacks": range(fallbacks)}
    return cast(Snapshot, SimpleNamespace(versions_by_key=keys, **counts))


def test_removed_version_is_exposed_as_zero() -> None:
    metrics = Metrics("1")
    metrics.set_models(snapshot_of("a/b@1", "a/b@2"))
    metrics.set_models(snapshot_of("a/b@2", "a/b@3", refused=1, problems=2, fallbacks=3))
    found = parse(metrics.exposition("")[0].decode())
    assert by_label(found, "namewave_model_served", "model") == {"a/b@1": 0, "a/b@2": 1, "a/b@3": 1}
    assert (found["namewave_models_served", ()], found["namewave_models_refused", ()]) == (2, 1)
    assert (found["namewave_models_problems", ()], found["namewave_models_fallbacks", ()]) == (2, 3)


def test_totals_are_those_of_prometheus_client() -> None:
    """Its own `inc` and `observe` are the oracle, at the buckets' bounds too; a flush in between changes nothing."""
    metrics, oracle = Metrics("1"), CollectorRegistry()
    requests = Counter("namewave_requests", "", ["route", "status"], registry=oracle)
    seconds = Histogram("namewave_request_seconds", "", ["route"], buckets=BUCKETS, registry=oracle)
    candidates = Counter("namewave_candidates", "", ["model"], registry=oracle)
    rejected = Counter("namewave_candidates_refused", "", ["reason"], registry=oracle)
    requests.labels("/generate", "500")
    for i, value in enumerate([0.0, *BUCKETS, 0.0007, 3.3, 11.0]):
        route, status = ("/generate", "/score")[i % 2], (200, 422)[i % 3 == 0]
        metrics.observe_request(route, status, value)
        requests.labels(route, str(status)).inc()
        seconds.labels(route).observe(value)
        model, number = ("a/b@1", "a/b@2", "a/b@1,c/d@1")[i % 3], i % 4
        metrics.count_sampling(model, 1, number, 9)
        candidates.labels("(blend)" if "," in model else model).inc(number)
        metrics.count_rejections({"unique": number})
        rejected.labels("unique").inc(number)
        if i % 5 == 0:
            metrics.flush()
    found, expected = parse(metrics.exposition("")[0].decode()), parse(generate_latest(oracle).decode())
    expected = {key: value for key, value in expected.items() if not key[0].endswith("_created")}
    assert {key: found[key] for key in expected} == pytest.approx(expected)
    names = {name for name, _ in expected}
    others = {key for key in found if key[0] in names} - set(expected)
    assert all(name == "namewave_candidates_refused_total" and found[name, labels] == 0 for name, labels in others)


WORKER = """
import sys
from types import SimpleNamespace
from app.metrics import Metrics
metrics = Metrics("1")
metrics.observe_request("/generate", 200, 0.01)
metrics.count_sampling("a/b@1", 5, 7, 40)
metrics.streams.inc(2)
keys = [SimpleNamespace(reference=name) for name in (["a/b@1"] if sys.argv[1] == "new" else ["a/b@1", "a/b@2"])]
metrics.set_models(SimpleNamespace(versions_by_key=keys, refused=(), problems=tuple, fallbacks=()))
metrics.flush()
print("ready", flush=True)
sys.stdin.readline()
print(metrics.exposition("")[0].decode(), flush=True)
"""


def test_metrics_of_several_processes_are_aggregated(tmp_path: Path) -> None:
    """Counters of a killed process stay, and its gauges go; a version counts as served if all serve it."""
    environment, pipe = {**os.environ, MULTIPROC_DIR: str(tmp_path)}, subprocess.PIPE
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, kind], cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True
        )
        for kind in ("old", "new", "old")
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    workers[2].kill()
    workers[2].communicate()
    found = parse(workers[0].communicate("\n")[0])
    workers[1].communicate("\n")
    assert found["namewave_requests_total", (("route", "/generate"), ("status", "200"))] == 3
    assert found["namewave_request_seconds_count", (("route", "/generate"),)] == 3
    assert found["namewave_names_total", (("model", "a/b@1"),)] == 15
    assert found["namewave_streams", ()] == 4
    assert found["namewave_workers", ()] == 2
    assert found["namewave_models_served", ()] == 1
    assert found["namewave_model_served", (("model", "a/b@2"),)] == 1


def expressions() -> list[str]:
    dashboard = json.loads((ROOT / "deploy/dashboard.json").read_text("utf-8"))
    rules = yaml.safe_load((ROOT / "deploy/alerts.yml").read_text("utf-8"))
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return shown + [rule["expr"] for group in rules["groups"] for rule in group["rules"]]


async def test_deployment_uses_exactly_the_existing_metrics(client: httpx.AsyncClient) -> None:
    await client.post("/generate", json={"dataset": "elves"})
    await client.post("/generate", json={"dataset": "elves", "count": 0})
    labels: dict[str, set[str]] = {}
    for name, pairs in await scrape(client):
        labels.setdefault(name, {"instance"}).update(dict(pairs))
    used: set[str] = set()
    for expression in expressions():
        names = re.findall(r"\b(namewave_\w+)(?:\{([^}]*)\})?", expression)
        assert names or expression.startswith("up{"), expression
        for name, selectors in names:
            assert name in labels, name
            assert set(re.findall(r"(\w+)!?[=~]", selectors)) <= labels[name], expression
            used.add(name)
        # The labels of a group are those of the metric that follows, or of its rate.
        groups = re.findall(r"by \(([^)]*)\) \((?:rate\()?(namewave_\w+)", expression)
        assert len(groups) == expression.count("by (")
        for by, name in groups:
            assert {part.strip() for part in by.split(",")} <= labels[name], expression
    derived = re.compile(r"_(created|count|sum)$")
    ours = {name for name in labels if name.startswith("namewave_")}
    assert {name for name in ours if not derived.search(name)} == {name for name in used if not derived.search(name)}


def test_alert_rules_have_the_fields_prometheus_needs() -> None:
    rules = yaml.safe_load((ROOT / "deploy/alerts.yml").read_text("utf-8"))["groups"][0]["rules"]
    assert len(rules) >= 5
    for rule in rules:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}, rule
        assert rule["labels"]["severity"] in ("page", "warn")
        assert set(rule["annotations"]) == {"summary", "description"}


@pytest.fixture
def collector() -> Iterator[tuple[str, list[Span]]]:
    """A collector on this machine: its URL, and the spans that it received."""
    spans: list[Span] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            export = ExportTraceServiceRequest.FromString(body)
            spans.extend(span for each in export.resource_spans for scope in each.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", spans
    server.shutdown()
    server.server_close()


def attributes(span: Span) -> dict[str, AnyValue]:
    return {attribute.key: attribute.value for attribute in span.attributes}


def test_each_request_is_exported_as_a_span(collector: tuple[str, list[Span]], monkeypatch: pytest.MonkeyPatch) -> None:
    """In the trace of the caller's traceparent, by the time the service has stopped."""
    address, spans = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    with served(NAMEWAVE_TELEMETRY="true") as service:
        url, headers = f"{service.address}/generate", {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        assert httpx.post(url, json={"count": 2}, headers=headers, timeout=TIMEOUT).status_code == 200
        assert httpx.get(f"{url}?count=0", timeout=TIMEOUT).status_code == 422
        assert service.stop()[0] == 0
    [traced] = [span for span in spans if span.trace_id.hex() == TRACE]
    assert traced.parent_span_id.hex() == PARENT
    found = attributes(traced)
    assert (found["http.request.method"].string_value, found["url.path"].string_value) == ("POST", "/generate")
    assert found["http.response.status_code"].int_value == 200
    assert any(attributes(span)["http.response.status_code"].int_value == 422 for span in spans)


@pytest.mark.parametrize("missing", telemetry.PACKAGES)
def test_missing_package_error_says_what_to_install(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "find_spec", lambda name: None if name == missing else object())
    with pytest.raises(ConfigError, match=r"requirements/telemetry\.txt"):
        create_app(Settings(telemetry=True))


def test_missing_endpoint_is_a_one_line_error() -> None:
    environment = dict.fromkeys(telemetry.ENDPOINTS) | {"NAMEWAVE_TELEMETRY": "true"}
    result = CliRunner(env=environment).invoke(main, ["serve", "--port", "0"])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.startswith("Error: NAMEWAVE_TELEMETRY")
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in result.stderr


@pytest.mark.parametrize(
    ("port", "path", "status"),
    [
        (8000, "/metrics", 404),
        (8000, "/info", 401),
        (8000, "/health/live", 200),
        (9000, "/metrics", 200),
        (9000, "/info", 404),
        (9000, "/health/live", 404),
        (9000, "/metrics/", 404),
    ],
)
async def test_metrics_port_has_metrics_alone_and_no_key(
    settings: Settings, tmp_path: Path, port: int, path: str, status: int
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(key_line("alice", generate_key()))
    async with app_client(settings, keys=keys, metrics_port=9000) as client:
        assert (await client.get(f"http://test:{port}{path}")).status_code == status


async def test_metrics_port_has_no_rate_limit(settings: Settings) -> None:
    async with app_client(settings, metrics_port=9000, limit=100) as client:
        answers = [await client.get("http://test:9000/metrics") for _ in range(3)]
        refused = [await client.get("http://test:8000/info") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert not any("ratelimit" in answer.headers for answer in answers)
    assert [answer.status_code for answer in refused] == [200, 429]


def test_metrics_port_of_two_workers_counts_both() -> None:
    port = free_port()
    with served(NAMEWAVE_WORKERS="2", NAMEWAVE_METRICS_PORT=str(port)) as service:
        for _ in range(10):
            assert httpx.get(f"{service.address}/info").status_code == 200
        found: Samples = {}

        def is_counted() -> bool:
            nonlocal found
            found = parse(httpx.get(f"http://127.0.0.1:{port}/metrics").text)
            return found.get(("namewave_requests_total", (("route", "/info"), ("status", "200")))) == 10

        # A process adds its counts twice a second.
        service.until("all counts", is_counted)
        assert httpx.get(f"{service.address}/metrics").status_code == 404
        assert service.stop()[0] == 0
    assert found["namewave_workers", ()] == 2


def test_telemetry_is_off_by_default() -> None:
    """The SDK is not imported."""
    script = "import sys; from app.main import create_app; create_app(); print('opentelemetry.sdk' in sys.modules)"
    done = run_python("-c", script)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
    assert not telemetry.telemetry_config(Settings())["tracing"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/generate", {"dataset": "elves", "count": 5000, "unique": False}),
        ("/score", {"dataset": "elves", "names": ["kalomi"]}),
        ("/lab/graph", {"expression": "1"}),
    ],
)
async def test_request_whose_client_left_is_counted_as_499(settings: Settings, path: str, body: dict[str, Any]) -> None:
    app, sent = create_app(settings), [{"type": "http.request", "body": json.dumps(body).encode()}]

    async def receive() -> dict[str, Any]:
        return sent.pop() if sent else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        """Nobody reads."""

    async with app.router.lifespan_context(app) as state:
        service = state["service"]
        # No thread is free until the client has left.
        for _ in range(service.admission.queue.slots):
            await service.admission.queue.acquire(long=False)
        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
        scope |= {"http_version": "1.1", "state": dict(state)}
        await app(scope, receive, send)  # type: ignore[arg-type]
        exposed = service.metrics.exposition("")[0].decode()
    assert f'namewave_requests_total{{route="{path}",status="499"}} 1.0' in exposed


async def test_overload_of_head_is_logged_with_code_and_owner(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async def overloaded(*_: object) -> None:
        raise Overloaded(1)

    monkeypatch.setattr("app.routes.generate.resolve_source", overloaded)
    key, keys = generate_key(), tmp_path / "keys"
    keys.write_text(key_line("alice", key))
    async with app_client(settings, keys=keys, log_format="json") as client:
        for method in ("HEAD", "GET"):
            answer = await client.request(method, "/generate", headers={"x-api-key": key})
            assert answer.status_code == 503
        exposed = client.service.metrics.exposition("")[0].decode()
    assert 'namewave_requests_refused_total{reason="overloaded"} 2.0' in exposed
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["method"], line["status"], line["owner"]) for line in requests] == [
        ("HEAD", 503, "alice"),
        ("GET", 503, "alice"),
    ]
