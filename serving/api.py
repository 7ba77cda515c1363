"""The HTTP surface: every route on FastAPI, described by the OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from pydantic import BaseModel
from starlette.middleware import Middleware

from serving.answers.chat import chat, chat_jobs, stream_chat
from serving.answers.completions import complete, completion_jobs, stream_completion
from serving.answers.embeddings import embed
from serving.answers.scoring import score
from serving.answers.tokens import detokenize, tokenize, tokenizer_info
from serving.engine import EngineStoppedError
from serving.errors import AnswerFaults, handle_errors
from serving.metrics import Measured
from serving.openapi import described, errors, streamed
from serving.pages import docs_page, page
from serving.protocol import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionRequest,
    Completion,
    CompletionRequest,
    Detokenized,
    DetokenizeRequest,
    EmbeddingRequest,
    Embeddings,
    Health,
    ModelCard,
    ModelList,
    ScoreRequest,
    Scores,
    Tokenized,
    TokenizeRequest,
    TokenizerInfo,
)
from serving.service import Service
from serving.streams import event_stream

GET_ERRORS = (429, 500, 503)
POST_ERRORS = (400, 404, 413, 429, 500, 503, 504)


def create_api(service: Service, middleware: Sequence[Middleware] = ()) -> FastAPI:
    """Return the application that serves ``service`` behind ``middleware``, outermost first.

    A middleware refuses a request by its own answer, or by raising ``RequestError`` or Starlette's
    ``HTTPException`` (413, 429, ...), which is answered in OpenAI's shape.
    """
    api = FastAPI(title="medray", docs_url=None, redoc_url=None, redirect_slashes=False)
    described(api)
    handle_errors(api)
    for router in (_generation(service), _reading(service), _about(service, api)):
        api.include_router(router)
    # The last one added is the outermost.
    for layer in reversed(middleware):
        api.add_middleware(layer.cls, *layer.args, **layer.kwargs)
    api.add_middleware(AnswerFaults)
    api.add_middleware(Measured, metrics=service.metrics)
    return api


def _generation(service: Service) -> APIRouter:
    router = APIRouter(tags=["generation"], responses=errors(*POST_ERRORS))

    @router.post("/v1/completions", responses=streamed(Completion, Completion))
    async def completions(request: CompletionRequest) -> Response:
        """Go on with a text, or with several; or score them."""
        if not request.stream:
            return _json(await complete(service, request))
        jobs = completion_jobs(service, request)
        return await event_stream(stream_completion(service, request, jobs))

    @router.post("/v1/chat/completions", responses=streamed(ChatCompletion, ChatCompletionChunk))
    async def chat_completions(request: ChatCompletionRequest) -> Response:
        """Answer messages."""
        if not request.stream:
            return _json(await chat(service, request))
        jobs = chat_jobs(service, request)
        return await event_stream(stream_chat(service, request, jobs))

    return router


def _reading(service: Service) -> APIRouter:
    """What reads text and writes none."""
    router = APIRouter(tags=["reading"], responses=errors(*POST_ERRORS))

    @router.post("/v1/score", response_model=Scores)
    async def scores(request: ScoreRequest) -> Response:
        """Say how likely each option is after a prompt."""
        return _json(await score(service, request))

    @router.post("/v1/embeddings", response_model=Embeddings)
    async def embeddings(request: EmbeddingRequest) -> Response:
        """Return the mean of the last hidden states of each text."""
        return _json(await embed(service, request))

    @router.post("/tokenize", response_model=Tokenized)
    async def tokens(request: TokenizeRequest) -> Response:
        """Return the tokens of a text, or of messages in the form of the chat template."""
        return _json(tokenize(service, request))

    @router.post("/detokenize", response_model=Detokenized)
    async def text(request: DetokenizeRequest) -> Response:
        """Return the text of tokens."""
        return _json(detokenize(service, request))

    return router


def _about(service: Service, api: FastAPI) -> APIRouter:
    router = APIRouter(tags=["about"], responses=errors(*GET_ERRORS))

    @router.get("/v1/models", response_model=ModelList)
    async def models() -> Response:
        """List the base and every adapter, as `base:adapter`."""
        return _json(service.models())

    @router.get("/v1/models/{name:path}", response_model=ModelCard, responses=errors(404))
    async def model(name: str) -> Response:
        """Describe one model."""
        return _json(service.model(name))

    @router.get("/tokenizer_info", response_model=TokenizerInfo)
    async def about_tokenizer() -> Response:
        """Return the special tokens and the chat template."""
        return _json(tokenizer_info(service))

    @router.get("/health", response_model=Health)
    async def health() -> Response:
        """Say whether requests can be served; open to all."""
        if not service.engine.healthy():
            raise EngineStoppedError("the engine has ended")
        return _json(Health())

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Return this replica's numbers in Prometheus' text format."""
        return Response(service.metrics.render(), media_type="text/plain; version=0.0.4")

    @router.get("/", response_class=HTMLResponse)
    async def try_it() -> Response:
        """A page to ask the model from a browser."""
        return page("page.html")

    @router.get("/docs", response_class=HTMLResponse)
    async def docs() -> Response:
        """This document as a page."""
        return docs_page(api.openapi())

    return router


def _json(body: BaseModel) -> Response:
    return Response(body.model_dump_json(), media_type="application/json")
