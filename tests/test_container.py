"""The container files say what the README promises; building and running them is a check of its own."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def test_hadolint_has_nothing_to_say() -> None:
    """hadolint finds no fault with the Dockerfile."""
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


def test_every_service_is_hardened(services: dict[str, Any]) -> None:
    """Read-only root, no capabilities, no new privileges, limits; the port is for this machine only."""
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["mem_limit"]
        assert service["pids_limit"]
        assert any(mount.startswith("/tmp") for mount in service["tmpfs"])
    assert services["api"]["ports"] == ["127.0.0.1:8000:8000"]


def test_the_store_is_shared(services: dict[str, Any]) -> None:
    """All see the same volume at the same place: the service to read, training and alias moves to write. The last use
    the service's own image, which has the command.
    """
    assert "store:/var/lib/namewave:ro" in services["api"]["volumes"]
    assert "store:/var/lib/namewave" in services["train"]["volumes"]
    assert services["train"]["profiles"] == ["train"]
    assert "store:/var/lib/namewave" in services["models"]["volumes"]
    assert services["models"]["image"] == services["api"]["image"]
    assert services["models"]["entrypoint"] == ["python", "-m", "app", "models"]
    assert services["models"]["profiles"] == ["models"]


def test_the_serving_image_is_the_default_and_has_no_torch() -> None:
    """The last stage is `serve`, built on `base`, which installs the serving requirements only."""
    stages = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("FROM")]
    assert stages[-1] == "FROM base AS serve"
    assert "torch" not in (ROOT / "requirements/serve.txt").read_text()
    assert "matplotlib" not in (ROOT / "requirements/serve.txt").read_text()
