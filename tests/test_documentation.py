"""The README keeps up: every setting and target that it names is there, every one that is there is named, its samples
are real.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.schemas import ALLOWED
from app.settings import Settings
from tests.harness.app_client import app_client

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def test_readme_lists_every_setting_with_its_description() -> None:
    named = re.findall(r"^\| `NAMEWAVE_([A-Z_]+)` \| (.+?) \|", README, re.MULTILINE)
    expected = [(name.upper(), field.description) for name, field in Settings.model_fields.items()]
    assert named == expected


def test_readme_lists_every_request_field() -> None:
    table = README.split("| field | meaning | default |")[1].split("\n\n")[0]
    named = set(re.findall(r"`([a-z_]+)`", "\n".join(line.split("|")[1] for line in table.splitlines() if "|" in line)))
    assert named - {"---"} == set(ALLOWED)


def test_documented_make_targets_exist() -> None:
    text = README + (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = set(re.findall(r"\bmake ([a-z-]+)\b", text))
    assert {"serve", "test", "training", "release", "system-packages"} <= named
    help_text = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [target for target in named if target not in help_text] == []


def test_readme_cli_sample_is_real() -> None:
    found = re.search(r"\$ \.venv/bin/python (-m app generate .+)\n((?:.+\n)+?)```", README)
    assert found is not None
    store = {"NAMEWAVE_STORE": "/nonexistent/store", "PATH": "/usr/bin:/bin", "HOME": str(Path.home())}
    command = [sys.executable, *found[1].split()]
    done = subprocess.run(command, cwd=ROOT, env=store, capture_output=True, text=True, check=True)
    assert done.stdout == found[2]


@pytest.mark.anyio
async def test_readme_stream_sample_is_real() -> None:
    found = re.search(r"\$ curl -H 'accept: (\S+)' 'localhost:8000(/generate\S+)'\n((?:.+\n)+?)```", README)
    assert found is not None
    async with app_client(Settings(store=Path("/nonexistent/store"))) as client:
        answer = await client.get(found[2], headers={"accept": found[1]})
    assert answer.text == found[3]


def test_readme_models_table_equals_the_manifests() -> None:
    rows = re.findall(
        r"^\| `(\w+)/(\w+)@(\d+)` \| ([\d,]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", README, re.MULTILINE
    )
    assert len(rows) == 12
    for dataset, architecture, version, parameters, *losses in rows:
        path = ROOT / "models/artifacts" / dataset / architecture / version / "manifest.json"
        manifest = json.loads(path.read_text())
        assert parameters == f"{manifest['parameters']:,}"
        assert losses == [f"{manifest['metrics'][part]:.3f}" for part in ("train", "dev", "test")]
