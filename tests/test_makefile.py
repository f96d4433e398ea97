"""The commands of `make serve`, `make sbom` and `make audit`."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ([], {}, ""),
        ([], {"HOST": "mybox", "PORT": "22"}, ""),
        ([], {"NAMEWAVE_PORT": "9000"}, ""),
        (["PORT=9000"], {"NAMEWAVE_PORT": "9001", "PORT": "9002", "HOST": "mybox"}, "NAMEWAVE_PORT='9000' "),
        (["HOST=::", "PORT=80"], {}, "NAMEWAVE_HOST='::' NAMEWAVE_PORT='80' "),
    ],
)
def test_make_variables_override_settings_and_shell_does_not(
    arguments: list[str], environment: dict[str, str], expected: str
) -> None:
    # Those of the make that may have started this test would count here.
    clean = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS")}
    clean = {name: value for name, value in clean.items() if name not in ("HOST", "PORT")}
    result = subprocess.run(
        ["make", "-n", "serve", *arguments],
        cwd=ROOT,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in result.stdout.splitlines() if "-m app serve" in line]
    assert lines == [f"{expected}.venv/bin/python -m app serve"]


def test_sbom_environment_holds_serving_requirements_only() -> None:
    result = subprocess.run(["make", "-n", "-B", "sbom"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    installed = [line for line in result.splitlines() if "--python .venv-sbom/bin/python install" in line]
    assert [line.split(" install ")[1] for line in installed] == [
        "--require-hashes --only-binary :all: -r requirements/serve.txt"
    ]
    assert "sbom.json .venv-sbom/bin/python\n" in result
    assert ".venv/" not in result


@pytest.mark.parametrize(
    ("status", "out", "err", "expected"),
    [
        (0, "", "No known vulnerabilities found", "No known vulnerabilities found\n"),
        (1, "a 1.0 X-1", "Found 1 known vulnerability", "a 1.0 X-1\nFound 1 known vulnerability\n"),
        (1, "", "Traceback (most recent call last):\n  ...\nConnectionError: no route", None),
    ],
)
def test_audit_without_database_fails_with_one_line(
    tmp_path: Path, status: int, out: str, err: str, expected: str | None
) -> None:
    fake = tmp_path / "bin/pip-audit"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\n[ -z "{out}" ] || echo "{out}"\necho "{err}" >&2\nexit {status}\n')
    fake.chmod(0o755)
    (tmp_path / "stamp").touch()
    command = ["make", "-s", "-o", f"{tmp_path}/stamp", "audit", f"TOOLS={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode != 0) == (status != 0)
    if expected is None:
        expected = (
            "The advisory database did not answer for every package, so nothing is known. "
            f"The reason: {tmp_path}/audit.log\n"
        )
    assert done.stdout == expected
