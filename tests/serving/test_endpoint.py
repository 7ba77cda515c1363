"""The endpoint over real HTTP, on Ray Serve, by httpx and by OpenAI's own client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest
import ray

from engine_under_test import ENGINE, LOGPROB_ERROR

if TYPE_CHECKING:
    from conftest import Small

    from serving.app import Endpoint

PROMPT = "The patient has"
MODEL = "small-llama"


@pytest.fixture(scope="module")
def http(endpoint: Endpoint) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=endpoint.base_url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def client(endpoint: Endpoint) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=endpoint.base_url, api_key="none", max_retries=0) as client:
        yield client


def complete(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    response = http.post("/completions", json={"model": MODEL, "temperature": 0} | fields)
    assert response.status_code == 200, response.text
    return response.json()


def test_models(client: openai.OpenAI, endpoint: Endpoint) -> None:
    assert endpoint.model_name == MODEL
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).id == MODEL
    with pytest.raises(openai.NotFoundError, match="no such model here"):
        client.models.retrieve("other")


def test_the_engine_in_use_is_told(endpoint: Endpoint) -> None:
    metrics = httpx.get(endpoint.base_url.removesuffix("/v1") + "/metrics").text
    assert f'engine="{ENGINE}"' in metrics


@pytest.mark.parametrize("max_tokens", [0, 1])
def test_loglikelihood_equals_a_direct_forward(
    http: httpx.Client, small: Small, max_tokens: int
) -> None:
    """The request of lm-eval's local-completions, read as lm-eval reads the answer."""
    texts = ["Aspirin inhibits platelet", "患者有发热", "fever", "У пациента лихорадка и кашель."]
    prompts = [small.tokenizer.encode(text) for text in texts]
    prompts.append([small.tokenizer.convert_tokens_to_ids("ç"), 30, 31])
    answer = complete(http, prompt=prompts, max_tokens=max_tokens, logprobs=1, echo=True, seed=1234)
    assert [choice["index"] for choice in answer["choices"]] == list(range(len(prompts)))
    for prompt, choice in zip(prompts, answer["choices"], strict=True):
        expected = small.logprobs(prompt)
        logprobs = choice["logprobs"]
        lengths = {len(logprobs[name]) for name in logprobs}
        assert lengths == {len(prompt) + max_tokens}
        assert logprobs["token_logprobs"][0] is None
        assert logprobs["top_logprobs"][0] is None
        for place in range(1, len(prompt)):
            own = logprobs["token_logprobs"][place]
            assert own == pytest.approx(
                expected[place - 1][prompt[place]].item(), abs=LOGPROB_ERROR
            )
            top = logprobs["top_logprobs"][place]
            greedy = max(top, key=top.__getitem__) == logprobs["tokens"][place]
            assert greedy == (int(expected[place - 1].argmax()) == prompt[place])
        if max_tokens:
            assert logprobs["token_logprobs"][-1] == pytest.approx(
                expected[-1].max().item(), abs=LOGPROB_ERROR
            )
    total = sum(len(prompt) for prompt in prompts)
    made = max_tokens * len(prompts)
    assert answer["usage"] == {
        "completion_tokens": made,
        "prompt_tokens": total,
        "total_tokens": total + made,
    }


def test_greedy_equals_generate_for_eight_clients_at_once(endpoint: Endpoint, small: Small) -> None:
    words = ["a", "fever", "and", "dry", "cough", "tos", "fièvre", "发热"]
    texts = [f"{PROMPT} {word}" for word in words]

    async def ask_all() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=endpoint.base_url, timeout=60) as client:
            body = {"model": MODEL, "temperature": 0, "max_tokens": 40}
            return await asyncio.gather(
                *[client.post("/completions", json=body | {"prompt": text}) for text in texts]
            )

    for text, response in zip(texts, asyncio.run(ask_all()), strict=True):
        expected = small.greedy(small.tokenizer.encode(text), 40)
        body = response.json()
        [choice] = body["choices"]
        assert choice["text"] == small.tokenizer.decode(expected, skip_special_tokens=True)
        assert body["usage"]["completion_tokens"] == len(expected)
        ended = expected[-1] == small.tokenizer.eos_token_id
        assert choice["finish_reason"] == ("stop" if ended else "length")


