"""/v1/completions against a model that is a table: every number is known exactly."""

from __future__ import annotations

from typing import Any

import pytest

from table_engine import TableEndpoint

PROMPT = "The patient has"
PATH = "/v1/completions"
GREEDY: dict[str, Any] = {"temperature": 0}


def joined(events: list[dict[str, Any]], choices: int) -> list[dict[str, Any]]:
    """Put a stream's events together as one answer's choices."""
    whole: list[dict[str, Any]] = [
        {"index": index, "text": "", "finish_reason": None, "logprobs": None}
        for index in range(choices)
    ]
    for event in events:
        for choice in event["choices"]:
            own = whole[choice["index"]]
            own["text"] += choice["text"]
            own["finish_reason"] = choice["finish_reason"]
            if choice["logprobs"] is not None:
                own["logprobs"] = own["logprobs"] or {name: [] for name in choice["logprobs"]}
                for name, values in choice["logprobs"].items():
                    own["logprobs"][name] += values
    return whole


@pytest.mark.parametrize("form", ["text", "texts", "tokens", "lists of tokens"])
@pytest.mark.parametrize("n", [1, 2])
def test_four_forms_of_prompts_n_times_each(endpoint: TableEndpoint, form: str, n: int) -> None:
    tokens = [endpoint.tokenizer.encode(text) for text in (PROMPT, "Fever")]
    prompt, prompts = {
        "text": (PROMPT, tokens[:1]),
        "texts": ([PROMPT, "Fever"], tokens),
        "tokens": (tokens[0], tokens[:1]),
        "lists of tokens": (tokens, tokens),
    }[form]
    answer = endpoint.post(PATH, prompt=prompt, max_tokens=8, n=n, **GREEDY)
    made = [endpoint.tokenizer.decode(endpoint.greedy(each, 8)) for each in prompts]
    assert [choice["text"] for choice in answer["choices"]] == [t for t in made for _ in range(n)]
    assert [choice["index"] for choice in answer["choices"]] == list(range(n * len(prompts)))
    total = sum(map(len, prompts))
    assert answer["usage"] == {
        "prompt_tokens": total,
        "completion_tokens": 8 * n * len(prompts),
        "total_tokens": total + 8 * n * len(prompts),
    }


@pytest.mark.parametrize("echo", [False, True])
@pytest.mark.parametrize("max_tokens", [0, 1, 7])
@pytest.mark.parametrize("adapter", ["", "oncology"])
def test_logprobs_are_exact(
    endpoint: TableEndpoint, echo: bool, max_tokens: int, adapter: str
) -> None:
    prompt = endpoint.tokenizer.encode(PROMPT)
    tokens = prompt + endpoint.greedy(prompt, max_tokens, adapter)
    model = f"table:{adapter}" if adapter else "table"
    body: dict[str, Any] = {"model": model, "prompt": PROMPT, "max_tokens": max_tokens} | GREEDY
    [choice] = endpoint.post(PATH, **body, echo=echo, logprobs=2)["choices"]
    expected = [None, *endpoint.logprobs(tokens, adapter)]
    shown = tokens if echo else tokens[len(prompt) :]
    logprobs = choice["logprobs"]
    assert logprobs["token_logprobs"] == pytest.approx(expected[len(tokens) - len(shown) :])
    assert logprobs["tokens"] == [endpoint.service.names[token] for token in shown]
    for name, own, best in zip(
        logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"], strict=True
    ):
        if own is None:
            assert best is None
        else:
            assert best[name] == own
            assert len(best) in (2, 3)
    assert choice["text"] == endpoint.tokenizer.decode(shown)
    # Scoring alone answers 0 and 1 tokens: nothing is generated token by token.
    assert len(endpoint.engine.jobs) == (max_tokens == 7)


@pytest.mark.parametrize("echo", [False, True])
def test_a_stream_joins_to_the_whole_answer(endpoint: TableEndpoint, echo: bool) -> None:
    asked: dict[str, Any] = {
        "prompt": [PROMPT, "患者有发热"], "max_tokens": 12, "n": 2, "seed": 5, "logprobs": 3,
        "echo": echo, "stop": ["never met"],
    }  # fmt: skip
    whole = endpoint.post(PATH, **asked)
    *events, last = endpoint.events(PATH, **asked, stream_options={"include_usage": True})
    assert joined(events, 4) == whole["choices"]
    assert (last["choices"], last["usage"]) == ([], whole["usage"])
    assert all(event["usage"] is None for event in events)
    assert len({event["id"] for event in [*events, last]}) == 1
    assert len(events) > 20
    plain = endpoint.events(PATH, prompt=PROMPT, max_tokens=3)
    assert all(event["usage"] is None for event in plain)


