"""What `make serve` would run, and with which address."""

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
def test_only_makes_own_command_line_goes_before_the_settings(
    arguments: list[str], environment: dict[str, str], expected: str
) -> None:
    """HOST and PORT of make's command line are the settings; the shell's are not, so that NAMEWAVE_PORT counts."""
    # Those of the make that may have started this test would count here.
    clean = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS")}
    clean = {name: value for name, value in clean.items() if name not in ("HOST", "PORT")}
    told = subprocess.run(
        ["make", "-n", "serve", *arguments],
        cwd=ROOT,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in told.stdout.splitlines() if "-m app serve" in line]
    assert lines == [f"{expected}.venv/bin/python -m app serve"]
