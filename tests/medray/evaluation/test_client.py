from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import pytest

from medray.evaluation.client import (
    RETRIES,
    Client,
    EndpointAddress,
    EndpointError,
    Reply,
    gather_in_order,
)

if TYPE_CHECKING:
    from conftest import ChosenEndpoint

Result = TypeVar("Result")


def call(
    address: EndpointAddress, use: Callable[[Client], Awaitable[Result]], concurrency: int = 4
) -> Result:
    async def run() -> Result:
        async with Client(address, concurrency, timeout_s=20) as client:
            return await use(client)

    return asyncio.run(run())


def complete(client: Client) -> Awaitable[str]:
    return client.complete("Why?", max_tokens=8)


def test_a_continuation_is_asked_for_greedily(chosen_endpoint: ChosenEndpoint) -> None:
    chosen_endpoint.text = lambda prompt: f"{prompt} Because. 因为"
    assert call(chosen_endpoint.address, complete) == "Why? Because. 因为"
    assert chosen_endpoint.bodies == [
        {"model": "chosen", "prompt": "Why?", "max_tokens": 8, "temperature": 0}
    ]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_refusal_is_asked_again(chosen_endpoint: ChosenEndpoint, status: int) -> None:
    chosen_endpoint.refusals = [(status, "busy")] * (RETRIES - 1)
    chosen_endpoint.text = lambda prompt: "at last"
    assert call(chosen_endpoint.address, complete) == "at last"
    assert len(chosen_endpoint.bodies) == RETRIES


def test_asking_again_ends(chosen_endpoint: ChosenEndpoint) -> None:
    chosen_endpoint.refusals = [(503, "still loading")] * 100
    with pytest.raises(EndpointError, match=r"/v1/completions: 503: still loading"):
        call(chosen_endpoint.address, complete)
    assert len(chosen_endpoint.bodies) == RETRIES


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_a_lasting_refusal_is_told_at_once(chosen_endpoint: ChosenEndpoint, status: int) -> None:
    chosen_endpoint.refusals = [(status, "the prompt has 9999 tokens")]
    with pytest.raises(EndpointError, match=f"{status}: the prompt has 9999 tokens"):
        call(chosen_endpoint.address, complete)
    assert len(chosen_endpoint.bodies) == 1


