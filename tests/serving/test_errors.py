"""Every way in which a request goes wrong is told in OpenAI's shape, with the right status."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import HTTPException
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.api import create_api
from serving.engine import EngineStoppedError, UnknownAdapterError
from serving.protocol import RequestError
from serving.service import Limits
from table_engine import MODEL, TableEndpoint

if TYPE_CHECKING:
    from conftest import Small

CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "a"}]
COMPLETION: dict[str, Any] = {"model": MODEL, "prompt": "Fever", "max_tokens": 20}
POSTS = {
    "/v1/completions": COMPLETION,
    CHAT: {"model": MODEL, "messages": MESSAGES, "max_tokens": 20},
    "/v1/score": {"model": MODEL, "questions": [{"prompt": "a", "options": ["b"]}]},
    "/v1/embeddings": {"model": MODEL, "input": "a"},
    "/tokenize": {"prompt": "a"},
    "/detokenize": {"tokens": [1]},
}


@pytest.fixture
def endpoint(small: Small) -> TableEndpoint:
    return TableEndpoint(small.tokenizer)


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/nothing", 404, "no path '/nothing' here"),
        ("POST", "/v1", 404, "no path '/v1' here"),
        ("GET", "/v1/completions", 405, "GET is not taken by '/v1/completions'"),
        ("DELETE", "/v1/models", 405, "DELETE is not taken by '/v1/models'"),
    ],
)
def test_unknown_paths_and_methods(
    endpoint: TableEndpoint, method: str, path: str, status: int, message: str
) -> None:
    response = endpoint.ask(method, path)
    assert response.status_code == status
    assert response.json()["error"]["message"] == message
    assert ("allow" in response.headers) == (status == 405)


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b"{", "application/json", "JSON"),
        (b"", "application/json", "Field required"),
        (b"[1]", "application/json", "body"),
        (b"\xff", "application/json", "body"),
        (b"[" * 100_000, "application/json", "body"),
        (b'{"model": "table", "prompt": ' + b"[" * 900 + b"]" * 900 + b"}", "application/json", ""),
        (b"1" * 5000, "application/json", "body"),
        (b"{}", "text/plain", "send Content-Type: application/json"),
        (b"a=b", "application/x-www-form-urlencoded", "send Content-Type: application/json"),
    ],
)
def test_a_body_that_is_no_json_is_400(
    endpoint: TableEndpoint, path: str, body: bytes, kind: str, message: str
) -> None:
    response = endpoint.ask("POST", path, content=body, headers={"content-type": kind})
    assert response.status_code == 400
    assert message in response.json()["error"]["message"]


@pytest.mark.parametrize("path", [path for path in POSTS if path.startswith("/v1")])
def test_a_stopped_engine_is_503_with_retry_after(endpoint: TableEndpoint, path: str) -> None:
    assert endpoint.ask("GET", "/health").json() == {"status": "ok"}
    endpoint.engine.close()
    asked = [("POST", path, POSTS[path]), ("GET", "/health", None)]
    if "max_tokens" in POSTS[path]:
        asked.append(("POST", path, POSTS[path] | {"stream": True}))
    for method, where, body in asked:
        response = endpoint.ask(method, where, json=body)
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) >= 1
        assert response.json()["error"]["type"] == "server_error"


@pytest.mark.parametrize("path", ["/v1/completions", CHAT])
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (EngineStoppedError("the engine has ended"), "the engine has ended"),
        (ZeroDivisionError("private"), "a fault of the endpoint; its log has the details"),
    ],
)
def test_a_stream_that_fails_ends_with_an_error_event(
    endpoint: TableEndpoint,
    caplog: pytest.LogCaptureFixture,
    path: str,
    fault: Exception,
    message: str,
) -> None:
    endpoint.engine.fault, endpoint.engine.tokens_before_fault = fault, 15
    response = endpoint.ask("POST", path, json=POSTS[path] | {"stream": True})
    assert response.status_code == 200
    *_, last = [line for line in response.text.split("\n\n") if line]
    assert json.loads(last.removeprefix("data: "))["error"]["message"] == message
    assert "[DONE]" not in response.text
    assert "private" not in response.text + caplog.text
    assert endpoint.engine.running == 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (UnknownAdapterError("private"), 404, "model_not_found"),
        (ZeroDivisionError("private"), 500, None),
        (ValueError("private"), 500, None),
    ],
)
def test_a_fault_before_the_first_token_has_its_status(
    endpoint: TableEndpoint,
    caplog: pytest.LogCaptureFixture,
    fault: Exception,
    status: int,
    code: str | None,
    stream: bool,
) -> None:
    endpoint.engine.fault = fault
    with caplog.at_level(logging.INFO):
        found, error = endpoint.refused("/v1/completions", prompt="Fever", stream=stream)
    assert (found, error["code"]) == (status, code)
    assert "private" not in error["message"] + caplog.text
    # A fault of ours is logged by its kind and place.
    assert (f"{type(fault).__name__} at " in caplog.text) == (status == 500)
    assert endpoint.engine.running == 0


def test_a_request_that_takes_too_long_is_504(small: Small) -> None:
    slow = TableEndpoint(small.tokenizer, Limits(384, 256, 0.4), pause_s=0.02)
    status, error = slow.refused("/v1/completions", prompt="Fever", max_tokens=200)
    assert (status, error["type"], error["code"]) == (504, "timeout_error", "timeout")
    assert error["message"] == "not finished after 0.4 s"
    response = slow.ask(
        "POST", "/v1/completions", json=COMPLETION | {"stream": True, "max_tokens": 200}
    )
    assert response.status_code == 200
    assert "not finished after 0.4 s" in response.text.split("data: ")[-1]
    assert slow.engine.running == 0


class Refuse:
    """A middleware of somebody else's, which raises what it is given."""

    def __init__(self, app: ASGIApp, error: Exception) -> None:
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise self._error


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (RequestError("slow down", status=429, retry_after_s=1.5), 429, "rate_limit_error"),
        (RequestError("too large", status=413), 413, "invalid_request_error"),
        (HTTPException(413, "too large"), 413, "invalid_request_error"),
        (KeyError("private"), 500, "server_error"),
    ],
)
def test_a_middleware_refuses_by_raising(
    endpoint: TableEndpoint, error: Exception, status: int, kind: str
) -> None:
    endpoint.api = create_api(endpoint.service, [Middleware(Refuse, error=error)])
    response = endpoint.ask("POST", "/v1/completions", json=COMPLETION)
    assert response.status_code == status
    assert response.json()["error"]["type"] == kind
    assert response.headers.get("retry-after") == ("2" if status == 429 else None)
    assert "private" not in response.text


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.sampled_from([MODEL, "user", "text", "\ud800", "float", "json_schema"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "prompt", "options", "regex", "choice"])
            | st.text(max_size=3),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
