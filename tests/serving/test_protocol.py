from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serving.protocol import ChatCompletionRequest, CompletionRequest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)

NESTED = json.loads("[" * 500 + "]" * 500)


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        ([1, 2], [[1, 2]]),
        ([[1], [2, 3]], [[1], [2, 3]]),
        ([1.0, 2], [[1, 2]]),
        ([[1.0], [2]], [[1], [2]]),
    ],
)
def test_four_forms_of_a_prompt(prompt: object, prompts: object) -> None:
    assert CompletionRequest(model="m", prompt=prompt).prompts == prompts


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        [],
        [1.5],
        [1, "a"],
        [[1], "a"],
        [True],
        [-1],
        [[[1]]],
        NESTED,
        "\ud800",
        None,
    ],
)
def test_other_prompts_are_errors(prompt: object) -> None:
    with pytest.raises(ValidationError):
        CompletionRequest(model="m", prompt=prompt)


def test_null_is_unset_and_neutral_values_are_taken() -> None:
    body = {"model": "m", "prompt": "a", "temperature": None, "stop": None, "best_of": 1}
    body |= {"presence_penalty": 0.0, "logit_bias": {}, "suffix": ""}
    request = CompletionRequest.model_validate(body)
    assert request.temperature == 1
    assert request.stop == []
    assert CompletionRequest(model="m", prompt="a", stop="x").stop == ["x"]


@pytest.mark.parametrize("fields", [{"n": "1"}, {"n": 1.5}, {"echo": 1}, {"seed": True}])
def test_types_are_strict(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CompletionRequest.model_validate({"model": "m", "prompt": "a"} | fields)


@given(
    fields=st.fixed_dictionaries(
        {"model": st.just("m"), "prompt": JSON},
        optional=dict.fromkeys(
            ("max_tokens", "logprobs", "n", "seed", "stop", "stream_options"), JSON
        ),
    )
)
def test_any_json_is_a_request_or_a_validation_error(fields: dict[str, object]) -> None:
    try:
        request = CompletionRequest.model_validate(fields)
    except ValidationError:
        return
    assert request.prompts
    assert all(isinstance(prompt, str | list) for prompt in request.prompts)


def test_half_a_surrogate_pair_is_no_text() -> None:
    with pytest.raises(ValidationError, match="surrogate"):
        CompletionRequest(model="m", prompt=["a", "\ud800"])
    with pytest.raises(ValidationError, match="unicode"):
        CompletionRequest(model="m", prompt="a", stop="\udfff")


def test_chat_refuses_what_a_template_would_drop() -> None:
    message = {"role": "user", "content": "a"}
    with pytest.raises(ValidationError, match="name"):
        ChatCompletionRequest(model="m", messages=[message | {"name": "Ada"}])
    with pytest.raises(ValidationError, match="tools"):
        ChatCompletionRequest(model="m", messages=[message], tools=[{"type": "function"}])
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    request = ChatCompletionRequest(model="m", messages=[message | {"content": parts}])
    assert request.messages[0].text == "ab"
