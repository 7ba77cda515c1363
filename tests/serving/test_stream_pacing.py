"""Events of a stream: the first text at once, then what was made meanwhile, nothing lost."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from serving.generation import Outlet, Piece
from table_engine import TableEndpoint

if TYPE_CHECKING:
    from conftest import Small

PROMPT = "The patient has"
TOKENS = 40


def joined(events: list[dict[str, Any]], index: int = 0) -> str:
    """The text of one choice."""
    choices = [choice for event in events for choice in event["choices"]]
    return "".join(choice["text"] for choice in choices if choice["index"] == index)


@pytest.fixture(scope="module")
def expected(small: Small) -> Any:
    asked = {"prompt": PROMPT, "max_tokens": TOKENS, "temperature": 0, "logprobs": 1}
    return TableEndpoint(small.tokenizer).post("/v1/completions", **asked)["choices"][0]


def test_a_stream_gives_an_event_an_interval(small: Small, expected: Any) -> None:
    paced = TableEndpoint(small.tokenizer, stream_interval_s=0.1, pause_s=0.005)
    began = time.monotonic()
    events = paced.events(
        "/v1/completions", prompt=PROMPT, max_tokens=TOKENS, temperature=0, n=2, logprobs=1
    )
    took_s = time.monotonic() - began
    for index in range(2):
        own = [event["choices"][0] for event in events if event["choices"][0]["index"] == index]
        assert joined(events, index) == expected["text"]
        assert [choice["finish_reason"] for choice in own[:-1]] == [None] * (len(own) - 1)
        assert own[-1]["finish_reason"] == "length"
        # Those before the first text, that text, one an interval, the end.
        with_text = [choice for choice in own if choice["text"]]
        assert 2 <= len(with_text) <= 2 + took_s / 0.1
        assert len(with_text[0]["text"]) < len(expected["text"]) / 4  # it waited for no other
        for name in ("tokens", "token_logprobs", "text_offset", "top_logprobs"):
            values = [value for choice in own for value in choice["logprobs"][name]]
            assert values == expected["logprobs"][name]


def test_without_an_interval_each_token_has_an_event(small: Small, expected: Any) -> None:
    every = TableEndpoint(small.tokenizer)
    events = every.events(
        "/v1/completions", prompt=PROMPT, max_tokens=TOKENS, temperature=0, logprobs=1
    )
    assert joined(events) == expected["text"]
    told = [len(event["choices"][0]["logprobs"]["tokens"]) for event in events]
    assert told == [1] * TOKENS + [0]  # the last one has the finish reason


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v1/completions", {"prompt": PROMPT}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": PROMPT}]}),
    ],
)
def test_a_stream_that_fails_has_given_all_that_was_made(
    small: Small, path: str, asked: dict[str, Any]
) -> None:
    texts = []
    for interval_s in (0.0, 60.0):
        endpoint = TableEndpoint(small.tokenizer, stream_interval_s=interval_s)
        endpoint.engine.fault, endpoint.engine.tokens_before_fault = OSError("private"), 15
        body = {"model": "table", "stream": True, "max_tokens": TOKENS, "temperature": 0, **asked}
        response = endpoint.ask("POST", path, json=body)
        *lines, last = [line for line in response.text.split("\n\n") if line]
        assert "error" in last
        texts.append("".join(_text(line) for line in lines))
        assert len(lines) < 6 or interval_s == 0
    assert texts[0] == texts[1] != ""


def _text(line: str) -> str:
    choice = json.loads(line.removeprefix("data: "))["choices"][0]
    return choice["text"] if "text" in choice else choice["delta"].get("content") or ""


def test_held_text_goes_though_nothing_follows() -> None:
    given: list[Piece] = []

    async def add() -> None:
        outlet = Outlet(given.append, interval_s=0.05)
        for text in ("", "a", "b", "c"):
            outlet.add(Piece(3, text, []))
        assert given == [Piece(3, "", []), Piece(3, "a", [])]
        while len(given) < 3:
            await asyncio.sleep(0.01)
        outlet.add(Piece(3, "d", []))
        outlet.add(Piece(3, "", [], "stop"))
        outlet.flush()

    asyncio.run(asyncio.wait_for(add(), 30))
    assert given[2:] == [Piece(3, "bc", []), Piece(3, "d", [], "stop")]