FIELDS = [
    *sorted({name for body in POSTS.values() for name in body}),
    "best_of", "echo", "guided_json", "logprobs", "n", "response_format", "seed", "stop", "stream",
    "stream_options", "structured_outputs", "suffix", "temperature", "tools", "top_logprobs",
    "top_p", "encoding_format", "add_special_tokens", "return_token_strs", "logit_bias",
]  # fmt: skip


@pytest.fixture(scope="module")
def fuzzed(small: Small) -> TableEndpoint:
    return TableEndpoint(small.tokenizer, adapters=["oncology"])


@settings(deadline=None, max_examples=400)
@given(data=st.data(), path=st.sampled_from(sorted(POSTS)))
def test_no_body_is_a_fault(fuzzed: TableEndpoint, data: st.DataObject, path: str) -> None:
    ask_something_wrong(fuzzed, data, path)


@pytest.mark.slow
@settings(deadline=None, max_examples=10_000)
@given(data=st.data(), path=st.sampled_from(sorted(POSTS)))
def test_ten_thousand_bodies_leave_it_well(
    fuzzed: TableEndpoint, data: st.DataObject, path: str
) -> None:
    ask_something_wrong(fuzzed, data, path)


def ask_something_wrong(fuzzed: TableEndpoint, data: st.DataObject, path: str) -> None:
    """A right body with some fields put wrong; JSON's own notation allows NaN and half pairs."""
    changed = data.draw(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3))
    content = json.dumps(POSTS[path] | changed).encode()
    response = fuzzed.ask(
        "POST", path, content=content, headers={"content-type": "application/json"}
    )
    assert response.status_code in (200, 400, 404)
    if response.status_code != 200:
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}
    elif "text/event-stream" in response.headers["content-type"]:
        assert response.text.endswith("data: [DONE]\n\n")


@settings(deadline=None, max_examples=100)
@given(content=st.binary(max_size=40), path=st.sampled_from(sorted(POSTS)))
def test_no_bytes_are_a_fault(fuzzed: TableEndpoint, content: bytes, path: str) -> None:
    response = fuzzed.ask(
        "POST", path, content=content, headers={"content-type": "application/json"}
    )
    assert response.status_code == 400


def test_after_all_that_the_endpoint_is_well(fuzzed: TableEndpoint) -> None:
    assert fuzzed.engine.running == 0
    assert fuzzed.post("/v1/completions", prompt="Fever", max_tokens=3)["choices"]
