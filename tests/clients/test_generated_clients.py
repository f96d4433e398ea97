"""Clients that generators make of the OpenAPI document call the real service without casts."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.harness.service import ROOT

pytestmark = pytest.mark.slow
GENERATED = Path(__file__).parent / "generated"
DOCUMENT = ROOT / "docs/openapi.json"
GENERATOR = "openapi-python-client==0.29.1"


def run(*command: object, cwd: Path) -> str:
    return subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, check=True).stdout


def expected(address: str) -> list[object]:
    """The output of both clients."""
    names = httpx.get(f"{address}/generate?count=3&seed=1&model=human/lstm@4").json()["names"]
    return [names, 3, 7, True, "mar", "human/lstm@4", "invalid_field"]


def test_typescript_client_makes_seven_calls(address: str, tmp_path: Path) -> None:
    """By openapi-typescript and openapi-fetch, compiled as strictly as TypeScript can."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    for name in ("package.json", "calls.ts"):
        shutil.copy(GENERATED / name, tmp_path)
    run("npm", "install", "--no-audit", "--no-fund", cwd=tmp_path)
    tools = tmp_path / "node_modules/.bin"
    run(tools / "openapi-typescript", DOCUMENT, "-o", "api.ts", cwd=tmp_path)
    options = ["--strict", "--module", "nodenext", "--target", "es2022", "--types", "node", "--outDir", "out"]
    run(tools / "tsc", *options, "--skipLibCheck", "calls.ts", cwd=tmp_path)
    assert json.loads(run("node", "out/calls.js", address, cwd=tmp_path)) == expected(address)


def test_python_client_makes_seven_calls(address: str, tmp_path: Path) -> None:
    """By openapi-python-client."""
    run(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    programs = tmp_path / "env/bin"
    run(programs / "python", "-m", "pip", "install", "--quiet", GENERATOR, cwd=tmp_path)
    made = ["generate", "--path", DOCUMENT, "--output-path", "made", "--meta", "none"]
    run(programs / "openapi-python-client", *made, cwd=tmp_path)
    shutil.copy(GENERATED / "calls.py", tmp_path)
    assert json.loads(run(programs / "python", "calls.py", address, cwd=tmp_path)) == expected(address)
