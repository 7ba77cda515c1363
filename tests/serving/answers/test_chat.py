"""/v1/chat/completions against a model that is a table."""

from __future__ import annotations

from typing import Any

import pytest

from table_engine import TableEndpoint

PATH = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "What is fever?"}]
PLAIN = "User: What is fever?\nAssistant:"


@pytest.mark.parametrize("top", [None, 0, 4])
def test_logprobs_are_those_of_the_rendered_prompt(endpoint: TableEndpoint, top: int) -> None:
    prompt = endpoint.tokenizer.encode(PLAIN)
    made = endpoint.greedy(prompt, 6, "oncology")
    answer = endpoint.post(
        PATH, model="table:oncology", messages=MESSAGES, temperature=0, max_tokens=6,
        logprobs=True, top_logprobs=top,
    )  # fmt: skip
    [choice] = answer["choices"]
    content = choice["logprobs"]["content"]
    expected = endpoint.logprobs([prompt[-1], *made], "oncology")
    assert [token["logprob"] for token in content] == pytest.approx(expected)
    assert [token["token"] for token in content] == [endpoint.service.names[t] for t in made]
    for token in content:
        assert len(token["top_logprobs"]) == (top or 0)
        if token["bytes"] is not None:
            assert bytes(token["bytes"]).decode() == token["token"]
        if top:
            assert token["top_logprobs"][0]["logprob"] == token["logprob"]  # greedy


def test_a_stream_joins_to_the_whole_answer_with_its_logprobs(endpoint: TableEndpoint) -> None:
    asked: dict[str, Any] = {
        "messages": MESSAGES, "seed": 3, "n": 2, "max_completion_tokens": 9, "logprobs": True,
        "top_logprobs": 2,
    }  # fmt: skip
    whole = endpoint.post(PATH, **asked)
    *events, last = endpoint.events(PATH, **asked, stream_options={"include_usage": True})
    assert [event["choices"][0]["delta"]["role"] for event in events[:2]] == ["assistant"] * 2
    for choice in whole["choices"]:
        own = [
            event["choices"][0]
            for event in events
            if event["choices"][0]["index"] == choice["index"]
        ]
        text = "".join(part["delta"]["content"] or "" for part in own)
        assert text == choice["message"]["content"]
        told = [part["logprobs"]["content"] for part in own if part["logprobs"]]
        content = [token for tokens in told for token in tokens]
        assert content == choice["logprobs"]["content"]
        assert own[-1]["finish_reason"] == choice["finish_reason"]
    assert (last["choices"], last["usage"]) == ([], whole["usage"])


def test_without_a_limit_an_answer_takes_what_is_left(endpoint: TableEndpoint) -> None:
    endpoint.post(PATH, messages=MESSAGES)
    long = [{"role": "user", "content": "a " * 320}]
    endpoint.post(PATH, messages=long)
    first, second = endpoint.engine.jobs
    assert first.max_tokens == 256
    assert len(second.prompt) + second.max_tokens - 1 == 512


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tools": [{"type": "function"}]}, "tools: not supported; the only value taken is []"),
        ({"tool_choice": "auto"}, "tool_choice: not supported; the only value taken is 'none'"),
        ({"functions": []}, "functions: not supported: the model calls no tools"),
        ({"function_call": "auto"}, "function_call: not supported"),
        ({"audio": {"voice": "a"}}, "audio: not supported: the model reads and writes text only"),
        ({"modalities": ["audio"]}, "modalities: not supported; the only value taken is ['text']"),
        ({"store": True}, "store: not supported"),
        ({"top_logprobs": 2}, "top_logprobs needs logprobs: true"),
        ({"messages": []}, "at least 1 item"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages.0.role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "image_url: not supported: the model reads and writes text only",
        ),
    ],
)
def test_what_is_not_supported_is_named(
    endpoint: TableEndpoint, fields: dict[str, Any], message: str
) -> None:
    status, error = endpoint.refused(PATH, **{"messages": MESSAGES} | fields)
    assert status == 400
    assert message in error["message"]


def test_neutral_values_and_what_a_client_sends_back_are_taken(endpoint: TableEndpoint) -> None:
    earlier = {"role": "assistant", "content": "A raised temperature.", "refusal": None}
    earlier |= {"tool_calls": None, "audio": None}
    answer = endpoint.post(
        PATH, messages=[*MESSAGES, earlier, {**MESSAGES[0], "type": "text"}], max_tokens=2,
        tools=[], tool_choice="none", store=False, modalities=["text"], n=None,
    )  # fmt: skip
    assert answer["choices"][0]["message"]["role"] == "assistant"
