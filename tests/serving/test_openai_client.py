"""Every route that OpenAI's own client has, over HTTP: answers, streams, errors, retries."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy
import openai
import pytest
from pydantic import BaseModel
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.api import create_api
from serving.engine import EngineStoppedError
from serving.protocol import RequestError
from table_engine import MODEL, TableEndpoint, listening

if TYPE_CHECKING:
    from conftest import Small

MESSAGES: Any = [{"role": "user", "content": "What is fever?"}]


@pytest.fixture(scope="module")
def endpoint(small: Small) -> TableEndpoint:
    return TableEndpoint(small.tokenizer, adapters=["oncology"])


@pytest.fixture(scope="module")
def address(endpoint: TableEndpoint) -> Iterator[str]:
    with listening(endpoint.api) as address:
        yield address


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["table", "table:oncology"]
    assert client.models.retrieve("table:oncology").object == "model"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("table:x")
    assert caught.value.code == "model_not_found"


def test_completions(client: openai.OpenAI, endpoint: TableEndpoint) -> None:
    asked: Any = {"model": "table:oncology", "prompt": "Fever", "max_tokens": 6, "temperature": 0}
    answer = client.completions.create(**asked, echo=True, logprobs=2, best_of=2)
    [choice] = answer.choices
    prompt = endpoint.tokenizer.encode("Fever")
    tokens = prompt + endpoint.greedy(prompt, 6, "oncology")
    assert choice.text == endpoint.tokenizer.decode(tokens)
    assert choice.logprobs is not None
    assert choice.logprobs.token_logprobs == pytest.approx(
        [None, *endpoint.logprobs(tokens, "oncology")]
    )
    chunks = list(
        client.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
    assert text == endpoint.tokenizer.decode(tokens[len(prompt) :])
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 6


def test_chat(client: openai.OpenAI, endpoint: TableEndpoint) -> None:
    asked: Any = {"model": MODEL, "messages": MESSAGES, "max_completion_tokens": 9, "seed": 1}
    whole = client.chat.completions.create(**asked, logprobs=True, top_logprobs=2)
    assert whole.choices[0].logprobs is not None
    assert len(whole.choices[0].logprobs.content or []) == 9
    text = ""
    for chunk in client.chat.completions.create(**asked, stream=True):
        text += chunk.choices[0].delta.content or ""
    assert text == whole.choices[0].message.content
    # The client's own accumulator of a stream.
    bound: Any = {"structured_outputs": {"choice": ["a fever"]}}
    with client.chat.completions.stream(**asked, logprobs=True, extra_body=bound) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == "a fever"
    assert final.choices[0].logprobs is not None
    made = [*endpoint.tokenizer.encode("a fever"), endpoint.tokenizer.eos_token_id]
    assert len(final.choices[0].logprobs.content or []) == len(made)


class Nothing(BaseModel):
    """What the table writes under a schema: an empty object."""


def test_chat_bound_to_a_form(client: openai.OpenAI) -> None:
    parsed = client.chat.completions.parse(model=MODEL, messages=MESSAGES, response_format=Nothing)
    assert parsed.choices[0].message.parsed == Nothing()
    chosen = client.chat.completions.create(
        model=MODEL,
        messages=MESSAGES,
        extra_body={"structured_outputs": {"choice": ["yes", "no"]}},
    )
    assert chosen.choices[0].message.content == "yes"
    with pytest.raises(openai.BadRequestError, match="does not compile") as caught:
        client.chat.completions.create(
            model=MODEL, messages=MESSAGES, extra_body={"structured_outputs": {"regex": "("}}
        )
    assert caught.value.param == "structured_outputs"


def test_embeddings(client: openai.OpenAI) -> None:
    # By default the client asks for base64 and decodes it.
    plain = client.embeddings.create(model=MODEL, input=["a", "b"], encoding_format="float")
    usual = client.embeddings.create(model=MODEL, input=["a", "b"])
    for one, other in zip(usual.data, plain.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding)
    coded: Any = client.embeddings.create(model=MODEL, input="a", encoding_format="base64")
    vector = numpy.frombuffer(base64.b64decode(coded.data[0].embedding), "<f4")
    assert vector.tolist() == pytest.approx(plain.data[0].embedding)
    assert usual.usage.total_tokens == 2


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "function", "function": {"name": "a"}}]}, "tools"),
        ({"temperature": 3}, "temperature"),
        ({"reasoning_effort": "low"}, "reasoning_effort"),
    ],
)
def test_errors_are_the_clients_own(client: openai.OpenAI, fields: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=MESSAGES, **fields)
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"


def test_a_stream_that_breaks_raises(client: openai.OpenAI, endpoint: TableEndpoint) -> None:
    endpoint.engine.fault = EngineStoppedError("the engine has ended")
    endpoint.engine.tokens_before_fault = 15
    try:
        got = []
        with pytest.raises(openai.APIError, match="the engine has ended"):
            for chunk in client.chat.completions.create(
                model=MODEL, messages=MESSAGES, stream=True
            ):
                got.append(chunk)
        assert len(got) > 1
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(model=MODEL, messages=MESSAGES)
        assert caught.value.status_code == 503
    finally:
        endpoint.engine.fault = None


class Busy:
    """A middleware that refuses the first requests, as a full endpoint does."""

    def __init__(self, app: ASGIApp, refusals: list[RequestError]) -> None:
        self._app, self._refusals = app, refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._refusals:
            raise self._refusals.pop()
        await self._app(scope, receive, send)


def test_the_client_comes_again_after_429_and_503(endpoint: TableEndpoint) -> None:
    refusals = [
        RequestError("too many requests", status=429, retry_after_s=0.1),
        RequestError("full", status=503, retry_after_s=0.1),
    ]
    api = create_api(endpoint.service, [Middleware(Busy, refusals=refusals)])
    with listening(api) as address:
        patient = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=2)
        answer = patient.completions.create(model=MODEL, prompt="Fever", max_tokens=2)
        assert answer.choices[0].text
        assert not refusals
        refusals.append(RequestError("too many requests", status=429, retry_after_s=0.1))
        hasty = patient.with_options(max_retries=0)
        with pytest.raises(openai.RateLimitError, match="too many requests"):
            hasty.completions.create(model=MODEL, prompt="Fever", max_tokens=2)


def test_a_client_that_leaves_frees_its_place(client: openai.OpenAI, small: Small) -> None:
    slow = TableEndpoint(small.tokenizer, pause_s=0.01)
    with listening(slow.api) as address:
        own = openai.OpenAI(base_url=f"{address}/v1", api_key="none")
        stream = own.chat.completions.create(model=MODEL, messages=MESSAGES, n=4, stream=True)
        next(iter(stream))
        assert slow.engine.running == 4
        stream.close()
        own.close()
        for _ in range(200):
            if slow.engine.running == 0:
                break
            slow.ask("GET", "/health")
        assert slow.engine.running == 0
