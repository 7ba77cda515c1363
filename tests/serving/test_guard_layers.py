"""The layers around the API, without Ray: bodies, keys, faults, the errors of Serve itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from ray.exceptions import TaskCancelledError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from serving.guard import door
from serving.guard.body import BodyLimit
from serving.guard.door import Door
from serving.guard.gate import Gate
from serving.guard.keys import Key, Keys
from serving.guard.record import AccessLog

SECRET = "the patient Emmeline Aldous"
LIMIT = BodyLimit(most_bytes=1000, timeout_s=0.2)


async def size(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def raise_it(request: Request) -> Response:
    raise ValueError(SECRET)


async def stream_and_raise(request: Request) -> Response:
    async def events() -> AsyncIterator[str]:
        yield "data: {}\n\n"
        raise ValueError(SECRET)

    return StreamingResponse(events(), media_type="text/event-stream")


@pytest.fixture
def gate(tmp_path: Path) -> Starlette:
    """Three routes behind a gate that knows one key."""
    app = Starlette(
        routes=[
            Route("/size", size, methods=["POST"]),
            Route("/raise", raise_it),
            Route("/stream", stream_and_raise),
        ]
    )
    keys = Keys((Key.of("ward", "right"),))
    log = AccessLog(tmp_path, "test")
    app.add_middleware(Gate, keys=keys, body_limit=LIMIT, accounts=None, log=log)
    return app


@pytest.fixture
def log(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    def read() -> list[dict[str, Any]]:
        [path] = tmp_path.glob("medray_access_*.log")
        return [json.loads(line) for line in path.read_text().splitlines()]

    return read


def ask(app: Any, method: str, path: str, key: str = "right", **options: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://here", headers=headers
        ) as client:
            return await client.request(method, path, **options)

    return asyncio.run(send())


async def pieces(count: int, pause_s: float = 0.0) -> AsyncIterator[bytes]:
    for _ in range(count):
        await asyncio.sleep(pause_s)
        yield b"x" * 100


def test_bodies_up_to_the_limit_pass_whole(gate: Starlette) -> None:
    assert ask(gate, "POST", "/size", content=b"x" * 1000).text == "1000"
    assert ask(gate, "POST", "/size", content=pieces(10)).text == "1000"
    assert ask(gate, "POST", "/size").text == "0"


def test_larger_and_slower_bodies_are_refused(gate: Starlette) -> None:
    for content in (b"x" * 1001, pieces(11)):
        answer = ask(gate, "POST", "/size", content=content)
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "body_too_large"
    answer = ask(gate, "POST", "/size", content=pieces(10, pause_s=0.1))
    assert answer.status_code == 408
    assert answer.json()["error"]["message"] == "the body did not arrive in 0.2 s"


def test_a_stranger_is_refused_before_the_body(gate: Starlette, log: Any) -> None:
    answer = ask(gate, "POST", "/size", key="wrong", content=pieces(10, pause_s=0.02))
    assert answer.status_code == 401
    assert [line["key"] for line in log()] == [None]


def test_a_fault_tells_neither_client_nor_log_what_it_says(gate: Starlette, log: Any) -> None:
    answer = ask(gate, "GET", "/raise")
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "server_error"
    streamed = ask(gate, "GET", "/stream")
    assert streamed.text.startswith("data: {}\n\n")
    assert json.loads(streamed.text.split("data: ")[-1])["error"]["code"] == "internal_error"
    assert SECRET not in answer.text + streamed.text
    lines = log()
    assert [line["outcome"] for line in lines] == ["failed", "failed"]
    assert all(line["error"].startswith("ValueError at ") for line in lines)
    assert [line["key"] for line in lines] == ["ward", "ward"]
    assert SECRET not in json.dumps(lines)


def test_a_client_that_serve_cannot_reach_has_gone(tmp_path: Path, log: Any) -> None:
    """Serve asks the proxy what the client does, and cancels that question with the request."""

    async def receive() -> Any:
        if not asked:
            asked.append("body")
            return {"type": "http.request", "body": b"{}", "more_body": False}
        raise TaskCancelledError

    async def wait_for_the_end(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    asked: list[str] = []
    gate = Gate(wait_for_the_end, None, LIMIT, None, AccessLog(tmp_path, "test"))
    asyncio.run(gate({"type": "http", "method": "POST", "path": "/", "headers": []}, receive, Any))
    assert [(line["outcome"], line["error"]) for line in log()] == [("cancelled", None)]


Inner = Callable[[Any, Any, Any], Awaitable[None]]


@pytest.fixture
def behind_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Inner], Door]:
    log = AccessLog(tmp_path, "proxy")
    monkeypatch.setattr(door.AccessLog, "of_serve", lambda *_, **__: log)
    return lambda inner: Door(inner, LIMIT)


@pytest.mark.parametrize(
    ("status", "headers", "told", "code"),
    [
        (503, {"retry-after": "7"}, 503, "queue_full"),
        (429, {}, 429, "queue_full"),
        (408, {}, 504, "timeout"),
        (500, {}, 500, "internal_error"),
    ],
)
def test_serves_own_errors_get_openais_shape(
    behind_door: Callable[[Inner], Door],
    status: int,
    headers: dict[str, str],
    told: int,
    code: str,
) -> None:
    serves = PlainTextResponse(SECRET, status, headers | {"x-request-id": "r1"})
    answer = ask(behind_door(serves), "POST", "/v1/completions", content=b"{}")
    assert answer.status_code == told
    assert answer.json()["error"]["code"] == code
    assert answer.headers["x-request-id"] == "r1"
    if told in (429, 503, 504):
        assert answer.headers["retry-after"] == headers.get("retry-after", "1")
    assert SECRET not in answer.text


@pytest.mark.parametrize(("routes", "status"), [({}, 503), ({"/m1": "app1"}, 404)])
def test_a_path_that_may_come_yet_is_asked_again(
    behind_door: Callable[[Inner], Door], routes: dict[str, str], status: int
) -> None:
    async def starting(scope: Any, receive: Any, send: Any) -> None:
        known = scope["path"] == "/-/routes"
        answer = JSONResponse(routes) if known else PlainTextResponse("not found", 404)
        await answer(scope, receive, send)

    answer = ask(behind_door(starting), "POST", "/v1/completions", content=b"{}")
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == ("no_model" if status == 503 else "not_found")
    assert ("retry-after" in answer.headers) == (status == 503)


def test_a_request_without_an_answer_may_be_sent_again(
    behind_door: Callable[[Inner], Door], log: Any
) -> None:
    async def silent(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    answer = ask(behind_door(silent), "POST", "/v1/completions", content=b"{}")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "replica_lost"
    assert answer.headers["retry-after"] == "1"
    assert [line["outcome"] for line in log()] == ["replica_lost"]


def test_a_stream_that_breaks_off_ends_with_an_error(behind_door: Callable[[Inner], Door]) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: {}\n\n", "more_body": True})

    answer = ask(behind_door(broken), "POST", "/v1/completions", content=b"{}")
    events = answer.text.split("\n\n")
    assert events[0] == "data: {}"
    assert json.loads(events[1].removeprefix("data: "))["error"]["code"] == "broken_off"


def test_a_client_cannot_lift_its_limits(behind_door: Callable[[Inner], Door]) -> None:
    seen: dict[bytes, bytes] = {}

    async def remember(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope["headers"])
        await PlainTextResponse("ok")(scope, receive, send)

    sent = {
        "x-request-timeout-seconds": "0",
        "X-Request-Disconnect-Disabled": "?1",
        "x-medray-arrived": "1",
        "x-request-id": "two words\x7f",
        "x-session-id": "s1",
    }
    assert ask(behind_door(remember), "POST", "/", headers=sent).text == "ok"
    assert b"x-request-timeout-seconds" not in seen
    assert b"x-request-disconnect-disabled" not in seen
    assert float(seen[b"x-medray-arrived"]) > 1
    assert len(seen[b"x-request-id"]) == 32
    assert seen[b"x-session-id"] == b"s1"