def test_four_forms_of_prompts_give_one_answer(http: httpx.Client, small: Small) -> None:
    tokens = small.tokenizer.encode(PROMPT)
    one = complete(http, prompt=PROMPT, max_tokens=8)["choices"][0]["text"]
    assert complete(http, prompt=tokens, max_tokens=8)["choices"][0]["text"] == one
    many = complete(http, prompt=[PROMPT, "Fever"], max_tokens=8)["choices"]
    assert [choice["index"] for choice in many] == [0, 1]
    assert many[0]["text"] == one != many[1]["text"]
    echoed = complete(http, prompt=[tokens, tokens], max_tokens=8, echo=True)["choices"]
    assert [choice["text"] for choice in echoed] == [PROMPT + one] * 2


def test_logprobs_of_generated_tokens(client: openai.OpenAI, small: Small) -> None:
    answer = client.completions.create(
        model=MODEL, prompt=PROMPT, max_tokens=6, temperature=0, logprobs=3
    )
    prompt = small.tokenizer.encode(PROMPT)
    tokens = small.greedy(prompt, 6)
    expected = small.logprobs(prompt + tokens)[len(prompt) - 1 :]
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.token_logprobs == pytest.approx(
        [expected[place][token].item() for place, token in enumerate(tokens)], abs=LOGPROB_ERROR
    )
    assert [len(top) for top in logprobs.top_logprobs or []] == [3] * 6
    assert (logprobs.text_offset or [None])[0] == 0


def test_stop_strings_cut_the_text(http: httpx.Client) -> None:
    free = complete(http, prompt=PROMPT, max_tokens=30)["choices"][0]["text"]
    stop = free[9:12]
    answer = complete(http, prompt=PROMPT, max_tokens=30, stop=["never met", stop])
    [choice] = answer["choices"]
    assert choice["text"] == free[: free.index(stop)]
    assert choice["finish_reason"] == "stop"
    assert answer["usage"]["completion_tokens"] < 30


def test_sampling_is_reproducible_by_seed(http: httpx.Client) -> None:
    def texts(**fields: Any) -> list[str]:
        body = {"prompt": PROMPT, "temperature": 1, "n": 3, "max_tokens": 12} | fields
        return [choice["text"] for choice in complete(http, **body)["choices"]]

    first = texts(seed=5)
    assert len(set(first)) == 3
    assert texts(seed=5) == first
    assert texts(seed=-6) != first
    assert texts() != texts()
    assert texts(seed=5, top_p=1e-6) == [texts(temperature=0)[0]] * 3


def test_streams_join_to_the_whole_answer(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {
        "model": MODEL, "prompt": [PROMPT, "Fever"], "max_tokens": 12, "temperature": 0,
        "echo": True,
    }  # fmt: skip
    whole = client.completions.create(**asked)
    texts, reasons = ["", ""], [None, None]
    usage = None
    for chunk in client.completions.create(
        **asked, stream=True, stream_options={"include_usage": True}
    ):
        usage = chunk.usage
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            reasons[choice.index] = choice.finish_reason
    assert texts == [choice.text for choice in whole.choices]
    assert reasons == [choice.finish_reason for choice in whole.choices]
    assert usage == whole.usage


def test_chat_streams_end_with_done(http: httpx.Client, client: openai.OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "What is fever?"}]
    whole = client.chat.completions.create(
        model=MODEL, messages=messages, temperature=0, max_completion_tokens=10
    )
    assert whole.choices[0].message.role == "assistant"
    body = {"model": MODEL, "messages": messages, "temperature": 0, "max_tokens": 10}
    with http.stream("POST", "/chat/completions", json=body | {"stream": True}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    events = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    deltas = [event["choices"][0]["delta"] for event in events]
    assert deltas[0]["role"] == "assistant"
    assert deltas[1]["content"]  # the first text has an event of its own
    assert len(deltas) > 2
    text = "".join(delta["content"] or "" for delta in deltas)
    assert text == whole.choices[0].message.content
    assert events[-1]["choices"][0]["finish_reason"] == whole.choices[0].finish_reason


def test_chat_is_the_completion_of_the_rendered_prompt(
    http: httpx.Client, client: openai.OpenAI
) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "What is fever?"}],
        temperature=0,
        max_tokens=10,
        logprobs=True,
        top_logprobs=2,
    )
    plain = complete(http, prompt="User: What is fever?\nAssistant:", max_tokens=10, logprobs=2)[
        "choices"
    ][0]
    [choice] = answer.choices
    assert choice.message.content == plain["text"]
    assert choice.logprobs is not None
    content = choice.logprobs.content or []
    assert [token.logprob for token in content] == plain["logprobs"]["token_logprobs"]
    assert [token.token for token in content] == plain["logprobs"]["tokens"]
    assert all(len(token.top_logprobs) == 2 for token in content)


