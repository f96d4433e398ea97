"""deploy/kubernetes: every manifest is valid, and agrees with the service, the command lines and docker-compose.yml."""

import functools
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from app.cli.main import main as app_main
from app.routes import health, metrics
from app.server.server import SHUTDOWN_SECONDS
from app.settings import Settings, unknown_variables
from training.cli import main as training_main

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy/kubernetes"
OVERLAY = KUBERNETES / "overlays/production"
# Versions that clusters run.
VERSIONS = ("1.33", "1.36")
Manifest = dict[str, Any]


@functools.cache
def rendered(folder: Path) -> str:
    """What `kubectl apply -k` would send."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def manifests(folder: Path = OVERLAY) -> list[Manifest]:
    return [*yaml.safe_load_all(rendered(folder))]


def jobs() -> list[Manifest]:
    paths = sorted((KUBERNETES / "jobs").glob("*.yaml"))
    return [document for path in paths for document in yaml.safe_load_all(path.read_text("utf-8"))]


def one(kind: str, name: str = "namewave") -> Manifest:
    [found] = [each for each in manifests() if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def pods() -> Iterator[Manifest]:
    """The pod of every Deployment and Job."""
    for each in [*manifests(), *jobs()]:
        if "template" in each.get("spec", {}):
            yield each["spec"]["template"]["spec"]


def container(manifest: Manifest) -> Manifest:
    [found] = manifest["spec"]["template"]["spec"]["containers"]
    return dict(found)


def settings() -> dict[str, str]:
    """The variables of the service: those of its pod, with the name of the ConfigMap that it really reads."""
    [source] = container(one("Deployment"))["envFrom"]
    return dict(one("ConfigMap", source["configMapRef"]["name"])["data"])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("folder", [KUBERNETES / "base", OVERLAY], ids=lambda folder: folder.name)
def test_rendered_manifests_are_valid(folder: Path, version: str) -> None:
    found = manifests(folder)
    assert len(found) >= 12
    for each in found:
        kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_jobs_are_valid(version: str) -> None:
    assert [each["kind"] for each in jobs()] == ["PersistentVolumeClaim", "Job", "Job"]
    for each in jobs():
        kubernetes_validate.validate(each, version, strict=True)


def test_misspelt_field_is_found() -> None:
    """The check that the tests above rely on."""
    wrong = one("Deployment")
    container(wrong)["resources"]["limit"] = {"memory": "1Gi"}
    with pytest.raises(kubernetes_validate.ValidationError, match="limit"):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_every_pod_is_hardened() -> None:
    found = [*pods()]
    assert len(found) == 4
    for pod in found:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is pod["enableServiceLinks"] is False
        for each in pod["containers"]:
            assert each["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }
            assert each["resources"]["requests"].keys() == {"cpu", "memory"}
            assert each["resources"]["limits"].keys() == {"memory"}


def test_pods_run_as_the_user_of_the_images() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    for pod in pods():
        if any(each["image"].rpartition("/")[2].startswith("namewave") for each in pod["containers"]):
            assert f"useradd --uid {pod['securityContext']['runAsUser']} " in dockerfile


def test_images_are_those_of_the_compose_file() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    own = {each["image"] for each in services.values()}
    images = {each["image"].rpartition("/")[2] for pod in pods() for each in pod["containers"]}
    assert own <= images
    assert {image.partition(":")[0] for image in images} == {"namewave", "namewave-train", "redis"}


def test_probes_ask_routes_that_exist() -> None:
    probed = container(one("Deployment"))
    paths = {kind: probed[kind]["httpGet"]["path"] for kind in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert paths == {
        "startupProbe": "/health/live",
        "readinessProbe": "/health/ready",
        "livenessProbe": "/health/live",
    }
    assert set(paths.values()) <= {route.path for route in health.router.routes}  # type: ignore[attr-defined]


def test_start_may_compile_the_sampler() -> None:
    """85 s of processor time, without a restart."""
    probe = container(one("Deployment"))["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 2 * 85


def test_watchdog_comes_before_the_liveness_probe() -> None:
    probe = container(one("Deployment"))["livenessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] > 2 * Settings().watchdog


def test_grace_covers_pre_stop_and_shutdown() -> None:
    pod = one("Deployment")["spec"]["template"]["spec"]
    pause = container(one("Deployment"))["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pause > 0
    assert pod["terminationGracePeriodSeconds"] > pause + SHUTDOWN_SECONDS


def test_variables_are_settings_with_valid_values(monkeypatch: pytest.MonkeyPatch) -> None:
    given = settings()
    assert [*unknown_variables(given)] == []
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    chosen = Settings()
    assert (chosen.workers, chosen.threads) == (1, 1)
    ports = {port["name"]: port["containerPort"] for port in container(one("Deployment"))["ports"]}
    assert ports == {"http": chosen.port, "metrics": chosen.metrics_port}
    redis = one("Service", "namewave-redis")
    assert chosen.limits_store == f"redis://{redis['metadata']['name']}:{redis['spec']['ports'][0]['port']}/0"


def test_overlay_keeps_the_settings_of_the_base() -> None:
    [base] = [each["data"] for each in manifests(KUBERNETES / "base") if each["kind"] == "ConfigMap"]
    assert base.items() < settings().items()


def test_autoscaler_and_budget_are_for_the_deployment() -> None:
    scaler, budget = one("HorizontalPodAutoscaler")["spec"], one("PodDisruptionBudget")["spec"]
    deployment = one("Deployment")
    assert "replicas" not in deployment["spec"]
    assert scaler["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert [metric["resource"]["name"] for metric in scaler["metrics"]] == ["cpu"]
    assert 1 < scaler["minReplicas"] < scaler["maxReplicas"]
    assert budget["selector"]["matchLabels"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    for spread in deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]:
        assert spread["labelSelector"] == deployment["spec"]["selector"]


def test_ingress_leads_to_the_service_and_not_to_metrics() -> None:
    ingress, service = one("Ingress"), one("Service")
    [rule] = ingress["spec"]["rules"]
    [path] = rule["http"]["paths"]
    backend = path["backend"]["service"]
    assert backend == {"name": service["metadata"]["name"], "port": {"name": "http"}}
    targets = {port["name"]: port["targetPort"] for port in service["spec"]["ports"]}
    assert targets == {"http": "http", "metrics": "metrics"}
    annotations = ingress["metadata"]["annotations"]
    assert annotations["nginx.org/proxy-buffering"] == "False"
    deadline = int(annotations["nginx.org/proxy-read-timeout"].removesuffix("s"))
    assert deadline > Settings().deadline_seconds
    assert 1024 * int(annotations["nginx.org/client-max-body-size"].removesuffix("k")) >= Settings().max_score_bytes


def test_every_pod_has_a_network_policy() -> None:
    policies = [each["spec"] for each in manifests() if each["kind"] == "NetworkPolicy"]
    owners = [each for each in [*manifests(), *jobs()] if each["kind"] in ("Deployment", "Job")]
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in owners]
    assert len(labels) == 4
    for each in labels:
        [policy] = [spec for spec in policies if spec["podSelector"]["matchLabels"].items() <= each.items()]
        assert policy["policyTypes"] == ["Ingress", "Egress"]


@pytest.mark.parametrize("name", ["bulk", "train"])
def test_job_calls_a_command_that_exists(name: str) -> None:
    """click parses its arguments; nothing runs."""
    documents = yaml.safe_load_all((KUBERNETES / f"jobs/{name}.yaml").read_text("utf-8"))
    [job] = [each for each in documents if each["kind"] == "Job"]
    words = container(job)["args"]
    for each in container(job).get("env", ()):
        words = [word.replace(f"$({each['name']})", "7") for word in words]
    command: click.Command = training_main if name == "train" else app_main
    while isinstance(command, click.Group):
        with command.make_context("", [*words]) as context:
            _, chosen, words = command.resolve_command(context, [*words])
        assert chosen is not None
        command = chosen
    with command.make_context("", [*words]) as context:
        given = context.params
    assert given["name" if name == "train" else "dataset"] == {"train": "elves", "bulk": "human"}[name]
    if name == "bulk":
        assert job["spec"]["completionMode"] == "Indexed"
        assert given["shard"] == (7, job["spec"]["completions"])


def test_service_monitor_reads_the_port_of_the_metrics() -> None:
    monitor = yaml.safe_load((KUBERNETES / "examples/service-monitor.yaml").read_text("utf-8"))
    service = one("Service")
    assert monitor["metadata"]["namespace"] == service["metadata"]["namespace"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert [each["port"] for each in monitor["spec"]["endpoints"]] == ["metrics"]
    # Prometheus asks for /metrics where no path is given.
    assert {route.path for route in metrics.router.routes} == {"/metrics"}  # type: ignore[attr-defined]
    job = service["metadata"]["labels"][monitor["spec"]["jobLabel"]]
    assert f'up{{job="{job}"}}' in (ROOT / "deploy/alerts.yml").read_text("utf-8")
