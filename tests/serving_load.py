"""Clients that ask a small endpoint without pause and check every answer while it is disturbed."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from ray.serve import context as serve_context

# What a client may take for "send it again".
RETRIABLE = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class Question:
    """A greedy request and the one right answer to it."""

    prompt: str
    max_tokens: int
    text: str


@dataclass
class Tally:
    """What became of the requests. ``wrong`` has all that must not happen, told in words."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    sent: int = 0

    @property
    def answered(self) -> int:
        return self.counts["whole"] + self.counts["streamed"]


async def ask(client: httpx.AsyncClient, url: str, body: dict[str, Any], expected: str) -> str:
    """Send one request; return how it ended, or ``wrong: ...``."""
    try:
        if body.get("stream"):
            return await _ask_stream(client, url, body, expected)
        answer = await client.post(url, json=body)
        if answer.status_code in RETRIABLE:
            return _refusal(answer.status_code, answer.text)
        if answer.status_code != 200:
            return f"wrong: status {answer.status_code}: {answer.text[:200]}"
        got = answer.json()["choices"][0]["text"]
        return "whole" if got == expected else f"wrong: text {got!r}, not {expected!r}"
    except httpx.TransportError as error:
        return f"connection {type(error).__name__}"


async def _ask_stream(
    client: httpx.AsyncClient, url: str, body: dict[str, Any], expected: str
) -> str:
    got = ""
    async with client.stream("POST", url, json=body) as answer:
        if answer.status_code in RETRIABLE:
            return _refusal(answer.status_code, (await answer.aread()).decode())
        if answer.status_code != 200:
            return f"wrong: status {answer.status_code}"
        async for line in answer.aiter_lines():
            if line == "data: [DONE]":
                return "streamed" if got == expected else f"wrong: streamed {got!r}"
            if line:
                event = json.loads(line.removeprefix("data: "))
                if "error" in event:
                    known = expected.startswith(got)
                    return (
                        f"event {event['error']['code']}" if known else f"wrong: streamed {got!r}"
                    )
                got += "".join(choice["text"] for choice in event["choices"])
    return "wrong: a stream ended without [DONE] or an error event"


def _refusal(status: int, text: str) -> str:
    try:
        return f"{status} {json.loads(text)['error']['code']}"
    except (ValueError, KeyError, TypeError):
        return f"wrong: {status} not in OpenAI's shape: {text[:200]}"


@contextmanager
def load(base_url: str, model: str, questions: Sequence[Question], clients: int) -> Iterator[Tally]:
    """Keep ``clients`` asking while the block runs; afterwards the tally is complete."""
    tally = Tally()
    ended = threading.Event()

    async def one(number: int, client: httpx.AsyncClient) -> None:
        draw = random.Random(number)
        while not ended.is_set():
            question = draw.choice(questions)
            body = {"model": model, "prompt": question.prompt, "max_tokens": question.max_tokens}
            body |= {"temperature": 0, "stream": draw.random() < 0.5}
            tally.sent += 1
            how = await ask(client, f"{base_url}/completions", body, question.text)
            if how.startswith("wrong"):
                tally.wrong.append(how)
            else:
                tally.counts[how] += 1
            if how not in ("whole", "streamed"):
                await asyncio.sleep(0.1)  # as a client that was refused does

    async def all_of_them() -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=clients)
        async with httpx.AsyncClient(timeout=60, limits=limits) as client:
            await asyncio.gather(*[one(number, client) for number in range(clients)])

    thread = threading.Thread(target=lambda: asyncio.run(all_of_them()), name="load")
    thread.start()
    try:
        yield tally
    finally:
        ended.set()
        thread.join()


def replica_pids(application: str, deployment: str = "model") -> list[int]:
    """The processes of the replicas that run, as Serve's controller knows them."""
    client = serve_context._get_global_client()
    replicas = client.get_serve_details()["applications"][application]["deployments"][deployment][
        "replicas"
    ]
    return [replica["pid"] for replica in replicas if replica["state"] == "RUNNING"]


def proxy_pids() -> list[int]:
    """The processes of Serve's proxies."""
    client = serve_context._get_global_client()
    return [proxy["pid"] for proxy in client.get_serve_details()["proxies"].values()]


def await_replicas(application: str, count: int, without: Sequence[int] = ()) -> list[int]:
    """Wait until ``count`` replicas run, none of them one of ``without``."""
    deadline = time.monotonic() + 120
    while True:
        pids = replica_pids(application)
        if len(pids) == count and not set(pids) & set(without):
            return pids
        assert time.monotonic() < deadline, (pids, without)
        time.sleep(0.2)


def kill(pid: int) -> None:
    """End a process as a machine that fails does: it does nothing more."""
    os.kill(pid, signal.SIGKILL)