def test_a_stop_string_in_a_stream_keeps_every_logprob(endpoint: TableEndpoint) -> None:
    free = endpoint.post(PATH, prompt=PROMPT, max_tokens=30, **GREEDY)["choices"][0]["text"]
    asked: dict[str, Any] = {"prompt": PROMPT, "max_tokens": 30, "stop": [free[9:12]], **GREEDY}
    whole = endpoint.post(PATH, **asked, logprobs=0)
    [choice] = whole["choices"]
    assert choice["text"] == free[: free.index(free[9:12])]
    assert choice["finish_reason"] == "stop"
    assert joined(endpoint.events(PATH, **asked, logprobs=0), 1) == whole["choices"]


def test_best_of_returns_the_likeliest(endpoint: TableEndpoint) -> None:
    asked: dict[str, Any] = {"prompt": [PROMPT, "Fever"], "max_tokens": 5, "seed": 1, "logprobs": 0}
    every = endpoint.post(PATH, **asked, n=6)["choices"]
    best = endpoint.post(PATH, **asked, n=2, best_of=6)
    assert [choice["index"] for choice in best["choices"]] == [0, 1, 2, 3]
    for place in (0, 1):
        own = sorted(every[6 * place : 6 * place + 6], key=mean, reverse=True)
        got = best["choices"][2 * place : 2 * place + 2]
        assert [choice["text"] for choice in got] == [choice["text"] for choice in own[:2]]
        assert [mean(choice) for choice in got] == pytest.approx([mean(c) for c in own[:2]])
    assert best["usage"]["completion_tokens"] == 2 * 6 * 5
    # Without logprobs they are found out and not shown.
    silent = endpoint.post(PATH, **asked | {"logprobs": None}, n=2, best_of=6)["choices"]
    assert [choice["text"] for choice in silent] == [choice["text"] for choice in best["choices"]]
    assert silent[0]["logprobs"] is None


def mean(choice: dict[str, Any]) -> float:
    values = choice["logprobs"]["token_logprobs"]
    return float(sum(values) / len(values))


def test_only_what_is_wanted_is_scored(endpoint: TableEndpoint) -> None:
    asked: dict[str, Any] = {"prompt": PROMPT, "logprobs": 1, **GREEDY}
    length = len(endpoint.tokenizer.encode(PROMPT))
    endpoint.post(PATH, **asked, max_tokens=0, echo=True, n=3)
    endpoint.post(PATH, **asked, max_tokens=1)
    endpoint.post(PATH, **asked, max_tokens=0)
    jobs = [(job.first, job.following) for job in endpoint.engine.score_jobs]
    assert jobs == [(0, False), (length, True)]


@pytest.mark.parametrize(
    ("fields", "message", "param"),
    [
        ({"suffix": " end"}, "suffix: not supported", "suffix"),
        ({"best_of": 2, "n": 3}, "best_of 2 is less than n 3", None),
        ({"best_of": 2, "stream": True}, "best_of cannot be streamed", None),
        ({"n": 17}, "less than or equal to 16", "n"),
        ({"max_tokens": "7"}, "valid integer", "max_tokens"),
        ({"tools": []}, "tools: not supported: the model calls no tools", "tools"),
        ({"top_k": 3}, "top_k: unknown parameter", "top_k"),
    ],
)
def test_what_is_not_supported_is_named(
    endpoint: TableEndpoint, fields: dict[str, Any], message: str, param: str | None
) -> None:
    status, error = endpoint.refused(PATH, prompt="private", **fields)
    assert status == 400
    assert message in error["message"]
    assert error["param"] == param
    assert "private" not in error["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_is_not_there_is_404(endpoint: TableEndpoint, stream: bool) -> None:
    for model in ("other", "table:", "table:dermatology", "oncology", "table:oncology:x"):
        status, error = endpoint.refused(PATH, prompt="a", model=model, stream=stream)
        assert (status, error["code"], error["param"]) == (404, "model_not_found", "model")


def test_the_base_and_every_adapter_are_models(endpoint: TableEndpoint) -> None:
    names = ["table", "table:cardiology", "table:oncology"]
    listed = endpoint.ask("GET", "/v1/models").json()
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == names
    assert {model["root"] for model in listed["data"]} == {"table"}
    for name in names:
        assert endpoint.ask("GET", f"/v1/models/{name}").json()["id"] == name
        answer = endpoint.post(PATH, model=name, prompt=PROMPT, max_tokens=4, **GREEDY)
        assert answer["model"] == name
    assert endpoint.ask("GET", "/v1/models/table:x").status_code == 404
    adapters = [job.adapter for job in endpoint.engine.jobs]
    assert adapters == ["", "cardiology", "oncology"]
