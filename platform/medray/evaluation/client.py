"""An asyncio client of any OpenAI-compatible endpoint."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from medray.evaluation.limits import Limits, Throttle

RETRIES = 6
FIRST_WAIT_S = 0.5
# The longest wait that an endpoint may ask for by Retry-After.
LONGEST_WAIT_S = 120.0
# Busy or briefly away: worth asking again. Anything else would be answered the same.
PASSING_STATUS = (408, 429, 500, 502, 503, 504)
# The request itself is refused (too long, filtered): others may be answered.
CONTENT_STATUS = (400, 413, 422)
# To estimate tokens before an endpoint has counted them: English has some four characters a
# token, Chinese and Japanese between one and two.
CHARACTERS_PER_TOKEN = 3


class EndpointError(Exception):
    """The endpoint refused a request or stayed away; the message has status and reason."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def of_content(self) -> bool:
        """Whether this one request was refused, where others may be answered."""
        return self.status in CONTENT_STATUS


@dataclass(frozen=True)
class EndpointAddress:
    """Where an endpoint is. The key is read from the environment when a request is sent."""

    base_url: str
    model_name: str
    api_key_environment: str = "MEDRAY_API_KEY"


@dataclass(frozen=True)
class Reply:
    """A generated text; token counts are None where the endpoint tells none."""

    text: str
    finish_reason: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Client:
    """Requests with bounded concurrency, limits and retries. Use as ``async with``.

    A passing refusal is asked again ``RETRIES`` times in all, after waits that double, or after
    what ``Retry-After`` says. ``transport``: default HTTP; one of ASGI asks an application in this
    process.
    """

    def __init__(
        self,
        address: EndpointAddress,
        concurrency: int,
        timeout_s: float,
        limits: Limits | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.address = address
        self.throttle = Throttle(limits or Limits())
        self._slots = asyncio.Semaphore(concurrency)
        self._scores = True
        key = os.environ.get(address.api_key_environment, "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        connections = httpx.Limits(max_connections=None, max_keepalive_connections=concurrency)
        self._http = httpx.AsyncClient(
            headers=headers, timeout=timeout_s, limits=connections, transport=transport
        )

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def complete(self, prompt: str, max_tokens: int) -> str:
        """Return the greedy continuation of a prompt."""
        return (await self.completion(prompt, {"max_tokens": max_tokens, "temperature": 0})).text

    async def completion(self, prompt: str, settings: Mapping[str, Any]) -> Reply:
        """Return the continuation of a prompt; ``settings`` go into the request as they are."""
        answer = await self._post("completions", {"prompt": prompt, **settings})
        return self._reply(answer, lambda choice: choice["text"])

    async def chat(
        self, messages: Sequence[Mapping[str, str]], settings: Mapping[str, Any]
    ) -> Reply:
        """Return the answer to chat messages; ``settings`` go into the request as they are."""
        body = {"messages": [dict(message) for message in messages], **settings}
        answer = await self._post("chat/completions", body)
        return self._reply(answer, lambda choice: choice["message"]["content"])

    async def log_likelihoods(self, prompt: str, continuations: Sequence[str]) -> list[float]:
        """Return log P(continuation | prompt) in nats of each continuation.

        By /score, which medray's endpoint has and which reads the prompt once; by completions,
        as ``continuation_log_likelihoods`` does, where there is no such route.
        """
        if self._scores:
            question = {"prompt": prompt, "options": list(continuations)}
            try:
                answer = await self._post("score", {"questions": [question]})
                options = answer["data"][0]["options"]
                return [float(option["logprob_sum"]) for option in options]
            except EndpointError as error:
                if error.status not in (404, 405):
                    raise
                self._scores = False
            except (LookupError, TypeError, ValueError) as error:
                raise self._unlike("score", error) from error
        return await self.continuation_log_likelihoods(prompt, continuations)

    async def continuation_log_likelihoods(
        self, prompt: str, continuations: Sequence[str]
    ) -> list[float]:
        """Return log P(continuation | prompt) in nats of each continuation, by completions.

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
        choices = (await self._post("completions", body))["choices"]
        sums = []
        for choice in sorted(choices, key=lambda c: c["index"]):
            logprobs = choice["logprobs"]
            pairs = zip(logprobs["text_offset"], logprobs["token_logprobs"], strict=True)
            values = [value for offset, value in pairs if offset >= len(prompt)]
            if not values or None in values:
                raise EndpointError("the endpoint gave no log-likelihood for a continuation")
            sums.append(float(sum(values)))
        return sums

    def _reply(self, answer: Mapping[str, Any], text: Callable[[Any], str | None]) -> Reply:
        try:
            choice = answer["choices"][0]
            usage = answer.get("usage") or {}
            return Reply(
                text(choice) or "",
                str(choice.get("finish_reason") or ""),
                usage.get("prompt_tokens"),
                usage.get("completion_tokens"),
            )
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise self._unlike("completion", error) from error

    def _unlike(self, what: str, error: Exception) -> EndpointError:
        told = f"{type(error).__name__}: {error}"
        return EndpointError(f"{self.address.base_url}: the answer is no {what} ({told})")

    async def _post(self, route: str, body: dict[str, Any]) -> dict[str, Any]:
        url = f"{self.address.base_url.rstrip('/')}/{route}"
        body = {"model": self.address.model_name, **body}
        failure = EndpointError(f"{url}: not asked")
        for attempt in range(RETRIES):
            try:
                async with self._slots:
                    await self.throttle.before(_estimated_tokens(body))
                    response = await self._http.post(url, json=body)
            except httpx.TransportError as error:
                failure = EndpointError(f"{url}: {error!r}")
                await self._wait(attempt, 0.0)
                continue
            if response.is_success:
                return self._counted(url, response)
            reason = f"{url}: {response.status_code}: {response.text[:300]}"
            failure = EndpointError(reason, response.status_code)
            if response.status_code not in PASSING_STATUS:
                break
            await self._wait(attempt, _retry_after_s(response))
        raise failure

    async def _wait(self, attempt: int, asked_s: float) -> None:
        """Wait before the next attempt, by chance longer, so that not all come at once."""
        if attempt + 1 < RETRIES:
            own_s = FIRST_WAIT_S * 2**attempt * random.uniform(0.8, 1.2)
            await asyncio.sleep(max(own_s, min(asked_s, LONGEST_WAIT_S)))

    def _counted(self, url: str, response: httpx.Response) -> dict[str, Any]:
        try:
            answer = dict(response.json())
        except (ValueError, TypeError) as error:
            raise EndpointError(
                f"{url}: the answer is no JSON object: {response.text[:200]}"
            ) from error
        usage = answer.get("usage")
        used = usage.get("total_tokens") if isinstance(usage, dict) else None
        self.throttle.after(used if isinstance(used, int) else 0)
        return answer


def _retry_after_s(response: httpx.Response) -> float:
    """Return the seconds that Retry-After asks for; 0 without one, or where it is a date."""
    try:
        return max(0.0, float(response.headers.get("Retry-After", "0")))
    except ValueError:
        return 0.0


def _estimated_tokens(body: Mapping[str, Any]) -> int:
    texts = [value for key, value in body.items() if key in ("prompt", "messages", "questions")]
    return len(str(texts)) // CHARACTERS_PER_TOKEN + int(body.get("max_tokens") or 0)


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
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
