"""Where an endpoint listens, who may use it, how it refuses load, and how it ends."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import openai
import pytest

from serving.app import Endpoint, deploy, shutdown

if TYPE_CHECKING:
    from serving.config import ServingConfig

KEY_VARIABLE = "MEDRAY_TEST_API_KEY"
KEY = "a-key-for-tests-0123456789"


@pytest.fixture(scope="module")
def guarded(endpoint: Endpoint, config: ServingConfig) -> Iterator[Endpoint]:
    """A second endpoint on the same proxy: it wants a key and takes two requests at a time."""
    update = {
        "route_prefix": "/guarded",
        "model_name": "guarded model",
        "api_key_environment": KEY_VARIABLE,
        "max_ongoing_requests": 1,
        "max_queued_requests": 1,
    }
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(KEY_VARIABLE, KEY)
        guarded = deploy(config.model_copy(update=update))
    yield guarded
    shutdown(guarded)


def test_a_second_endpoint_shares_the_proxy(endpoint: Endpoint, guarded: Endpoint) -> None:
    assert guarded.base_url == endpoint.base_url.removesuffix("/v1") + "/guarded/v1"
    models = httpx.get(
        f"{guarded.base_url}/models", headers={"Authorization": f"Bearer {KEY}"}
    ).json()
    assert [model["id"] for model in models["data"]] == ["guarded model"]


def test_without_the_key_nothing_but_health_answers(guarded: Endpoint) -> None:
    for headers in ({}, {"Authorization": f"Basic {KEY}"}, {"Authorization": "Bearer wrong"}):
        response = httpx.get(f"{guarded.base_url}/models", headers=headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["error"]["code"] == "invalid_api_key"
    # The key comes before the body: an outsider learns nothing of what is wrong with it.
    assert httpx.post(f"{guarded.base_url}/completions", content="{").status_code == 401
    assert httpx.get(guarded.base_url.removesuffix("/v1") + "/health").status_code == 200
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=guarded.base_url, api_key="wrong").models.list()


def test_a_full_queue_is_answered_503_with_retry_after(guarded: Endpoint) -> None:
    body = {"model": "guarded model", "prompt": "Fever", "max_tokens": 250, "n": 16}

    async def flood() -> list[httpx.Response]:
        headers = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(headers=headers, timeout=60) as client:
            url = f"{guarded.base_url}/completions"
            return await asyncio.gather(*[client.post(url, json=body) for _ in range(6)])

    answers = asyncio.run(flood())
    codes = [answer.status_code for answer in answers]
    assert set(codes) == {200, 503}
    assert all(answer.headers["retry-after"] for answer in answers if answer.status_code == 503)


def test_another_port_in_the_same_cluster_is_refused(
    endpoint: Endpoint, config: ServingConfig
) -> None:
    with pytest.raises(ValueError, match="this Ray cluster already serves on"):
        deploy(config.model_copy(update={"port": 1, "route_prefix": "/other"}))


def test_a_taken_route_is_refused(endpoint: Endpoint, config: ServingConfig) -> None:
    with pytest.raises(ValueError, match=r"Prefix / is being used .* \"medray-small-llama\""):
        deploy(config.model_copy(update={"model_name": "second"}))


SERVE_FOREVER = """
import sys
import ray
from serving.app import PortInUse, run_forever
from serving.config import ServingConfig
ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
config = ServingConfig.model_validate_json(sys.argv[1])
try:
    run_forever(config.model_copy(update={"port": int(sys.argv[2])}))
except PortInUse as error:
    print(error, flush=True)
run_forever(config)
print("ended", flush=True)
"""


@pytest.fixture
def other_listener() -> Iterator[int]:
    """A port that something else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_run_forever_until_a_signal(config: ServingConfig, other_listener: int) -> None:
    # A Ray of its own: nothing of this session's Ray may reach it.
    environment = {name: value for name, value in os.environ.items() if name[:4] != "RAY_"}
    environment[KEY_VARIABLE] = KEY
    keyed = config.model_copy(update={"api_key_environment": KEY_VARIABLE})
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE_FOREVER, keyed.model_dump_json(), str(other_listener)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == (
            f"port {other_listener} on 127.0.0.1 is in use; choose another or 0\n"
        )
        line = process.stdout.readline()
        assert KEY not in line
        command = line.partition("try: ")[2]
        answer = subprocess.run(
            ["sh", "-c", command], capture_output=True, text=True, env=environment, check=True
        )
        assert '"object":"text_completion"' in answer.stdout
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read().splitlines()[-1] == "ended"  # Ray prints lines of its own
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
    port = shlex.split(command)[2].split(":")[2].partition("/")[0]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port)))
