"""/metrics: what is counted, under which labels, in one process and over several."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app.metrics import Metrics

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    """What an exposition says, read by Prometheus's own parser."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def asked(client: httpx.AsyncClient) -> Samples:
    """What /metrics says now."""
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return samples(answer.text)


async def test_names_candidates_and_characters_are_counted(client: httpx.AsyncClient) -> None:
    """JSON and streams count the names that were told, the candidates of their answers, and at least their names'
    characters and ends; what constraints refused is told by constraint.
    """
    fields = {"dataset": "elves", "count": 30, "seed": 1, "max_length": 8}
    answer = (await client.post("/generate", json=fields)).json()
    stream = await client.post("/generate", json=fields, headers={"accept": "application/x-ndjson"})
    end = json.loads(stream.text.splitlines()[-1])["end"]
    found = await asked(client)
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
    """Each path of the OpenAPI document is counted under its own name, with its time; what has no route is (none)."""
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert len(paths) > 10
    for path, operations in paths.items():
        await client.request(next(iter(operations)).upper(), re.sub(r"\{.*?\}", "1", path))
    await client.get("/no/such/place")
    found = await asked(client)
    counted = {dict(labels)["route"] for name, labels in found if name == "namewave_requests_total"}
    timed = {dict(labels)["route"] for name, labels in found if name == "namewave_request_seconds_count"}
    assert set(paths) | {"(none)"} <= counted
    assert timed == counted


async def test_refusals_are_counted_by_reason(client: httpx.AsyncClient) -> None:
    """A refused request counts under its reason, one that is answered under none."""
    await client.post("/generate", json={"dataset": "elves", "count": 0})
    await client.post("/generate", json={"dataset": "nobody"})
    await client.post("/generate", content=b"{", headers={"content-type": "application/json"})
    await client.post("/generate", json={"dataset": "elves"})
    found = await asked(client)
    reasons = {dict(labels)["reason"]: value for (name, labels), value in found.items() if "requests_refused_t" in name}
    assert reasons == {"invalid": 1, "not_found": 1, "unreadable": 1}
    assert found["namewave_requests_total", (("route", "/generate"), ("status", "200"))] == 1


async def test_models_and_build_are_told(client: httpx.AsyncClient) -> None:
    """Versions that are served, their number, and this build are there from the start."""
    found = await asked(client)
    assert found["namewave_models_served", ()] == 2
    assert found["namewave_models_refused", ()] == found["namewave_models_problems", ()] == 0
    assert found["namewave_model_served", (("model", "elves/wavenet@2"),)] == 1
    assert found["namewave_workers", ()] == 1
    assert [dict(labels)["version"] for name, labels in found if name == "namewave_build_info"]


async def test_memory_is_told_as_the_kernel_counts_it(client: httpx.AsyncClient) -> None:
    """What the process holds in all is what Linux says of it, and more than its memory of prefixes."""
    if not Path("/proc/self/status").exists():
        pytest.skip("the kernel tells nothing of memory here")
    told = await asked(client)
    [kibibytes] = re.findall(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text("ascii"))
    assert told["namewave_resident_bytes", ()] == pytest.approx(1024 * int(kibibytes), rel=0.2)
    assert told["namewave_resident_bytes", ()] > told["namewave_prefix_memory_bytes", ()]


async def test_openmetrics_is_spoken(client: httpx.AsyncClient) -> None:
    """A scraper that asks for OpenMetrics gets it, with its end mark."""
    answer = await client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize("accept", ["text/plain;version=x", "application/openmetrics-text;version=abc"])
async def test_an_odd_wish_gets_the_plain_form(client: httpx.AsyncClient, accept: str) -> None:
    """A version that is no number is as if nothing were asked for."""
    answer = await client.get("/metrics", headers={"accept": accept})
    assert answer.status_code == 200
    assert samples(answer.text)["namewave_workers", ()] == 1


async def test_no_client_makes_a_label(client: httpx.AsyncClient) -> None:
    """Paths, methods and blends that a client invents make no new series but those for (none) and (blend)."""
    blend = {"dataset": {"elves": 1.5}, "count": 1}
    for path in ("/a", "/b?x=1", "/models/x/y/1"):
        await client.request("BREW", path)
    await client.post("/generate", json=blend)
    before = set(await asked(client))
    for path in ("/c", "/d?x=2", "/models/z/y/2"):
        await client.request("STIR", path)
    await client.post("/generate", json=blend | {"dataset": {"elves": 2.5}})
    new = {key for key in set(await asked(client)) - before if dict(key[1]).get("route") != "/metrics"}
    assert new == set()


