"""Everything that can go wrong with a request, in OpenAI's shape: as an answer or as an event."""

from __future__ import annotations

import logging
import math
import traceback
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.engine import EngineStoppedError, UnknownAdapterError, UnsupportedError
from serving.protocol import NOT_SUPPORTED, ErrorBody, RequestError, error_body

logger = logging.getLogger(__name__)

# A union field (prompt) fails once per member; more than three problems help nobody.
MAX_PROBLEMS_SHOWN = 3
LONGEST_FIELD = 200

# Ray Serve looks at a replica's health every 10 s, then starts another.
ENGINE_RETRY_AFTER_S = 10.0

FAULT = RequestError("a fault of the endpoint; its log has the details", status=500)


def as_request_error(error: Exception) -> RequestError:
    """Return what the client is told. A fault of ours is logged, by its kind and place alone.

    The message of an unknown exception may hold a piece of a prompt, so it is not written.
    """
    if isinstance(error, RequestError):
        return error
    if isinstance(error, EngineStoppedError):
        return RequestError(str(error), status=503, retry_after_s=ENGINE_RETRY_AFTER_S)
    if isinstance(error, UnknownAdapterError):
        message = "no such adapter here any more; GET /v1/models lists them"
        return RequestError(message, "model", status=404, code="model_not_found")
    if isinstance(error, UnsupportedError):
        return RequestError(str(error), code="unsupported")
    if isinstance(error, HTTPException):
        return RequestError(str(error.detail), status=error.status_code)
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"
    logger.error("%s at %s", type(error).__name__, place)
    return FAULT


def body_of(error: RequestError) -> ErrorBody:
    return error_body(error.message, error.status, error.param, error.code)


def response_of(error: RequestError, headers: dict[str, str] | None = None) -> Response:
    """Return the answer of an error, with Retry-After where a later try may do."""
    sent = dict(headers or {})
    if error.retry_after_s is not None:
        sent["Retry-After"] = str(math.ceil(error.retry_after_s))
    body = body_of(error).model_dump_json()
    return Response(body, error.status, sent, media_type="application/json")


def handle_errors(api: FastAPI) -> None:
    """Let every error that a route or a middleware raises be answered in OpenAI's shape."""

    async def known(_: Request, error: Exception) -> Response:
        return response_of(as_request_error(error))

    for kind in (RequestError, EngineStoppedError, UnknownAdapterError, UnsupportedError):
        api.add_exception_handler(kind, known)

    @api.exception_handler(RequestValidationError)
    async def validation_error(request: Request, error: RequestValidationError) -> Response:
        message, param = _problems(error.errors())
        if "json" not in request.headers.get("content-type", ""):
            message = "the body is not marked as JSON: send Content-Type: application/json"
        return response_of(RequestError(message, param))

    @api.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        path = request.url.path
        text = {404: f"no path {path!r} here", 405: f"{request.method} is not taken by {path!r}"}
        message = text.get(error.status_code, str(error.detail))
        headers = dict(error.headers or {})
        return response_of(RequestError(message, status=error.status_code), headers)


class AnswerFaults:
    """ASGI middleware: a fault of ours is answered 500 in OpenAI's shape, and goes no further.

    Whatever runs the application would log the exception with its message.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def observed(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, observed)
        except Exception as error:  # noqa: BLE001 (logged by kind and place, answered 500)
            told = as_request_error(error)
            if scope["type"] == "http" and not begun:
                await response_of(told)(scope, receive, send)


def _problems(errors: Sequence[Any]) -> tuple[str, str | None]:
    """Say what is wrong, and in which field, without repeating what the client sent.

    What is not known comes first: it is often why the rest does not fit.
    """
    ordered = sorted(errors, key=lambda error: error["type"] != "extra_forbidden")
    texts = list(dict.fromkeys(_problem(error) for error in ordered))
    return "; ".join(texts[:MAX_PROBLEMS_SHOWN]), _field(ordered[0]).partition(".")[0] or None


def _problem(error: Any) -> str:
    field = _field(error)
    if error["type"] == "extra_forbidden":
        reason = NOT_SUPPORTED.get(field.rpartition(".")[2])
        return f"{field}: {f'not supported: {reason}' if reason else 'unknown parameter'}"
    return f"{field or 'body'}: {error['msg'].removeprefix('Value error, ')}"


def _field(error: Any) -> str:
    """Return the field's path. Between its names, pydantic has those of the types it tried."""
    parts = [str(part) for part in error["loc"][1:]]
    tried = ("str", "int", "float", "bool")
    plain = [part for part in parts if part.isdigit() or part.isidentifier()]
    names = [part for part in plain if part not in tried]
    if error["type"] == "extra_forbidden" and names[-1:] != parts[-1:]:
        names.append(parts[-1])  # the client's own word, whatever it is
    return ".".join(names)[:LONGEST_FIELD]
