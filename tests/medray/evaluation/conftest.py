"""An endpoint of chosen answers: completions, chat and scores over real HTTP, in a thread."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from medray.evaluation.client import EndpointAddress


@dataclass
class ChosenEndpoint:
    """What the server answers, and what it was asked.

    ``log_likelihood`` gives a token's value from the prompt before it and the token; ``text`` the
    continuation of a prompt, or the answer to the last message. ``refusals`` are (status, body)
    answered first, one a request, with ``refusal_headers``. ``refuses`` says why a prompt is.
    ``usage``: what every answer tells. ``has_scores``: there is a /v1/score.
    """

    base_url: str = ""
    log_likelihood: Callable[[str, str], float | None] = lambda before, token: -1.0
    text: Callable[[str], str] = lambda prompt: ""
    refusals: list[tuple[int, str]] = field(default_factory=list)
    refusal_headers: dict[str, str] = field(default_factory=dict)
    refuses: Callable[[str], tuple[int, str] | None] = lambda prompt: None
    usage: dict[str, int] | None = None
    has_scores: bool = False
    paths: list[str] = field(default_factory=list)
    before_answer: Callable[[], object] = lambda: None
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    most_in_flight: int = 0
    in_flight: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def address(self) -> EndpointAddress:
        return EndpointAddress(self.base_url, "chosen", "CHOSEN_ENDPOINT_KEY")

    def take(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, str]:
        with self.lock:
            self.paths.append(path)
            self.bodies.append(body)
            self.headers.append(headers)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            refusal = self.refusals.pop(0) if self.refusals else None
        self.before_answer()
        with self.lock:
            self.in_flight -= 1
        return refusal or self.answer(path, body)

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, str]:
        if path == "/v1/score":
            if not self.has_scores:
                return 404, "no such route"
            return 200, json.dumps({"data": [self.score(each) for each in body["questions"]]})
        if refused := self.refuses(str(body.get("prompt") or body["messages"][-1]["content"])):
            return refused
        answer: dict[str, Any] = {"choices": self.choices(body)}
        return 200, json.dumps(answer | ({"usage": self.usage} if self.usage else {}))

    def score(self, question: dict[str, Any]) -> dict[str, Any]:
        values = [self.log_likelihood(question["prompt"], o) for o in question["options"]]
        return {"options": [{"logprob_sum": value} for value in values]}

    def choices(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        if "messages" in body:
            text = self.text(body["messages"][-1]["content"])
            return [{"index": 0, "message": {"content": text}, "finish_reason": "stop"}]
        if not body.get("echo"):
            return [{"index": 0, "text": self.text(body["prompt"]), "finish_reason": "stop"}]
        scored = [self.scored(prompt) for prompt in body["prompt"]]
        choices = [{"index": index, "logprobs": each} for index, each in enumerate(scored)]
        return choices[::-1]  # a client must go by the index

    def scored(self, prompt: str) -> dict[str, Any]:
        """Log-probabilities of tokens that are words with the blank before them."""
        found = list(re.finditer(r"\s*\S+", prompt))
        return {
            "tokens": [token[0] for token in found],
            "text_offset": [token.start() for token in found],
            "token_logprobs": [
                self.log_likelihood(prompt[: token.start()], token[0]) if token.start() else None
                for token in found
            ],
        }


@pytest.fixture
def chosen_endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChosenEndpoint]:
    monkeypatch.delenv("CHOSEN_ENDPOINT_KEY", raising=False)
    monkeypatch.setattr("medray.evaluation.client.FIRST_WAIT_S", 0.001)
    endpoint = ChosenEndpoint()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = endpoint.take(self.path, body, dict(self.headers.items()))
            self.send_response(status)
            for name, value in endpoint.refusal_headers.items() if status != 200 else ():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.encode())))
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    endpoint.base_url = f"http://127.0.0.1:{server.server_port}/v1"
    yield endpoint
    server.shutdown()
    server.server_close()
