"""The README keeps up: every setting and target that it names is there, every one that is there is named, its samples
are real.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.main import create_app
from app.schemas import ALLOWED
from app.settings import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


@pytest.fixture
def anyio_backend() -> str:
    """One event loop is enough: uvicorn's."""
    return "asyncio"


def test_every_setting_is_documented() -> None:
    """The settings table names each setting once, with its description, and no other."""
    named = re.findall(r"^\| `NAMEWAVE_([A-Z_]+)` \| (.+?) \|", README, re.MULTILINE)
    expected = [(name.upper(), field.description) for name, field in Settings.model_fields.items()]
    assert named == expected


def test_every_field_is_documented() -> None:
    """The table of fields has each field of the contract."""
    table = README.split("| field | meaning | default |")[1].split("\n\n")[0]
    named = set(re.findall(r"`([a-z_]+)`", "\n".join(line.split("|")[1] for line in table.splitlines() if "|" in line)))
    assert named - {"---"} == set(ALLOWED)


def test_every_target_of_the_readme_exists() -> None:
    """Each `make` target that the README or CONTRIBUTING names is in the Makefile, and `make help` lists it."""
    text = README + (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = set(re.findall(r"\bmake ([a-z-]+)\b", text))
    assert {"serve", "test", "training", "release", "system-packages"} <= named
    help_text = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [target for target in named if target not in help_text] == []


def test_the_sample_of_the_command_line_is_real() -> None:
    """The README's `python -m app generate` prints what the README says, with the models that ship."""
    found = re.search(r"\$ \.venv/bin/python (-m app generate .+)\n((?:.+\n)+?)```", README)
    assert found is not None
    store = {"NAMEWAVE_STORE": "/nonexistent/store", "PATH": "/usr/bin:/bin", "HOME": str(Path.home())}
    command = [sys.executable, *found[1].split()]
    done = subprocess.run(command, cwd=ROOT, env=store, capture_output=True, text=True, check=True)
    assert done.stdout == found[2]


@pytest.mark.anyio
async def test_the_sample_of_a_stream_is_real() -> None:
    """The README's stream is what a service over the models that ship answers to the link and header shown."""
    found = re.search(r"\$ curl -H 'accept: (\S+)' 'localhost:8000(/generate\S+)'\n((?:.+\n)+?)```", README)
    assert found is not None
    app = create_app(Settings(store=Path("/nonexistent/store")))
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope, receive, send):  # type: ignore[no-untyped-def]
            await app({**scope, "state": dict(state)}, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(with_state), base_url="http://test") as client:
            answer = await client.get(found[2], headers={"accept": found[1]})
    assert answer.text == found[3]


def test_the_models_table_is_real() -> None:
    """The README's losses are those of the manifests."""
    rows = re.findall(
        r"^\| `(\w+)/(\w+)@(\d+)` \| ([\d,]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", README, re.MULTILINE
    )
    assert len(rows) == 12
    for dataset, architecture, version, parameters, *losses in rows:
        path = ROOT / "models/artifacts" / dataset / architecture / version / "manifest.json"
        manifest = json.loads(path.read_text())
        assert parameters == f"{manifest['parameters']:,}"
        assert losses == [f"{manifest['metrics'][part]:.3f}" for part in ("train", "dev", "test")]