def test_an_absent_endpoint_is_told(chosen_endpoint: ChosenEndpoint) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, so no one else's, and not listening
        address = EndpointAddress(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", "chosen")
        with pytest.raises(EndpointError, match="ConnectError"):
            call(address, complete)


def test_the_key_comes_from_the_environment(
    chosen_endpoint: ChosenEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(chosen_endpoint.address, complete)
    monkeypatch.setenv("CHOSEN_ENDPOINT_KEY", "s3cret")
    call(chosen_endpoint.address, complete)
    without, with_key = chosen_endpoint.headers
    assert "Authorization" not in without
    assert with_key["Authorization"] == "Bearer s3cret"


def test_as_many_requests_as_allowed_are_in_flight(chosen_endpoint: ChosenEndpoint) -> None:
    # The server answers only when three are there, so fewer at a time would never end.
    together = threading.Barrier(3, timeout=20)
    chosen_endpoint.before_answer = together.wait

    async def twelve(client: Client) -> list[str]:
        return await gather_in_order([partial(complete, client)] * 12, lambda done, total: None)

    assert call(chosen_endpoint.address, twelve, concurrency=3) == [""] * 12
    assert chosen_endpoint.most_in_flight == 3


def log_likelihoods(*continuations: str, prompt: str = "热 fever") -> Callable[[Client], Awaitable]:
    return lambda client: client.continuation_log_likelihoods(prompt, continuations)


def test_log_likelihoods_come_in_the_order_of_the_continuations(
    chosen_endpoint: ChosenEndpoint,
) -> None:
    # The server gives its choices from the last to the first.
    values = {" A": -3.0, " B": -0.5, " C": -2.0}
    chosen_endpoint.log_likelihood = lambda before, token: values.get(token, -100.0)
    found = call(chosen_endpoint.address, log_likelihoods(" B", " A", " C"))
    assert found == [-0.5, -3.0, -2.0]
    assert chosen_endpoint.bodies == [
        {
            "model": "chosen",
            "prompt": ["热 fever B", "热 fever A", "热 fever C"],
            "max_tokens": 0,
            "echo": True,
            "logprobs": 0,
            "temperature": 0,
        }
    ]


def test_tokens_from_the_prompts_end_on_are_summed(chosen_endpoint: ChosenEndpoint) -> None:
    # Offsets count characters: the Han one is three bytes.
    chosen_endpoint.log_likelihood = lambda before, token: -float(len(before))
    found = call(chosen_endpoint.address, log_likelihoods(" one", " one two", " one two three"))
    assert found == [-7, -7 - 11, -7 - 11 - 15]


def test_a_continuation_without_log_likelihood_is_an_error(chosen_endpoint: ChosenEndpoint) -> None:
    chosen_endpoint.log_likelihood = lambda before, token: None
    with pytest.raises(EndpointError, match="no log-likelihood"):
        call(chosen_endpoint.address, log_likelihoods(" A"))
    # "fever" and "B" are one token here, which begins before the prompt's end.
    chosen_endpoint.log_likelihood = lambda before, token: -1.0
    with pytest.raises(EndpointError, match="no log-likelihood"):
        call(chosen_endpoint.address, log_likelihoods("B"))


def test_options_are_scored_by_the_endpoint_s_own_route(chosen_endpoint: ChosenEndpoint) -> None:
    chosen_endpoint.has_scores = True
    chosen_endpoint.log_likelihood = lambda before, token: {" A": -3.0, " B": -0.5}[token]

    def ask(client: Client) -> Awaitable[list[float]]:
        return client.log_likelihoods("fever", [" B", " A"])

    assert call(chosen_endpoint.address, ask) == [-0.5, -3.0]
    assert chosen_endpoint.paths == ["/v1/score"]


def test_and_by_completions_where_there_is_no_such_route(chosen_endpoint: ChosenEndpoint) -> None:
    async def ask(client: Client) -> list[list[float]]:
        return [await client.log_likelihoods("fever", [" A"]) for _ in range(2)]

    assert call(chosen_endpoint.address, ask) == [[-1.0], [-1.0]]
    # It is tried once, not for each question.
    assert chosen_endpoint.paths == ["/v1/score", "/v1/completions", "/v1/completions"]


def test_chat_messages_are_answered_and_tokens_counted(chosen_endpoint: ChosenEndpoint) -> None:
    chosen_endpoint.text = lambda prompt: f"{prompt} Because."
    chosen_endpoint.usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}

    async def ask(client: Client) -> tuple[Reply, int]:
        messages = [{"role": "user", "content": "Why?"}]
        return await client.chat(messages, {"temperature": 0}), client.throttle.used_tokens

    reply, used = call(chosen_endpoint.address, ask)
    assert reply == Reply("Why? Because.", "stop", 7, 3)
    assert used == 10
    assert chosen_endpoint.paths == ["/v1/chat/completions"]
    assert chosen_endpoint.bodies[0]["messages"] == [{"role": "user", "content": "Why?"}]


@pytest.mark.parametrize(("after", "least_s"), [("0.4", 0.4), ("soon", 0.0), ("-3", 0.0)])
def test_an_endpoint_may_say_when_to_come_back(
    chosen_endpoint: ChosenEndpoint, after: str, least_s: float
) -> None:
    chosen_endpoint.refusals = [(429, "later")]
    chosen_endpoint.refusal_headers = {"Retry-After": after}
    started = time.monotonic()
    assert call(chosen_endpoint.address, complete) == ""
    assert time.monotonic() - started >= least_s
    assert len(chosen_endpoint.bodies) == 2


def test_a_refusal_of_the_content_is_told_from_one_of_all(chosen_endpoint: ChosenEndpoint) -> None:
    for status, of_content in ((400, True), (413, True), (401, False), (404, False)):
        chosen_endpoint.refusals = [(status, "no")]
        with pytest.raises(EndpointError) as raised:
            call(chosen_endpoint.address, complete)
        assert raised.value.of_content is of_content


@pytest.mark.parametrize("answer", ["no JSON", "[]", '{"choices": []}', '{"choices": [{}]}', "{}"])
def test_an_answer_of_another_shape_is_an_error_that_shows_it(
    chosen_endpoint: ChosenEndpoint, answer: str
) -> None:
    chosen_endpoint.refusals = [(200, answer)]
    with pytest.raises(EndpointError, match="the answer is no"):
        call(chosen_endpoint.address, complete)


def test_results_come_in_order_and_progress_as_they_come() -> None:
    async def after(turns: int) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return turns

    told: list[tuple[int, int]] = []
    calls = [partial(after, turns) for turns in (9, 1, 5)]
    assert asyncio.run(gather_in_order(calls, lambda *done: told.append(done))) == [9, 1, 5]
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_the_first_error_ends_the_other_calls_and_is_raised_itself() -> None:
    ended = []

    async def fail() -> None:
        raise EndpointError("400: no")

    async def wait() -> None:
        try:
            await asyncio.sleep(20)
        finally:
            ended.append(True)

    with pytest.raises(EndpointError, match="400: no"):
        asyncio.run(gather_in_order([wait, fail, wait], lambda done, total: None))
    assert ended == [True, True]
