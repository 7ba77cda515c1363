from __future__ import annotations

import json
from typing import Any

import pytest

from serving.engine import Guide
from table_engine import TableEndpoint

CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "Is it a fever?"}]
SCHEMA = {"type": "object", "properties": {"answer": {"enum": ["yes", "no"]}}}


def named(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": schema}}


@pytest.mark.parametrize(
    ("fields", "guide"),
    [
        ({}, None),
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "json_object"}}, Guide("json_schema", '{"type": "object"}')),
        ({"response_format": named(SCHEMA)}, Guide("json_schema", json.dumps(SCHEMA))),
        ({"structured_outputs": {"regex": "[0-9]+"}}, Guide("regex", "[0-9]+")),
        ({"structured_outputs": {"choice": ["yes", "no"]}}, Guide("choice", ("yes", "no"))),
        ({"structured_outputs": {"json": SCHEMA}}, Guide("json_schema", json.dumps(SCHEMA))),
        ({"structured_outputs": {"json": '{"enum": [1]}'}}, Guide("json_schema", '{"enum": [1]}')),
        ({"structured_outputs": {"json_object": True}}, Guide("json_schema", '{"type": "object"}')),
        ({"guided_regex": "a|b"}, Guide("regex", "a|b")),
        ({"guided_choice": ["a"]}, Guide("choice", ("a",))),
        ({"guided_json": SCHEMA}, Guide("json_schema", json.dumps(SCHEMA))),
    ],
)
def test_every_form_reaches_the_engine(
    endpoint: TableEndpoint, fields: dict[str, Any], guide: Guide | None
) -> None:
    endpoint.post(CHAT, messages=MESSAGES, max_tokens=4, **fields)
    endpoint.post("/v1/completions", prompt="a", max_tokens=4, **fields)
    assert [job.guide for job in endpoint.engine.jobs] == [guide, guide]


def test_a_guided_text_is_the_choice(endpoint: TableEndpoint) -> None:
    answer = endpoint.post(CHAT, messages=MESSAGES, structured_outputs={"choice": ["yes", "no"]})
    assert answer["choices"][0]["message"]["content"] == "yes"
    assert answer["choices"][0]["finish_reason"] == "stop"
    # Scoring alone knows no guide.
    one = endpoint.post(
        "/v1/completions", prompt="a", max_tokens=1, temperature=0, logprobs=1,
        structured_outputs={"choice": ["yes"]},
    )  # fmt: skip
    assert "yes".startswith(one["choices"][0]["text"])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"structured_outputs": {"regex": "(a"}}, "structured_outputs"),
        ({"guided_regex": "(a"}, "guided_regex"),
        ({"guided_json": "[1]"}, "guided_json"),
        ({"structured_outputs": {"json": "{"}}, "structured_outputs"),
    ],
)
def test_a_guide_that_does_not_compile_is_400(
    endpoint: TableEndpoint, fields: dict[str, Any], param: str, stream: bool
) -> None:
    status, error = endpoint.refused(CHAT, messages=MESSAGES, stream=stream, **fields)
    assert (status, error["param"]) == (400, param)
    assert "does not compile" in error["message"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"guided_regex": "a", "response_format": {"type": "json_object"}},
            "response_format and guided_regex cannot go together",
        ),
        ({"structured_outputs": {}}, "exactly one of choice, json, json_object and regex"),
        ({"structured_outputs": {"regex": "a", "choice": ["a"]}}, "exactly one of choice"),
        ({"structured_outputs": {"grammar": "a"}}, "grammar: not supported: text is bound by"),
        ({"structured_outputs": {"choice": []}}, "at least 1 item"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "json_schema: Field required"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}}, "required"),
    ],
)
def test_contradictions_are_named(
    endpoint: TableEndpoint, fields: dict[str, Any], message: str
) -> None:
    status, error = endpoint.refused(CHAT, messages=MESSAGES, **fields)
    assert status == 400
    assert message in error["message"]
