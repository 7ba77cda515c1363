"""Where an endpoint listens, who may use it, how it refuses load, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest
import ray

from serving.app import Endpoint, deploy, shutdown
from serving.config import Autoscaling
from serving.guard.keys import new_key

if TYPE_CHECKING:
    from serving.config import ServingConfig

KEY_VARIABLE = "MEDRAY_TEST_API_KEY"
KEY = "a-key-for-tests-0123456789"
LONG = {"prompt": "Fever", "max_tokens": 250, "n": 16, "seed": 1}
MARK = "the patient Emmeline Aldous"


@dataclass(frozen=True)
class Guarded:
    """An endpoint that wants keys: ``KEY``, and three with quotas by name."""

    endpoint: Endpoint
    keys: dict[str, str]

    @property
    def url(self) -> str:
        return self.endpoint.base_url

    def headers(self, name: str = "", request_id: str = "", session: str = "") -> dict[str, str]:
        """Of a request with the key ``name``, by default the one without a quota."""
        headers = {"Authorization": f"Bearer {self.keys[name] if name else KEY}"}
        headers |= {"x-request-id": request_id} if request_id else {}
        return headers | ({"x-session-id": session} if session else {})

    def complete(self, name: str = "", request_id: str = "", session: str = "") -> httpx.Response:
        """Ask for four tokens."""
        return httpx.post(
            f"{self.url}/completions",
            json={"model": "guarded model", "prompt": "Fever", "max_tokens": 4},
            headers=self.headers(name, request_id, session),
            timeout=60,
        )


@pytest.fixture(scope="module")
def guarded(
    endpoint: Endpoint, config: ServingConfig, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    """A second endpoint on the same proxy: two replicas, each takes one request at a time."""
    made = {name: new_key(name) for name in ("hasty", "single", "poor")}
    quotas = {"hasty": "requests_per_minute: 4", "single": "concurrent_requests: 1"}
    quotas["poor"] = "tokens_per_day: 5"
    path = tmp_path_factory.mktemp("keys") / "keys.yaml"
    entries = [made[name][1].removeprefix("keys:\n") + f"    {quotas[name]}\n" for name in made]
    path.write_text("keys:\n" + "".join(entries))
    update = {
        "route_prefix": "/guarded",
        "model_name": "guarded model",
        "api_key_environment": KEY_VARIABLE,
        "keys_file": path,
        "autoscaling": Autoscaling(min_replicas=2, max_replicas=2),
        "session_affinity": True,
        "max_ongoing_requests": 1,
        "max_queued_requests": 1,
    }
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(KEY_VARIABLE, KEY)
        guarded = deploy(config.model_copy(update=update))
    yield Guarded(guarded, {name: key for name, (key, _) in made.items()})
    shutdown(guarded)


def logs_folder() -> Path:
    """Where Ray keeps the logs of this session."""
    return Path(ray._private.worker.global_worker.node.get_logs_dir_path())


def access_lines(*request_ids: str) -> list[dict[str, Any]]:
    """The lines of the access log about some requests, in their order; waits for them."""
    deadline = time.monotonic() + 10
    while True:
        text = "".join(path.read_text() for path in logs_folder().rglob("medray_access_*.log"))
        lines = {line["id"]: line for line in map(json.loads, text.splitlines())}
        if all(request_id in lines for request_id in request_ids):
            return [lines[request_id] for request_id in request_ids]
        assert time.monotonic() < deadline, request_ids
        time.sleep(0.1)


def test_a_second_endpoint_shares_the_proxy(endpoint: Endpoint, guarded: Guarded) -> None:
    assert guarded.url == endpoint.base_url.removesuffix("/v1") + "/guarded/v1"
    models = httpx.get(f"{guarded.url}/models", headers=guarded.headers()).json()
    assert [model["id"] for model in models["data"]] == ["guarded model"]


def test_without_a_key_nothing_but_health_answers(guarded: Guarded) -> None:
    for headers in ({}, {"Authorization": f"Basic {KEY}"}, {"Authorization": "Bearer wrong"}):
        response = httpx.get(f"{guarded.url}/models", headers=headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["error"]["code"] == "invalid_api_key"
    # The key comes before the body: an outsider learns nothing of what is wrong with it.
    assert httpx.post(f"{guarded.url}/completions", content="{").status_code == 401
    assert httpx.get(guarded.url.removesuffix("/v1") + "/health").status_code == 200
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=guarded.url, api_key="wrong").models.list()


def test_a_full_queue_is_answered_503_in_openais_shape_and_health_at_once(
    guarded: Guarded,
) -> None:
    body = {"model": "guarded model", **LONG}

    async def flood() -> tuple[list[httpx.Response], httpx.Response, float]:
        async with httpx.AsyncClient(headers=guarded.headers(), timeout=60) as client:
            url = f"{guarded.url}/completions"
            asked = [asyncio.create_task(client.post(url, json=body)) for _ in range(8)]
            await asyncio.sleep(0.3)
            began = time.perf_counter()
            health = await client.get(guarded.url.removesuffix("/v1") + "/health")
            waited_s = time.perf_counter() - began
            assert not all(task.done() for task in asked)
            return await asyncio.gather(*asked), health, waited_s

    answers, health, waited_s = asyncio.run(flood())
    codes = [answer.status_code for answer in answers]
    assert set(codes) == {200, 503}
    for answer in answers:
        if answer.status_code == 503:
            assert answer.headers["retry-after"] == "1"
            assert answer.json()["error"]["code"] == "queue_full"
            [line] = access_lines(answer.headers["x-request-id"])
            assert (line["by"], line["outcome"]) == ("proxy", "queue_full")
    assert health.json() == {"status": "ok"}
    assert waited_s < 2


def test_requests_a_minute_are_counted_over_all_replicas(guarded: Guarded) -> None:
    ids = [f"hasty-{number}" for number in range(6)]
    answers = [guarded.complete("hasty", request_id, session=request_id) for request_id in ids]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2
    remaining = [answer.headers["x-ratelimit-remaining-requests"] for answer in answers]
    assert remaining == ["3", "2", "1", "0", "0", "0"]
    assert answers[-1].json()["error"]["code"] == "rate_limit_exceeded"
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert {line["key"] for line in access_lines(*ids)} == {"hasty"}
    # Other keys go on.
    assert guarded.complete().status_code == 200


def test_tokens_a_day(guarded: Guarded) -> None:
    first = guarded.complete("poor")
    assert first.status_code == 200
    assert first.headers["x-ratelimit-limit-tokens"] == "5"
    deadline = time.monotonic() + 10  # the tokens are told when the request has ended
    while (second := guarded.complete("poor")).status_code == 200:
        assert time.monotonic() < deadline
    assert second.status_code == 429
    assert second.json()["error"]["code"] == "insufficient_quota"
    client = openai.OpenAI(base_url=guarded.url, api_key=guarded.keys["poor"], max_retries=0)
    with pytest.raises(openai.RateLimitError, match="5 tokens of the day"):
        client.completions.create(model="guarded model", prompt="Fever")


def test_a_lost_client_gives_its_place_back(guarded: Guarded) -> None:
    body = {"model": "guarded model", **LONG, "stream": True}
    headers = guarded.headers("single", request_id="lost-client")
    url = f"{guarded.url}/completions"
    with httpx.stream("POST", url, json=body, headers=headers, timeout=60) as response:
        lines = response.iter_lines()  # httpx closes the connection when this is dropped
        assert next(lines).startswith("data: {")
        refused = guarded.complete("single")
        assert refused.status_code == 429
        assert "1 requests under way" in refused.json()["error"]["message"]
    deadline = time.monotonic() + 10
    while guarded.complete("single").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    [line] = access_lines("lost-client")
    assert line["outcome"] == "cancelled"
    assert line["generated_tokens"] < 16 * 250


def test_a_session_stays_with_its_replica(guarded: Guarded) -> None:
    sessions = [f"session-{number}" for number in range(8)]
    ids = {name: [f"{name}-{turn}" for turn in range(3)] for name in sessions}
    for turn in range(3):
        for name in sessions:
            assert guarded.complete("", ids[name][turn], session=name).status_code == 200
    replicas = [{line["replica"] for line in access_lines(*ids[name])} for name in sessions]
    assert [len(of_session) for of_session in replicas] == [1] * len(sessions)
    assert len(set.union(*replicas)) == 2


def test_the_access_log_tells_counts_and_not_what_was_said(guarded: Guarded) -> None:
    body = {"model": "guarded model", "prompt": MARK, "max_tokens": 20, "temperature": 0, "n": 2}
    headers = guarded.headers(request_id="counted")
    answer = httpx.post(f"{guarded.url}/completions", json=body, headers=headers, timeout=60).json()
    wrong = guarded.headers(request_id="wrong")
    for path, content in (("/completions", f"{MARK}{{"), (f"/{MARK}", MARK)):
        httpx.post(f"{guarded.url}{path}", content=content, headers=wrong)
    line, other = access_lines("counted", "wrong")
    assert line["route"] == "/v1/completions"
    assert (line["key"], line["model"]) == ("environment", "guarded model")
    assert (line["status"], line["outcome"]) == (200, "answered")
    usage = answer["usage"]
    assert line["prompt_tokens"] == usage["prompt_tokens"]
    assert line["generated_tokens"] == usage["completion_tokens"]
    assert 0 < line["first_byte_s"] <= line["took_s"]
    assert other["status"] in (400, 404)
    written = "".join(
        path.read_text(errors="replace") for path in logs_folder().rglob("*") if path.is_file()
    )
    assert "Emmeline" not in written
    assert answer["choices"][0]["text"] not in written
    assert KEY not in written
    assert all(key not in written for key in guarded.keys.values())


def test_a_large_body_is_refused_before_it_is_read(guarded: Guarded) -> None:
    most = 8 * 2**20

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(2 * most // 2**16):
            yield b" " * 2**16

    async def post(content: Any) -> httpx.Response:
        async with httpx.AsyncClient(headers=guarded.headers(), timeout=60) as client:
            return await client.post(f"{guarded.url}/completions", content=content)

    for content in (b" " * (most + 1), endless()):
        answer = asyncio.run(post(content))
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "body_too_large"


def test_other_websites_may_not_ask(endpoint: Endpoint) -> None:
    headers = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    preflight = httpx.options(f"{endpoint.base_url}/completions", headers=headers)
    answer = httpx.get(f"{endpoint.base_url}/models", headers=headers)
    assert preflight.status_code == 405
    for response in (preflight, answer):
        assert not [name for name in response.headers if name.startswith("access-control")]


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


@pytest.mark.slow
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
