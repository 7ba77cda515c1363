"""The HTTP surface: OpenAI's routes on FastAPI, errors in OpenAI's shape, streams as SSE."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from serving.engine import EngineStoppedError
from serving.protocol import (
    ChatCompletionRequest,
    CompletionRequest,
    RequestError,
    error_body,
)
from serving.service import Service

# A union field (prompt) fails once per member; more than three problems help nobody.
MAX_PROBLEMS_SHOWN = 3


def create_api(service: Service, middleware: Sequence[Middleware] | None = None) -> FastAPI:
    """Return the application that serves ``service`` behind ``middleware``, outermost first."""
    api = FastAPI(title="medray", docs_url=None, redoc_url=None, openapi_url=None)
    for layer in reversed(middleware or ()):
        api.add_middleware(layer.cls, *layer.args, **layer.kwargs)
    _handle_errors(api)

    @api.get("/health")
    async def health() -> Response:
        return Response(status_code=200 if service.engine.healthy() else 503)

    @api.get("/v1/models")
    async def models() -> Response:
        return _json(service.models())

    @api.get("/v1/models/{name:path}")
    async def model(name: str) -> Response:
        return _json(service.model(name))

    @api.post("/v1/completions")
    async def completions(request: CompletionRequest) -> Response:
        if not request.stream:
            return _json(await service.complete(request))
        jobs = service.completion_jobs(request)
        return _event_stream(service.stream_completion(request, jobs))

    @api.post("/v1/chat/completions")
    async def chat_completions(request: ChatCompletionRequest) -> Response:
        if not request.stream:
            return _json(await service.chat(request))
        jobs = service.chat_jobs(request)
        return _event_stream(service.stream_chat(request, jobs))

    return api


def _json(body: BaseModel) -> Response:
    return Response(body.model_dump_json(), media_type="application/json")


def _event_stream(chunks: AsyncGenerator[BaseModel]) -> Response:
    async def events() -> AsyncGenerator[str]:
        async with aclosing(chunks) as stream:
            try:
                async for chunk in stream:
                    yield f"data: {chunk.model_dump_json()}\n\n"
            except RequestError as error:  # the status is sent; the client reads the event
                body = error_body(error.message, error.status, error.param, error.code)
                yield f"data: {body.model_dump_json()}\n\n"
                return
            except EngineStoppedError as error:
                yield f"data: {error_body(str(error), 500).model_dump_json()}\n\n"
                return
        yield "data: [DONE]\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


def _handle_errors(api: FastAPI) -> None:
    def answer(
        message: str, status: int, param: str | None = None, code: str | None = None
    ) -> Response:
        body = error_body(message, status, param, code)
        return Response(body.model_dump_json(), status, media_type="application/json")

    @api.exception_handler(RequestError)
    async def request_error(_: Request, error: RequestError) -> Response:
        return answer(error.message, error.status, error.param, error.code)

    @api.exception_handler(RequestValidationError)
    async def validation_error(_: Request, error: RequestValidationError) -> Response:
        message, param = _problems(error.errors())
        return answer(message, 400, param)

    @api.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> Response:
        return answer(str(error.detail), error.status_code)

    @api.exception_handler(EngineStoppedError)
    async def engine_stopped(_: Request, error: EngineStoppedError) -> Response:
        return answer(str(error), 500)


def _problems(errors: Sequence[Any]) -> tuple[str, str | None]:
    """Say what is wrong, and in which field, without repeating what the client sent."""
    fields = [".".join(str(part) for part in error["loc"][1:]) for error in errors]
    texts = [
        f"{field}: unknown or unsupported parameter"
        if error["type"] == "extra_forbidden"
        else f"{field or 'body'}: {error['msg']}"
        for field, error in zip(fields, errors, strict=True)
    ]
    return "; ".join(texts[:MAX_PROBLEMS_SHOWN]), fields[0].partition(".")[0] or None
