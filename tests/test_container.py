"""The container files say what the README promises; building and running them is a check of its own."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import Settings, unknown_variables

ROOT = Path(__file__).parents[1]


def test_dockerfile_passes_hadolint() -> None:
    beside = Path(sys.executable).with_name("hadolint")
    hadolint = str(beside) if beside.exists() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def services() -> dict[str, Any]:
    """The services of the compose file."""
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"])


@pytest.mark.row(34)
def test_compose_services_are_hardened(services: dict[str, Any]) -> None:
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["mem_limit"]
        assert service["pids_limit"]
        assert any(mount.startswith("/tmp") for mount in service["tmpfs"])
    assert services["api"]["ports"] == ["127.0.0.1:8000:8000"]


def test_compose_services_share_the_store_with_least_rights(services: dict[str, Any]) -> None:
    assert "store:/var/lib/namewave:ro" in services["api"]["volumes"]
    assert "store:/var/lib/namewave" in services["train"]["volumes"]
    assert services["train"]["profiles"] == ["train"]
    assert "store:/var/lib/namewave" in services["models"]["volumes"]
    assert services["models"]["image"] == services["api"]["image"]
    assert services["models"]["entrypoint"] == ["python", "-m", "app", "models"]
    assert services["models"]["profiles"] == ["models"]


def test_commented_compose_options_are_valid() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    opened = re.sub(r"^( +)# (?=(args|environment):$|  [A-Z_]+: )", r"\1", text, flags=re.MULTILINE)
    api = yaml.safe_load(opened)["services"]["api"]
    extras = api["build"]["args"]["EXTRAS"].split()
    assert [extra for extra in extras if not (ROOT / f"requirements/{extra}.txt").is_file()] == []
    given = {name: str(value) for name, value in api["environment"].items() if name != "OTEL_EXPORTER_OTLP_ENDPOINT"}
    assert list(unknown_variables(given)) == []
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        chosen = Settings()
    assert chosen.telemetry
    assert chosen.limits_store
    assert extras == ["redis", "telemetry"]


@pytest.mark.parametrize(("extras", "installed"), [("", []), ("redis telemetry", ["redis", "telemetry"]), ("no", None)])
def test_image_installs_requested_extras_by_hash(tmp_path: Path, extras: str, installed: list[str] | None) -> None:
    stage = (ROOT / "Dockerfile").read_text().split("FROM base AS serve")[1]
    found = re.search(r"^RUN (for extra in .+?done)$", stage, re.MULTILINE | re.DOTALL)
    assert found is not None
    fake = tmp_path / "python"
    fake.write_text('#!/bin/sh\necho "$@"\nfor last; do :; done\ntest -f "$last"\n')
    fake.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "EXTRAS": extras}
    done = subprocess.run(
        ["sh", "-c", found[1]], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == (installed is not None)
    if installed is not None:
        assert re.findall(r"--require-hashes .*-r requirements/(\w+)\.txt$", done.stdout, re.MULTILINE) == installed


def test_default_image_serves_without_torch() -> None:
    stages = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("FROM")]
    assert stages[-1] == "FROM base AS serve"
    assert "torch" not in (ROOT / "requirements/serve.txt").read_text()
    assert "matplotlib" not in (ROOT / "requirements/serve.txt").read_text()
