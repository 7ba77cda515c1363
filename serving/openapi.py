"""The OpenAPI document: what FastAPI knows of the routes, made to say what they really answer."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

import medray
from serving.guard.gate import OPEN_PATHS
from serving.protocol import ChatCompletionChunk, ErrorBody

Responses = dict[int | str, dict[str, Any]]

DESCRIPTION = (
    "OpenAI's completions, chat and embeddings API for one model and its adapters, with routes for "
    "scoring and for the tokenizer. An unknown or unsupported parameter is an error, not ignored. "
    "null means unset."
)
MEANINGS = {
    400: "the request is wrong; `param` names the field",
    401: "no valid key",
    404: "no such model",
    413: "the body is too large",
    429: "too many requests; `Retry-After` says when to come again",
    500: "a fault of the endpoint",
    503: "full, or the engine is starting again; `Retry-After` says when to come again",
    504: "not finished in the time that a request may take",
}


def errors(*statuses: int) -> Responses:
    """Describe error answers with these statuses."""
    return {status: {"model": ErrorBody, "description": MEANINGS[status]} for status in statuses}


def streamed(body: type[BaseModel], event: type[BaseModel]) -> Responses:
    """Describe an answer that is ``body`` or, where the request says so, a stream of ``event``."""
    names = (event.__name__, ErrorBody.__name__)  # an error ends the stream
    told = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in names]},
    }
    data = {"anyOf": [told, {"const": "[DONE]"}]}
    item = {"type": "object", "properties": {"data": data}, "required": ["data"]}
    content = {"text/event-stream": {"itemSchema": item}}
    return {200: {"model": body, "content": content, "description": "with `stream`: events"}}


def described(api: FastAPI) -> None:
    """Let ``api.openapi()`` describe what ``api`` answers."""

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            api.openapi_schema = _document(api)
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]


def _document(api: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=api.title,
        version=medray.__version__,
        description=DESCRIPTION,
        routes=api.routes,
    )
    schemas = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas |= _schemas(ChatCompletionChunk)  # in no answer but a stream's
    for path, operations in document["paths"].items():
        for operation in operations.values():
            statuses = set(operation["responses"]) - {"200"}
            # FastAPI's own answer to a body that fits no model; ours is 400.
            if "422" in statuses:
                statuses.remove("422")
                del operation["responses"]["422"]
            if path not in OPEN_PATHS:
                operation["security"] = [{"key": []}, {}]  # {}: where the endpoint has no keys
                statuses.add("401")
            # Of a page's errors, FastAPI would say that they are pages.
            for status in sorted(statuses):
                operation["responses"][status] = _error_answer(int(status))
    scheme = {"type": "http", "scheme": "bearer"}
    document["components"]["securitySchemes"] = {"key": scheme}
    return document


def _schemas(body: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of ``body``, and of what it refers to, by name."""
    template = "#/components/schemas/{model}"
    own = body.model_json_schema(ref_template=template, mode="serialization")
    return {**own.pop("$defs", {}), body.__name__: own}


def _error_answer(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ErrorBody"}
    return {
        "description": MEANINGS[status],
        "content": {"application/json": {"schema": schema}},
    }
