"""Row 23: no pickle is ever read by the service. (Pickles in a store: row 25, `test_damage`.)"""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from models import Kernels
from tests.harness.crashes import prepared

ROOT = Path(__file__).parents[2]
SERVING = sorted(
    path for room in ("app", "models") for path in (ROOT / room).rglob("*.py") if "networks" not in path.parts
)
FORBIDDEN = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "torch"}


def imported(path: Path) -> set[str]:
    """The packages that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found


def called(path: Path) -> set[str]:
    """The plain names that a file calls."""
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    return {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}


@pytest.mark.parametrize("path", SERVING, ids=lambda path: str(path.relative_to(ROOT)))
def test_row_23_no_file_that_serves_can_read_a_pickle(path: Path) -> None:
    """No module of the service or of the models it loads imports what reads pickles, or calls eval or exec."""
    assert not imported(path) & FORBIDDEN
    assert not called(path) & {"eval", "exec", "__import__"}


def test_row_23_the_audit_sees_an_import() -> None:
    """The audit is not blind: it finds torch where it is, in the networks."""
    assert "torch" in imported(ROOT / "models/networks/layers.py")


def test_row_23_loading_and_drawing_read_no_pickle(tmp_path: Path, kernels: Kernels) -> None:
    """A fresh process that opens a store, verifies it, and answers a request, looks up no class for a pickle
    (CPython's audit event), but for numba's cache of the compiled kernels, which is code, and no part of a store.
    """
    stores = prepared(tmp_path / "stores", kernels, versions=1)
    program = """
import anyio, httpx, pickle, sys
from app.main import create_app
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
    app = create_app()
    async with app.router.lifespan_context(app) as state:
        async def served(scope, receive, send):
            await app({**scope, "state": dict(state)}, receive, send)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://test") as client:
            assert (await client.get("/generate?dataset=elves")).status_code == 200

anyio.run(main)
print(seen)
pickle.loads(pickle.dumps(sys.getrefcount))
print(len(seen) > 0)
"""
    places = {"NAMEWAVE_STORE": str(stores / "user"), "NAMEWAVE_SHIPPED_STORE": str(stores / "shipped")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, **places},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split("\n")[:2] == ["[]", "True"], done.stdout + done.stderr
