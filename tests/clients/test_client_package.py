"""The client package: equal interfaces, httpx as the only dependency, examples that run."""

import ast
import dataclasses
import inspect
import os
import re
import subprocess
import sys
import tomllib
import typing
from pathlib import Path
from typing import Any

import pytest

import namewave_client
from app import __version__
from namewave_client import AsyncNameStream, AsyncNamewave, NameStream, Namewave, NamewaveError

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "clients/python"
README = (FOLDER / "README.md").read_text("utf-8")
PROJECT_SECTION = (ROOT / "README.md").read_text("utf-8").partition("## From Python\n")[2].partition("\n## ")[0]
EXAMPLE = re.compile(r"```python\n(.+?)```\n\n```text\n(.*?)```", re.DOTALL)
METHODS = {
    "close", "datasets", "generate", "info", "model", "models", "next_characters", "pages", "ready", "score", "stream",
}  # fmt: skip


def public(kind: type) -> dict[str, Any]:
    return {name: member for name, member in vars(kind).items() if not name.startswith("_")}


def alike(annotation: object) -> str:
    """Return an annotation with the sync names of async types."""
    return re.sub("Async(?=NameStream|Iterator|BaseTransport)|async_(?=name_stream)", "", str(annotation))


def shape(function: Any) -> list[tuple[object, ...]]:
    shapes = []
    for signature in map(inspect.signature, [function, *typing.get_overloads(function)]):
        parameters = [(p.name, p.kind, p.default, alike(p.annotation)) for p in signature.parameters.values()]
        shapes.append((parameters, alike(signature.return_annotation)))
    return shapes


def test_sync_and_async_members_are_the_same() -> None:
    assert set(public(Namewave)) == set(public(AsyncNamewave)) == METHODS
    assert set(public(NameStream)) == set(public(AsyncNameStream)) == {"head", "end", "close"}


@pytest.mark.parametrize("name", sorted(METHODS))
def test_sync_and_async_method_signatures_are_the_same(name: str) -> None:
    method = public(AsyncNamewave)[name]
    assert shape(public(Namewave)[name]) == shape(method)
    assert (inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)) != (name == "stream")


def test_sync_and_async_constructor_parameters_are_the_same() -> None:
    sync, asynchronous = (inspect.signature(kind).parameters for kind in (Namewave, AsyncNamewave))
    assert list(sync) == list(asynchronous)
    for name in set(sync) - {"sleep", "transport"}:
        assert sync[name] == asynchronous[name]


def test_distribution_metadata_matches_the_service() -> None:
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]
    assert project["dynamic"] == ["version"]
    assert namewave_client.__version__ == __version__
    assert [re.match(r"[a-z0-9-]+", need)[0] for need in project["dependencies"]] == ["httpx"]  # type: ignore[index]
    assert project["requires-python"] == ">=3.11"
    assert (FOLDER / "namewave_client/py.typed").exists()
    assert (FOLDER / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_httpx_is_the_only_third_party_import() -> None:
    roots: set[str] = set()
    for path in (FOLDER / "namewave_client").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                roots |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.module
                roots.add(node.module.partition(".")[0])
    assert roots - sys.stdlib_module_names == {"httpx", "namewave_client"}


def test_exports_are_frozen_values_and_namewave_errors() -> None:
    exported = [getattr(namewave_client, name) for name in namewave_client.__all__ if name != "__version__"]
    assert len(exported) > 30
    for kind in exported:
        if dataclasses.is_dataclass(kind):
            assert kind.__dataclass_params__.frozen, kind  # type: ignore[attr-defined]
        if isinstance(kind, type) and issubclass(kind, Exception):
            assert issubclass(kind, NamewaveError)


def run(code: str, address: str) -> str:
    asked = re.sub(r"Namewave\((?=\)|timeout)", f"Namewave({address!r},", code).replace(",)", ")")
    assert asked != code
    command, environment = [sys.executable, "-W", "error", "-c", asked], os.environ | {"PYTHONPATH": str(FOLDER)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_readme_example_shows_its_output() -> None:
    assert README.count("```python") == len(EXAMPLE.findall(README)) >= 8
    assert PROJECT_SECTION.count("```python") == len(EXAMPLE.findall(PROJECT_SECTION)) == 1


@pytest.mark.parametrize(("code", "printed"), EXAMPLE.findall(README + PROJECT_SECTION))
def test_readme_example_prints_its_documented_output(address: str, code: str, printed: str) -> None:
    assert run(code, address) == printed