@pytest.mark.parametrize(
    ("fields", "message", "param"),
    [
        ({"tools": []}, "tools: not supported: the model calls no tools", "tools"),
        ({"frequency_penalty": 0.5}, "not supported; the only value taken is 0", None),
        ({"logprobs": 6}, "less than or equal to 5", "logprobs"),
        ({"temperature": 3}, "less than or equal to 2", "temperature"),
        ({"max_tokens": 257}, "max_tokens is 257; at most 256 are taken", "max_tokens"),
        ({"prompt": [7] * 385}, "the prompt has 385 tokens; at most 384 are taken", "prompt"),
        ({"prompt": [7] * 384, "max_tokens": 200}, "need 583 positions; the model has 512", None),
        ({"prompt": [[7], []]}, "a prompt has no tokens", "prompt"),
        ({"prompt": [7, 400]}, "a token id is outside 0 ... 399", "prompt"),
        ({"prompt": ""}, "at least 1 character", "prompt"),
        ({"prompt": {"secret": "text"}}, "valid string", "prompt"),
    ],
)
def test_bad_requests_are_named_and_not_repeated(
    http: httpx.Client, fields: dict[str, Any], message: str, param: str | None
) -> None:
    response = http.post("/completions", json={"model": MODEL, "prompt": "private"} | fields)
    assert response.status_code == 400
    error = response.json()["error"]
    assert message in error["message"]
    assert error["type"] == "invalid_request_error"
    assert param is None or error["param"] == param
    assert "private" not in response.text
    assert "secret" not in response.text


def test_other_errors_have_the_same_shape(http: httpx.Client) -> None:
    wrong_model = http.post("/completions", json={"model": "other", "prompt": "a"})
    assert wrong_model.status_code == 404
    assert wrong_model.json()["error"]["code"] == "model_not_found"
    assert http.get("/nothing").json()["error"]["message"] == "no path '/v1/nothing' here"
    assert http.get("/completions").status_code == 405
    broken = http.post("/completions", content="{", headers={"content-type": "application/json"})
    assert broken.status_code == 400
    assert "JSON" in broken.json()["error"]["message"]


def test_the_largest_request_is_served(http: httpx.Client) -> None:
    answer = complete(http, prompt=[7] * 384, max_tokens=129)
    assert answer["usage"]["prompt_tokens"] == 384


def test_prompts_and_answers_are_not_logged(http: httpx.Client) -> None:
    prompt = "the patient Emmeline Aldous"
    answer = complete(http, prompt=prompt, max_tokens=20, logprobs=1)["choices"][0]["text"]
    assert http.post("/completions", json={"prompt": prompt, "model": "other"}).is_error
    logs = Path(ray._private.worker.global_worker.node.get_logs_dir_path())
    written = "".join(
        file.read_text(errors="replace") for file in logs.rglob("*") if file.is_file()
    )
    assert "/v1/completions" in written  # the access log: the path, not the body
    assert "Emmeline" not in written
    assert answer not in written


def test_a_lost_client_leaves_the_endpoint_well(http: httpx.Client, endpoint: Endpoint) -> None:
    body = {"model": MODEL, "prompt": PROMPT, "max_tokens": 256, "stream": True, "n": 8}
    with http.stream("POST", "/completions", json=body) as response:
        next(response.iter_lines())
    assert len(complete(http, prompt=PROMPT, max_tokens=3)["choices"]) == 1
    health = endpoint.base_url.removesuffix("/v1") + "/health"
    assert httpx.get(health).status_code == 200
