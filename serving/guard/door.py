"""What stands before Ray Serve's own proxy: bodies, its errors, health, streams that broke off.

Serve builds this in every proxy, and in every replica that HAProxy reaches directly, from the
environment variables below; it has no other way to put a middleware there.
"""

from __future__ import annotations

import os
import re
import time
import uuid

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.guard.answers import Refusal, broken_off, failed, header, lost, no_model, of_serve
from serving.guard.body import BodyLimit, refuse_unread
from serving.guard.health import HealthBoard
from serving.guard.record import ARRIVED_HEADER, AccessLog, RequestRecord, place_of

# Ray Serve's variable, and what it is to call.
CALLBACK_VARIABLE = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
CALLBACK = "serving.guard.door.middlewares"
BODY_BYTES_VARIABLE = "MEDRAY_DOOR_BODY_BYTES"
BODY_TIMEOUT_VARIABLE = "MEDRAY_DOOR_BODY_TIMEOUT_S"
# Serve gives a proxy up that is not ready after 5 s; on two cores under a load of 18, none was.
READY_VARIABLE = "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S"
READY_S = "60"

# Headers by which a client would tell Serve to forget the time limit, to go on after a disconnect,
# or that it came earlier than it did.
DROPPED_HEADERS = frozenset(
    {
        b"x-request-timeout-seconds",
        b"x-request-disconnect-disabled",
        b"serve_multiplexed_model_id",
        b"serve-multiplexed-model-id",
        ARRIVED_HEADER,
    }
)
REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)


def environment(body_limit: BodyLimit) -> dict[str, str]:
    """Return the variables that put the door before a proxy."""
    return {
        CALLBACK_VARIABLE: CALLBACK,
        BODY_BYTES_VARIABLE: str(body_limit.most_bytes),
        BODY_TIMEOUT_VARIABLE: str(body_limit.timeout_s),
        READY_VARIABLE: READY_S,
    }


def middlewares() -> list[Middleware]:
    """Called by Ray Serve when a proxy starts."""
    limit = BodyLimit(
        int(os.environ.get(BODY_BYTES_VARIABLE, 8 * 2**20)),
        float(os.environ.get(BODY_TIMEOUT_VARIABLE, 30)),
    )
    return [Middleware(Door, body_limit=limit)]


class Door:
    """ASGI middleware around Serve's proxy."""

    def __init__(self, app: ASGIApp, body_limit: BodyLimit) -> None:
        self._app = app
        self._body_limit = body_limit
        self._health = HealthBoard(app)
        self._log = AccessLog.of_serve("proxy", by="proxy")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if await self._health.answer(scope, send):
            return
        scope = {**scope, "headers": _clean(scope)}
        record = RequestRecord.begin(scope)
        answer = Screen(send)
        body = await self._body_limit.read(scope, receive)
        if isinstance(body, Refusal):
            answer.refused = body
            await refuse_unread(body, receive, send)
        else:
            try:
                await self._app(scope, body, answer)
                if answer.found_no_route and not await self._health.routes(scope):
                    answer.refused = no_model()
            except Exception as error:  # noqa: BLE001 - its message may repeat what the client sent
                record.error = place_of(error)
            finally:
                if not body.gone:
                    await answer.finish(broken=record.error is not None)
                elif not answer.status:  # it left the queue, or its replica tells of it
                    record.outcome = "cancelled"
                    self._log.write(record)
        if answer.refused is not None:
            record.status = answer.status or answer.refused.status
            record.outcome = answer.refused.code
            self._log.write(record)


def _clean(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return the headers with an id and the time of arrival, without what a client may not say."""
    request_id = header(scope, b"x-request-id") or ""
    if not REQUEST_ID.fullmatch(request_id):
        request_id = uuid.uuid4().hex
    kept = [
        (name, value)
        for name, value in scope["headers"]
        # Serve decodes these; bytes that are no ASCII would be its error, not the client's.
        if name.lower() not in DROPPED_HEADERS and name.lower() != b"x-request-id"
        if name.isascii() and (value.isascii() or b"session" not in name.lower())
    ]
    return [
        *kept,
        (b"x-request-id", request_id.encode()),
        (ARRIVED_HEADER, f"{time.time():.6f}".encode()),
    ]


class Screen:
    """``send`` that puts OpenAI's error shape in the place of Serve's plain text."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._began = time.monotonic()
        self._held: Message | None = None
        self._started = self._complete = self._stream = False
        self.status = 0
        # What was answered here, if anything.
        self.refused: Refusal | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            kind = header(message, b"content-type") or ""
            if message["status"] >= 400 and kind.startswith("text/plain"):
                self._held = message
                return
            self._started = True
            self.status = message["status"]
            self._stream = kind.startswith("text/event-stream")
        elif message["type"] == "http.response.body":
            if self._held is not None:
                return
            self._complete = not message.get("more_body", False)
        await self._send(message)

    @property
    def found_no_route(self) -> bool:
        """Serve's proxy has said that no application has the path."""
        return self._held is not None and self._held["status"] == 404

    async def finish(self, *, broken: bool) -> None:
        """Answer what Serve left without an answer, or without an end.

        ``broken``: Serve itself raised an error. A started answer that is no stream is left as it
        is: the server then closes the connection, and the client sees that something is missing.
        """
        seconds = time.monotonic() - self._began
        if self._held is not None:
            waited = header(self._held, b"retry-after")
            self.refused = self.refused or of_serve(self._held["status"], waited, seconds)
            await self.refused.send(self._with_id)
        elif not self._started:
            self.refused = failed() if broken else lost()
            await self.refused.send(self._send)
        elif not self._complete:
            self.refused = broken_off(seconds)
            if self._stream:
                await self._send({"type": "http.response.body", "body": self.refused.event})

    async def _with_id(self, message: Message) -> None:
        """Keep the request's id, which Serve adds to the start of every answer."""
        if message["type"] == "http.response.start" and self._held is not None:
            ids = [pair for pair in self._held["headers"] if pair[0].lower() == b"x-request-id"]
            message = {**message, "headers": [*message["headers"], *ids]}
        await self._send(message)
