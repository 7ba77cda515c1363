"""The FastAPI application by itself, without Ray: what needs an engine in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from engine_under_test import loaded
from serving.api import create_api
from serving.service import Service

if TYPE_CHECKING:
    from serving.config import ServingConfig
    from serving.engine import Engine

BODY = {"model": "small-llama", "prompt": "Fever", "max_tokens": 250, "n": 16}


@pytest.fixture
def engine(config: ServingConfig) -> Iterator[Engine]:
    with loaded(config) as engine:
        yield engine


def ask(
    engine: Engine, config: ServingConfig, method: str, path: str, **options: Any
) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(create_api(Service.of(engine, config)))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.request(method, path, **options)

    return asyncio.run(send())


def test_a_request_that_takes_too_long_is_answered_504(
    engine: Engine, config: ServingConfig
) -> None:
    hasty = config.model_copy(update={"request_timeout_s": 0.05})
    response = ask(engine, hasty, "POST", "/v1/completions", json=BODY)
    assert response.status_code == 504
    assert response.json()["error"]["message"] == "not finished after 0.05 s"
    assert response.json()["error"]["type"] == "timeout_error"

    streamed = ask(engine, hasty, "POST", "/v1/completions", json=BODY | {"stream": True})
    last = json.loads(streamed.text.split("data: ")[-1])
    assert last["error"]["message"] == "not finished after 0.05 s"

    short = ask(engine, config, "POST", "/v1/completions", json=BODY | {"max_tokens": 2, "n": 1})
    assert short.status_code == 200


def test_a_stopped_engine_is_an_error_and_is_unhealthy(
    engine: Engine, config: ServingConfig
) -> None:
    assert ask(engine, config, "GET", "/health").status_code == 200
    engine.close()
    assert ask(engine, config, "GET", "/health").status_code == 503
    response = ask(engine, config, "POST", "/v1/completions", json=BODY)
    assert response.status_code == 503
    assert response.headers["retry-after"]
    assert response.json()["error"]["type"] == "server_error"
