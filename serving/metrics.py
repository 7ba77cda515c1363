"""What a replica counts and times, as Prometheus reads it. Never a text, a key or a user's name."""

from __future__ import annotations

import secrets
import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A first token comes after 10 ms (short prompt, idle) to minutes (full queue).
SECONDS_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """The numbers of one replica. Each has the label ``replica``, a random name.

    Replicas share one address, so a scrape meets any of them: the label keeps their series apart.
    """

    def __init__(self, engine: str) -> None:
        self._registry = CollectorRegistry()
        self._replica = secrets.token_hex(4)
        Gauge(
            "medray_engine_info",
            "1, with the engine that runs the model.",
            ["replica", "engine"],
            registry=self._registry,
        ).labels(self._replica, engine).set(1)
        self._requests = Counter(
            "medray_requests",
            "Requests answered to the end, by route and HTTP status.",
            ["replica", "route", "status"],
            registry=self._registry,
        )
        self._durations = Histogram(
            "medray_request_duration_seconds",
            "From the request's head to the last byte of its answer.",
            ["replica", "route"],
            buckets=SECONDS_BUCKETS,
            registry=self._registry,
        )
        self._in_flight = Gauge(
            "medray_requests_in_flight",
            "Requests that are being answered.",
            ["replica"],
            registry=self._registry,
        ).labels(self._replica)
        self._prompt_tokens = Counter(
            "medray_prompt_tokens",
            "Tokens of accepted prompts, each prompt once.",
            ["replica"],
            registry=self._registry,
        ).labels(self._replica)
        self._generated_tokens = Counter(
            "medray_generated_tokens",
            "Tokens generated, of every choice.",
            ["replica"],
            registry=self._registry,
        ).labels(self._replica)
        self._first_token = Histogram(
            "medray_time_to_first_token_seconds",
            "From the start of a request's generation to its first token.",
            ["replica"],
            buckets=SECONDS_BUCKETS,
            registry=self._registry,
        ).labels(self._replica)

    def prompt_accepted(self, tokens: int) -> None:
        self._prompt_tokens.inc(tokens)

    def tokens_generated(self, tokens: int) -> None:
        self._generated_tokens.inc(tokens)

    def first_token_after(self, seconds: float) -> None:
        self._first_token.observe(seconds)

    def request_begun(self) -> None:
        self._in_flight.inc()

    def request_ended(self, route: str, status: int, seconds: float) -> None:
        self._in_flight.dec()
        self._requests.labels(self._replica, route, str(status)).inc()
        self._durations.labels(self._replica, route).observe(seconds)

    def render(self) -> str:
        """Return all numbers in Prometheus' text format."""
        return generate_latest(self._registry).decode()


# What a request without an answer counts as: nginx's "client closed request".
CLIENT_GONE = 499


class Measured:
    """ASGI middleware: counts and times every request. The outermost, so refusals count too."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = CLIENT_GONE

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        begun = time.monotonic()
        self._metrics.request_begun()
        try:
            await self._app(scope, receive, observed)
        finally:
            # A path that is no route has one name, or anybody could make any number of series.
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.request_ended(route, status, time.monotonic() - begun)
