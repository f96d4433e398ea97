"""The client as a package: both faces alike, nothing but httpx needed, examples that run."""

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
from app.routes.health import VERSION
from namewave_client import AsyncNameStream, AsyncNamewave, NameStream, Namewave, NamewaveError

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "clients/python"
README = (FOLDER / "README.md").read_text("utf-8")
EXAMPLE = re.compile(r"```python\n(.+?)```\n\n```text\n(.*?)```", re.DOTALL)
METHODS = {
    "close", "datasets", "generate", "info", "model", "models", "next_characters", "pages", "ready", "score", "stream",
}  # fmt: skip


def public(kind: type) -> dict[str, Any]:
    """What a class offers, by name."""
    return {name: member for name, member in vars(kind).items() if not name.startswith("_")}


def alike(annotation: object) -> str:
    """An annotation, with the async kind of a thing called as the sync one."""
    said = str(annotation)
    for waiting, plain in (
        ("AsyncNameStream", "NameStream"), ("AsyncIterator", "Iterator"), ("AsyncBaseTransport", "BaseTransport"),
        ("async_name_stream", "name_stream"),
    ):  # fmt: skip
        said = said.replace(waiting, plain)
    return said


def shape(function: Any) -> list[tuple[object, ...]]:
    """What a function takes and returns, for each of its overloads."""
    kinds = typing.get_overloads(function) or [function]
    return [
        (
            [(p.name, p.kind, p.default, alike(p.annotation)) for p in signature.parameters.values()],
            alike(signature.return_annotation),
        )
        for signature in map(inspect.signature, [function, *kinds])
    ]


def test_both_clients_have_the_same_methods() -> None:
    """Sync and async client have the same methods, with the same parameters, defaults and results."""
    plain, waiting = public(Namewave), public(AsyncNamewave)
    assert set(plain) == set(waiting) == METHODS
    for name in METHODS:
        assert shape(plain[name]) == shape(waiting[name]), name
        is_async = inspect.iscoroutinefunction(waiting[name]) or inspect.isasyncgenfunction(waiting[name])
        assert is_async != (name == "stream")
    made, awaited = (inspect.signature(kind).parameters for kind in (Namewave, AsyncNamewave))
    assert list(made) == list(awaited)
    for name in set(made) - {"sleep", "transport"}:
        assert made[name] == awaited[name]


def test_both_streams_have_the_same_members() -> None:
    """Sync and async stream offer the same."""
    assert set(public(NameStream)) == set(public(AsyncNameStream)) == {"head", "end", "close"}


def test_there_is_one_version() -> None:
    """The client's version is the service's, in its code and in its distribution, which needs httpx alone."""
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]
    assert project["version"] == namewave_client.__version__ == VERSION
    assert [re.match(r"[a-z0-9-]+", need)[0] for need in project["dependencies"]] == ["httpx"]  # type: ignore[index]
    assert project["requires-python"] == ">=3.11"
    assert (FOLDER / "namewave_client/py.typed").exists()
    assert (FOLDER / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_only_httpx_is_imported() -> None:
    """No file of the client imports anything but the standard library, httpx and the client."""
    roots: set[str] = set()
    for path in (FOLDER / "namewave_client").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                roots |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.module
                roots.add(node.module.partition(".")[0])
    assert roots - sys.stdlib_module_names == {"httpx", "namewave_client"}


def test_all_is_public_and_frozen() -> None:
    """What is exported is there; values are frozen; every exception is a `NamewaveError`."""
    exported = [getattr(namewave_client, name) for name in namewave_client.__all__ if name != "__version__"]
    assert len(exported) > 30
    for kind in exported:
        if dataclasses.is_dataclass(kind):
            assert kind.__dataclass_params__.frozen, kind  # type: ignore[attr-defined]
        if isinstance(kind, type) and issubclass(kind, Exception):
            assert issubclass(kind, NamewaveError)


def run(code: str, address: str) -> str:
    """What an example prints in a process of its own, when it asks the service at `address`."""
    asked = re.sub(r"Namewave\((?=\)|timeout)", f"Namewave({address!r},", code).replace(",)", ")")
    assert asked != code
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", asked],
        env=os.environ | {"PYTHONPATH": str(FOLDER)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_has_what_it_prints() -> None:
    """No example of the README goes untested."""
    assert README.count("```python") == len(EXAMPLE.findall(README)) >= 8


@pytest.mark.parametrize(("code", "printed"), EXAMPLE.findall(README))
def test_the_examples_are_real(address: str, code: str, printed: str) -> None:
    """Each example of the client's README prints what the README says."""
    assert run(code, address) == printed


def test_the_example_of_the_project_is_real(address: str) -> None:
    """The example in the project's README prints what it says."""
    section = (ROOT / "README.md").read_text("utf-8").partition("## From Python\n")[2].partition("\n## ")[0]
    [(code, printed)] = EXAMPLE.findall(section)
    assert run(code, address) == printed
