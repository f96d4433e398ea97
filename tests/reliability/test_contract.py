"""The OpenAPI document is complete, and the service keeps to it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from app.main import create_app
from app.web.negotiation import JSON
from app.web.openapi import FASTAPI_ERRORS
from tests.harness.answers import Ask
from tests.harness.service import Service, run_python

CONFIG = Path(__file__).with_name("schemathesis.toml")
PROBLEM = "application/problem+json"
# Answers with a document of its own when it is not ready.
PROBE = "/health/ready"
BOUNDS = ("maxLength", "maximum", "exclusiveMaximum", "enum", "const", "$ref")


@pytest.fixture(scope="module")
def document(ask: Ask) -> dict[str, Any]:
    found: dict[str, Any] = ask("GET", "/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def is_bounded(schema: dict[str, Any]) -> bool:
    """Return whether a schema limits the size of its values."""
    if variants := schema.get("anyOf"):
        return all(map(is_bounded, variants))
    match schema.get("type"):
        case "null" | "boolean":
            return True
        case "array":
            return "maxItems" in schema and is_bounded(schema["items"])
        case "object":
            values = schema.get("additionalProperties")
            return "maxProperties" in schema and values not in (None, True) and is_bounded(values)
    return any(bound in schema for bound in BOUNDS)


@pytest.mark.row(10)
def test_every_input_is_bounded_and_knows_its_fields(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert {"413", "431", "408"} <= set(operation["responses"]), name
        for parameter in operation.get("parameters", ()):
            assert is_bounded(parameter["schema"]), (name, parameter["name"])
        if body := operation.get("requestBody"):
            schema = body["content"][JSON]["schema"]
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            assert schema["additionalProperties"] is False, name
            for field, described in schema["properties"].items():
                assert is_bounded(described), (name, field)


@pytest.mark.row(10)
def test_every_error_is_a_problem_with_examples(document: dict[str, Any]) -> None:
    """A 503 has two: one of overload, with Retry-After, and one of a model that cannot be served."""
    errors = [
        (name, status, response)
        for name, operation in operations(document)
        for status, response in operation["responses"].items()
        if int(status) >= 400 and not (status == "503" and name.endswith(PROBE))
    ]
    assert len(errors) > 60
    for name, status, response in errors:
        assert list(response["content"]) == [PROBLEM], (name, status)
        content = response["content"][PROBLEM]
        examples = {key: example["value"] for key, example in content.get("examples", {}).items()}
        examples = examples or {"only": content["example"]}
        assert {example["status"] for example in examples.values()} == {int(status)}, (name, status)
        if status == "503":
            assert response["headers"]["Retry-After"]["schema"]["type"] == "integer", name
            assert "Retry-After" in examples["overload"]["detail"], name
            assert "/health/ready" in examples["model"]["detail"], name


@pytest.mark.row(10)
def test_every_answer_and_body_has_an_example(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for media, content in operation["responses"]["200"]["content"].items():
            assert "example" in content, (name, media)
        if body := operation.get("requestBody"):
            assert body["content"][JSON]["examples"], name


@pytest.mark.row(10)
def test_every_json_example_is_a_valid_answer(document: dict[str, Any]) -> None:
    routes = [route for route in create_app().routes if isinstance(route, APIRoute) and route.include_in_schema]
    pairs = [(route, method.lower()) for route in routes if route.response_model for method in route.methods]
    assert len(pairs) > 10
    for route, method in pairs:
        example = document["paths"][route.path][method]["responses"]["200"]["content"][JSON]["example"]
        TypeAdapter(route.response_model).validate_json(json.dumps(example), strict=True)


@pytest.mark.row(10)
def test_document_has_none_of_fastapis_own_errors(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert not any(name in schemas or f"/{name}'" in str(document) for name in FASTAPI_ERRORS)


@pytest.mark.row(10)
def test_schemathesis_finds_no_failure(service: Service) -> None:
    options = ["--config-file", str(CONFIG), "run", "--checks", "all", "--max-examples", "10", "--seed", "1"]
    done = run_python("-m", "schemathesis.cli", *options, f"{service.address}/openapi.json")
    assert done.returncode == 0, done.stdout[-6000:]
    cases = re.search(r"(\d[\d,]*) generated", done.stdout)
    assert cases
    assert int(cases[1].replace(",", "")) >= 300
