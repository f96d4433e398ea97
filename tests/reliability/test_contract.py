"""Row 10 and the contract: the OpenAPI document is complete, and the service does what it says."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from app.documentation import describing
from app.documentation.samples import SAMPLES
from app.main import create_app
from tests.harness.service import Service

Ask = Callable[..., httpx.Response]
HERE = Path(__file__).parent
PROBLEM = "application/problem+json"
# These tell how things are in a form of their own also where they are bad.
PROBES = ("/health/ready",)
BOUNDS = ("maxLength", "maximum", "exclusiveMaximum", "enum", "const", "$ref")


@pytest.fixture(scope="module")
def document(ask: Ask) -> dict[str, Any]:
    """The OpenAPI document."""
    found: dict[str, Any] = ask("GET", "/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each operation, with its name."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def unbounded(schema: dict[str, Any]) -> bool:
    """Whether a schema lets something of any size in."""
    if variants := schema.get("anyOf"):
        return any(map(unbounded, variants))
    match schema.get("type"):
        case "null" | "boolean":
            return False
        case "array":
            return "maxItems" not in schema or unbounded(schema["items"])
        case "object":
            inside = schema.get("additionalProperties")
            return "maxProperties" not in schema or inside in (None, True) or unbounded(inside)
    return not any(bound in schema for bound in BOUNDS)


def test_every_route_has_a_limit(document: dict[str, Any]) -> None:
    """Every parameter and every field of every body has a bound, no body takes unknown fields, and every operation
    tells of 413 and 431.
    """
    for name, operation in operations(document):
        assert {"413", "431", "408"} <= set(operation["responses"]), name
        for parameter in operation.get("parameters", ()):
            assert not unbounded(parameter["schema"]), (name, parameter["name"])
        if body := operation.get("requestBody"):
            schema = body["content"]["application/json"]["schema"]
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            assert schema["additionalProperties"] is False, name
            for field, described in schema["properties"].items():
                assert not unbounded(described), (name, field)


def test_every_error_is_a_problem_with_an_example(document: dict[str, Any]) -> None:
    """Every error that an operation tells of is problem+json with examples of that status; a 503 has one of overload,
    which has other words than that of a model, and tells of Retry-After.
    """
    told = 0
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) < 400 or (status == "503" and name.partition(" ")[2] in PROBES):
                continue
            assert list(response["content"]) == [PROBLEM], (name, status)
            content = response["content"][PROBLEM]
            examples = {key: example["value"] for key, example in content.get("examples", {}).items()}
            examples = examples or {"only": content["example"]}
            assert {example["status"] for example in examples.values()} == {int(status)}, (name, status)
            if status == "503":
                assert response["headers"]["Retry-After"]["schema"]["type"] == "integer", name
                assert "Retry-After" in examples["overload"]["detail"], name
                assert "/health/ready" in examples["model"]["detail"], name
            told += 1
    assert told > 60


def test_every_answer_and_body_has_an_example(document: dict[str, Any]) -> None:
    """Every form of every answer has an example, and every body."""
    for name, operation in operations(document):
        for media, content in operation["responses"]["200"]["content"].items():
            assert "example" in content, (name, media)
        if body := operation.get("requestBody"):
            assert body["content"]["application/json"]["examples"], name


def test_examples_are_what_the_answers_are() -> None:
    """Each example of an answer is one, with all fields that its class wants; none is of a path that there is not."""
    routes = {route.path: route for route in create_app().routes if isinstance(route, APIRoute)}
    for path, sample in SAMPLES.items():
        TypeAdapter(routes[path].response_model).validate_python(sample)


def test_the_document_in_the_repository_is_the_services(document: dict[str, Any]) -> None:
    """FastAPI's own error is nowhere in it."""
    assert not any(name in str(document) for name in describing.FOREIGN)


def test_row_10_schemathesis_finds_nothing(attacked: Service) -> None:
    """Schemathesis with all checks, from the document, finds no failure in some hundred cases."""
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml"), "run"]
    options = ["--checks", "all", "--max-examples", "10", "--seed", "1", "--no-color"]
    address = f"http://127.0.0.1:{attacked.port}/openapi.json"
    done = subprocess.run([*command, address, *options], capture_output=True, text=True, check=False, cwd=HERE)
    print(done.stdout[-3000:])  # noqa: T201
    assert done.returncode == 0, done.stdout[-6000:]
    cases = re.search(r"(\d[\d,]*) generated", done.stdout)
    assert cases
    assert int(cases[1].replace(",", "")) >= 300
