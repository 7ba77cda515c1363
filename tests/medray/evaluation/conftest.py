"""An endpoint of chosen answers: /v1/completions over real HTTP, in a thread of the test."""

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
    continuation of a prompt. ``refusals`` are (status, body) answered first, one a request.
    """

    base_url: str = ""
    log_likelihood: Callable[[str, str], float | None] = lambda before, token: -1.0
    text: Callable[[str], str] = lambda prompt: ""
    refusals: list[tuple[int, str]] = field(default_factory=list)
    before_answer: Callable[[], object] = lambda: None
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    most_in_flight: int = 0
    in_flight: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def address(self) -> EndpointAddress:
        return EndpointAddress(self.base_url, "chosen", "CHOSEN_ENDPOINT_KEY")

    def take(self, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, str]:
        with self.lock:
            self.bodies.append(body)
            self.headers.append(headers)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            refusal = self.refusals.pop(0) if self.refusals else None
        self.before_answer()
        with self.lock:
            self.in_flight -= 1
        return refusal or (200, json.dumps({"choices": self.choices(body)}))

    def choices(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        if not body.get("echo"):
            return [{"index": 0, "text": self.text(body["prompt"])}]
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
            assert self.path == "/v1/completions"
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = endpoint.take(body, dict(self.headers.items()))
            self.send_response(status)
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
