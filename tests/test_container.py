"""The container files say what the README promises; building and running them is a check of its own."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.commands.variables import unknown_variables
from app.settings import Settings

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


def test_what_the_comments_of_the_compose_file_offer_is_there() -> None:
    """Without the comment signs it still is a compose file: its extras have requirements, its variables are settings
    that may have such values, and what each extra is for is among them.
    """
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
def test_the_image_installs_the_extras_that_are_asked_for(
    tmp_path: Path, extras: str, installed: list[str] | None
) -> None:
    """The serving stage's loop, run with a python that only says what it was asked, installs each extra by its hashes,
    nothing where none is named, and fails where pip does.
    """
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


def test_the_serving_image_is_the_default_and_has_no_torch() -> None:
    """The last stage is `serve`, built on `base`, which installs the serving requirements only."""
    stages = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("FROM")]
    assert stages[-1] == "FROM base AS serve"
    assert "torch" not in (ROOT / "requirements/serve.txt").read_text()
    assert "matplotlib" not in (ROOT / "requirements/serve.txt").read_text()
