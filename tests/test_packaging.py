"""The distribution: one version, and a wheel and an sdist that run where nothing else is installed."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import httpx
import pytest
import yaml

from app import __version__
from tests.harness.clock import until
from tests.harness.service import ROOT, free_port, is_listening

PYTHONS = ("3.11", "3.12", "3.13")


def test_images_are_tagged_with_the_version() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    assert {service["image"].partition(":")[2] for service in services.values()} == {__version__}
    shown = subprocess.run(["make", "-n", "image"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f"namewave:{__version__}" in shown


def test_stated_interpreters_are_those_that_are_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["dynamic"] == ["version"]
    assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", __version__)
    assert tuple(re.findall(r":: (3\.\d+)", " ".join(project["classifiers"]))) == PYTHONS


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The sdist, and the wheel that is made from it."""
    folder = tmp_path_factory.mktemp("dist")
    source = folder / "source"
    kept = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, kept.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(folder), str(source)], check=True)
    return sorted(folder.glob("namewave_server-*"))


@pytest.mark.slow
@pytest.mark.parametrize("python", PYTHONS)
def test_wheel_runs_in_an_empty_environment(distributions: list[Path], tmp_path: Path, python: str) -> None:
    interpreter = shutil.which(f"python{python}")
    if interpreter is None or subprocess.run([interpreter, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip(f"Python {python} is not installed")
    [sdist, wheel] = sorted(distributions, key=lambda path: path.suffix)
    assert f"-{__version__}" in wheel.name
    with tarfile.open(sdist) as archive:
        assert any(
            name.endswith("/models/artifacts/aliases.json") or "/artifacts/" in name for name in archive.getnames()
        )
    subprocess.run([interpreter, "-m", "venv", str(tmp_path / "env")], check=True)
    programs = tmp_path / "env/bin"
    subprocess.run([programs / "python", "-m", "pip", "install", "--quiet", str(wheel)], check=True)
    # Not in the project's folder, whose packages would be found first.
    environment = {"PATH": os.defpath, "HOME": str(tmp_path), "NAMEWAVE_LOG_FORMAT": "json"}
    command = [programs / "namewave-server", "generate", "--seed", "1", "--count", "3", "--model", "human/lstm@4"]
    shown = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    assert len(shown.split()) == 3
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    serve = [programs / "namewave-server", "serve", "--port", str(port)]
    with subprocess.Popen(serve, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: is_listening(port) and httpx.get(f"{address}/health/ready").status_code == 200)
            assert httpx.get(f"{address}/info").json()["version"] == __version__
            link = f"{address}/generate?seed=1&count=3&model=human/lstm@4"
            assert httpx.get(link).json()["names"] == shown.split()
        finally:
            process.terminate()
