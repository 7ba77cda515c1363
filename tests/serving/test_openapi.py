"""The OpenAPI document says what the endpoint does; schemathesis asks it everything it allows."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from table_engine import MODEL, TableEndpoint

if TYPE_CHECKING:
    from conftest import Small

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]
ROUTES = {
    ("get", "/"),
    ("get", "/docs"),
    ("get", "/health"),
    ("get", "/metrics"),
    ("get", "/tokenizer_info"),
    ("get", "/v1/models"),
    ("get", "/v1/models/{name}"),
    ("post", "/detokenize"),
    ("post", "/tokenize"),
    ("post", "/v1/chat/completions"),
    ("post", "/v1/completions"),
    ("post", "/v1/embeddings"),
    ("post", "/v1/score"),
}


@pytest.fixture(scope="module")
def endpoint(small: Small) -> TableEndpoint:
    return TableEndpoint(small.tokenizer, adapters=["oncology"])


@pytest.fixture(scope="module")
def document(endpoint: TableEndpoint) -> dict[str, Any]:
    return dict(endpoint.ask("GET", "/openapi.json").json())


def test_every_route_with_its_errors_and_no_422(document: dict[str, Any]) -> None:
    found = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert found == ROUTES
    text = json.dumps(document)
    assert '"422"' not in text
    assert "ValidationError" not in text
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            keyed = path not in ("/", "/docs", "/health")
            assert ("401" in operation["responses"]) == ("security" in operation) == keyed
            for status, answer in operation["responses"].items():
                if status != "200":
                    schema = answer["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/ErrorBody"}
            assert operation["description"], (method, path)


def test_bodies_are_described_as_they_are_read(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    validator = jsonschema.Draft202012Validator(
        {"$ref": "#/components/schemas/CompletionRequest", "components": {"schemas": schemas}}
    )
    right = {"model": MODEL, "prompt": [1, 2], "stop": "a", "suffix": "", "tools": []}
    assert not validator.is_valid(right)  # tools
    del right["tools"]
    assert validator.is_valid(right)
    for wrong in ({"n": 17}, {"suffix": "a"}, {"stop": [""]}, {"prompt": []}, {"best_of": "2"}):
        assert not validator.is_valid(right | wrong)


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_ask_no_other_host(endpoint: TableEndpoint, path: str) -> None:
    response = endpoint.ask("GET", path)
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    inside = re.sub(r'(?s)<script type="application/json".*?</script>', "", response.text)
    assert not re.findall(r"https?://|(?:src|href)\s*=\s*[\"']//|@import|url\(", inside)


def sometimes_right(body: Any) -> Any:
    """Name the model that is there, or every request would be answered 404."""
    if isinstance(body, dict) and isinstance(body.get("model"), str):
        return body | {"model": MODEL if len(body["model"]) % 3 else f"{MODEL}:oncology"}
    return body


def test_schemathesis_finds_no_fault(endpoint: TableEndpoint) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", endpoint.api)
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=150,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            derandomize=True,
        )
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            case.body = sometimes_right(case.body)
            case.call_and_validate(checks=CHECKS)

        ask()
