"""What the guard itself answers, in OpenAI's error shape.

Ray Serve's proxy imports this: nothing here may load a model library.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.types import Message, Send


@dataclass(frozen=True)
class Refusal:
    """An answer instead of the one that was asked for.

    ``kind`` and ``code`` are OpenAI's ``type`` and ``code``; ``retry_after_s`` None: trying again
    does not help.
    """

    status: int
    message: str
    kind: str
    code: str
    retry_after_s: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """Return {"error": {"message", "type", "param", "code"}} as JSON."""
        error = {"message": self.message, "type": self.kind, "param": None, "code": self.code}
        return json.dumps({"error": error}, separators=(",", ":")).encode()

    @property
    def event(self) -> bytes:
        """Return the same as the last event of a stream whose status has been sent."""
        return b"data: " + self.body + b"\n\n"

    async def send(self, send: Send, *, last: bool = True) -> None:
        """Answer; ``last`` False leaves the answer open by an empty rest."""
        headers = {"content-type": "application/json", "content-length": str(len(self.body))}
        if self.retry_after_s is not None:
            headers["retry-after"] = str(max(1, math.ceil(self.retry_after_s)))
        headers |= self.headers
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": encoded})
        await send({"type": "http.response.body", "body": self.body, "more_body": not last})


def no_key() -> Refusal:
    """Return the answer to a request without a key that is known."""
    return Refusal(
        401,
        "no valid API key: send it as 'Authorization: Bearer KEY'",
        "authentication_error",
        "invalid_api_key",
        headers={"www-authenticate": "Bearer"},
    )


def too_large(most: int) -> Refusal:
    """Return the answer to a body of more than ``most`` bytes."""
    message = f"the body is larger than the {most} bytes that are taken"
    return Refusal(
        413, message, "invalid_request_error", "body_too_large", headers={"connection": "close"}
    )


def too_slow(seconds: float) -> Refusal:
    """Return the answer to a body that did not come in time."""
    return Refusal(
        408,
        f"the body did not arrive in {seconds:g} s",
        "timeout_error",
        "body_timeout",
        headers={"connection": "close"},
    )


def failed() -> Refusal:
    """Return the answer where the program is at fault. The message tells nothing of the request."""
    return Refusal(500, "the server failed on this request", "server_error", "internal_error")


def uncounted() -> Refusal:
    """Return the answer where the accounts of the keys do not answer."""
    message = "requests of this key cannot be counted now; send it again"
    return Refusal(503, message, "server_error", "accounts_unavailable", retry_after_s=1)


def lost() -> Refusal:
    """Return the answer to a request whose replica ended while it worked on it."""
    message = "the replica that worked on this request was lost; send it again"
    return Refusal(503, message, "server_error", "replica_lost", retry_after_s=1)


def no_model() -> Refusal:
    """Return the answer of a proxy that knows no application: its cluster has just started."""
    message = "no model is served here yet; send it again later"
    return Refusal(503, message, "server_error", "no_model", retry_after_s=1)


def broken_off(seconds: float) -> Refusal:
    """Return the last event of a stream that its replica did not end."""
    message = f"the stream broke off after {seconds:.1f} s: its replica was lost, or its time over"
    return Refusal(503, message, "server_error", "broken_off", retry_after_s=1)


def late(seconds: float) -> Refusal:
    """Return the answer to a request that took, waiting included, longer than it may."""
    message = f"not finished {seconds:.0f} s after it came"
    return Refusal(504, message, "timeout_error", "timeout", retry_after_s=1)


def of_serve(status: int, retry_after: str | None, seconds: float) -> Refusal:
    """Return the answer that stands for a plain-text error of Ray Serve itself.

    ``seconds``: since the request came.
    """
    wait = float(retry_after) if retry_after and retry_after.isdigit() else 1.0
    if status == 404:
        return Refusal(404, "no such route", "not_found_error", "not_found")
    if status == 408:
        return late(seconds)
    if status in (429, 503):
        message = "all replicas are busy and the queue is full; send it again later"
        return Refusal(status, message, "server_error", "queue_full", retry_after_s=wait)
    return failed() if status >= 500 else Refusal(status, "refused", "invalid_request_error", "")


def header(message: Message, name: bytes) -> str | None:
    """Return a header of an ASGI scope or of the start of an answer."""
    for key, value in message.get("headers", ()):
        if key.lower() == name:
            text: str = value.decode("latin-1")
            return text
    return None