def test_a_version_that_went_is_told_as_gone() -> None:
    """The series of a version falls to 0 when it is served no more."""
    metrics = Metrics("1")
    metrics.holds({"a/b@1", "a/b@2"}, 0, 0, 0)
    metrics.holds({"a/b@2", "a/b@3"}, 1, 2, 3)
    found = samples(metrics.exposition("")[0].decode())
    told = {dict(labels)["model"]: value for (name, labels), value in found.items() if name == "namewave_model_served"}
    assert told == {"a/b@1": 0, "a/b@2": 1, "a/b@3": 1}
    assert (found["namewave_models_served", ()], found["namewave_models_refused", ()]) == (2, 1)
    assert (found["namewave_models_problems", ()], found["namewave_models_stand_ins", ()]) == (2, 3)


WORKER = """
import sys
from app.metrics import Metrics
metrics = Metrics("1")
metrics.answered("/generate", 200, 0.01)
metrics.drew("a/b@1", 5, 7, 40)
metrics.streams.inc(2)
metrics.holds({"a/b@1"} if sys.argv[1] == "new" else {"a/b@1", "a/b@2"}, 0, 0, 0)
print("ready", flush=True)
sys.stdin.readline()
print(metrics.exposition("")[0].decode(), flush=True)
"""


def test_several_processes_are_one(tmp_path: Path) -> None:
    """Counters of all processes add up, those of one that was killed stay, and its gauges go; the least of what is
    served anywhere is told.
    """
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, kind],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for kind in ("old", "new", "old")
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    workers[2].kill()
    workers[2].communicate()
    told = samples(workers[0].communicate("\n")[0])
    workers[1].communicate("\n")
    assert told["namewave_requests_total", (("route", "/generate"), ("status", "200"))] == 3
    assert told["namewave_request_seconds_count", (("route", "/generate"),)] == 3
    assert told["namewave_names_total", (("model", "a/b@1"),)] == 15
    assert told["namewave_streams", ()] == 4
    assert told["namewave_workers", ()] == 2
    assert told["namewave_models_served", ()] == 1
    assert told["namewave_model_served", (("model", "a/b@2"),)] == 1


def expressions() -> list[str]:
    """Every expression of the dashboard and the alert rules."""
    dashboard = json.loads((ROOT / "deploy/dashboard.json").read_text("utf-8"))
    rules = yaml.safe_load((ROOT / "deploy/alerts.yml").read_text("utf-8"))
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return shown + [rule["expr"] for group in rules["groups"] for rule in group["rules"]]


async def test_deployment_uses_metrics_that_exist(
    client_of: Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]],
) -> None:
    """Dashboard and alert rules name only metrics that /metrics has, with labels that these have, and leave none of
    them out of the dashboard.
    """
    async with client_of() as client:
        await client.post("/generate", json={"dataset": "elves"})
        await client.post("/generate", json={"dataset": "elves", "count": 0})
        found = await asked(client)
    labels: dict[str, set[str]] = {}
    for name, pairs in found:
        labels.setdefault(name, set()).update(dict(pairs))
    used: set[str] = set()
    for expression in expressions():
        names = re.findall(r"\b(namewave_\w+)(?:\{([^}]*)\})?", expression)
        assert names or expression.startswith("up{"), expression
        for name, given in names:
            assert name in labels, name
            assert set(re.findall(r"(\w+)!?[=~]", given)) <= labels[name] | {"instance"}, expression
            used.add(name)
        # What is grouped is the metric that follows, or its rate.
        grouped = re.findall(r"by \(([^)]*)\) \((?:rate\()?(namewave_\w+)", expression)
        assert len(grouped) == expression.count("by (")
        for by, name in grouped:
            assert {part.strip() for part in by.split(",")} <= labels[name] | {"instance"}, expression
    made = re.compile(r"_(created|count|sum)$")
    assert {name for name in labels if name.startswith("namewave_") and not made.search(name)} == {
        name for name in used if not made.search(name)
    }


def test_alert_rules_have_what_prometheus_needs() -> None:
    """Each rule has a name, an expression, a time, a severity and texts."""
    rules = yaml.safe_load((ROOT / "deploy/alerts.yml").read_text("utf-8"))["groups"][0]["rules"]
    assert len(rules) >= 5
    for rule in rules:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}, rule
        assert rule["labels"]["severity"] in ("page", "warn")
        assert set(rule["annotations"]) == {"summary", "description"}
