"""An asyncio client of any OpenAI-compatible endpoint."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

RETRIES = 6
FIRST_WAIT_S = 0.5
# Busy or briefly away: worth asking again. Anything else would be answered the same.
PASSING_STATUS = (429, 500, 502, 503, 504)


class EndpointError(Exception):
    """The endpoint refused a request or stayed away; the message has status and reason."""


@dataclass(frozen=True)
class EndpointAddress:
    """Where an endpoint is. The key is read from the environment when a request is sent."""

    base_url: str
    model_name: str
    api_key_environment: str = "MEDRAY_API_KEY"


class Client:
    """Completion requests with bounded concurrency and retries. Use as ``async with``."""

    def __init__(self, address: EndpointAddress, concurrency: int, timeout_s: float) -> None:
        self.address = address
        self._slots = asyncio.Semaphore(concurrency)
        key = os.environ.get(address.api_key_environment, "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.AsyncClient(headers=headers, timeout=timeout_s)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def complete(self, prompt: str, max_tokens: int) -> str:
        """Return the greedy continuation of a prompt."""
        body = {"prompt": prompt, "max_tokens": max_tokens, "temperature": 0}
        answer = await self._post(body)
        return str(answer["choices"][0]["text"])

    async def continuation_log_likelihoods(
        self, prompt: str, continuations: Sequence[str]
    ) -> list[float]:
        """Return log P(continuation | prompt) in nats of each continuation.

        One request: every prompt + continuation with echo and logprobs and no new token (the
        contract that lm-evaluation-harness uses); the tokens that begin at or after the prompt's
        end are summed. A prompt must not end in a blank, or the cut falls inside a token.
        """
        body = {
            "prompt": [prompt + continuation for continuation in continuations],
            "max_tokens": 0,
            "echo": True,
            # The tokens' own; 1 and more would add alternatives, which nothing here reads.
            "logprobs": 0,
            "temperature": 0,
        }
        choices = (await self._post(body))["choices"]
        sums = []
        for choice in sorted(choices, key=lambda c: c["index"]):
            logprobs = choice["logprobs"]
            pairs = zip(logprobs["text_offset"], logprobs["token_logprobs"], strict=True)
            values = [value for offset, value in pairs if offset >= len(prompt)]
            if not values or None in values:
                raise EndpointError("the endpoint gave no log-likelihood for a continuation")
            sums.append(float(sum(values)))
        return sums

    async def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        url = f"{self.address.base_url}/completions"
        body = {"model": self.address.model_name, **body}
        reason = ""
        for attempt in range(RETRIES):
            if attempt:
                await asyncio.sleep(FIRST_WAIT_S * 2 ** (attempt - 1))
            try:
                async with self._slots:
                    response = await self._http.post(url, json=body)
            except httpx.TransportError as error:
                reason = repr(error)
                continue
            if response.is_success:
                return dict(response.json())
            reason = f"{response.status_code}: {response.text[:300]}"
            if response.status_code not in PASSING_STATUS:
                break
        raise EndpointError(f"{url}: {reason}")


async def gather_in_order(
    calls: Sequence[Callable[[], Awaitable[Any]]], on_done: Callable[[int, int], None]
) -> list[Any]:
    """Await all calls at once and return their results in order.

    The first error ends all calls and is raised itself, not in an ExceptionGroup, whose message
    would tell no more than "unhandled errors in a TaskGroup".
    """
    done = 0

    async def one(call: Callable[[], Awaitable[Any]]) -> Any:
        nonlocal done
        result = await call()
        done += 1
        on_done(done, len(calls))
        return result

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(call)) for call in calls]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    return [task.result() for task in tasks]
