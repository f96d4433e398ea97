"""Row 23: the service never reads a pickle; for pickles in a store see `test_damage`."""

import ast
from pathlib import Path

import pytest

from tests.harness.service import ROOT, run_python
from tests.harness.stores import store_settings

pytestmark = pytest.mark.row(23)
SERVING = sorted(
    path for package in ("app", "models") for path in (ROOT / package).rglob("*.py") if "networks" not in path.parts
)
FORBIDDEN = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "torch"}
FORBIDDEN |= {"eval", "exec", "__import__"}
PROGRAM = """
import anyio, pickle, sys
from app.settings import Settings
from tests.harness.app_client import app_client
seen = []

def hook(event, values):
    if event == "pickle.find_class":
        frame, files = sys._getframe(), []
        while frame:
            files.append(frame.f_code.co_filename)
            frame = frame.f_back
        if not any("/numba/" in file for file in files):
            seen.append(values)

sys.addaudithook(hook)

async def main():
    async with app_client(Settings()) as client:
        assert (await client.get("/generate?dataset=elves")).status_code == 200

anyio.run(main)
print(seen)
pickle.loads(pickle.dumps(sys.getrefcount))
print(len(seen) > 0)
"""


def names_used_by(path: Path) -> set[str]:
    """Return the packages that a file imports and the plain names that it calls, anywhere."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Import(names=aliases):
                found |= {alias.name.partition(".")[0] for alias in aliases}
            case ast.ImportFrom(module=str(module), level=0):
                found.add(module.partition(".")[0])
            case ast.Call(func=ast.Name(id=name)):
                found.add(name)
    return found


@pytest.mark.parametrize("path", SERVING, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_serving_module_can_read_a_pickle(path: Path) -> None:
    assert not names_used_by(path) & FORBIDDEN


def test_import_audit_finds_torch_in_the_networks() -> None:
    assert "torch" in names_used_by(ROOT / "models/networks/layers.py")


def test_loading_and_sampling_read_no_pickle(shared_stores: Path) -> None:
    """CPython's audit event says so; numba's cache of compiled kernels, which is no part of a store, is exempt."""
    done = run_python("-c", PROGRAM, **store_settings(shared_stores))
    assert done.stdout.split("\n")[:2] == ["[]", "True"], done.stdout + done.stderr
