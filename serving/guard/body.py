"""Bodies read in full before anything else is done with the request: not too large, in time.

A client that sends slowly so holds a connection, and neither a place in a queue nor a replica.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.types import Message, Receive, Scope, Send

from serving.guard.answers import Refusal, header, too_large, too_slow

# After a 413 the rest of the body is read and dropped for so long: closing a socket with unread
# bytes resets it, and the client would never see the answer.
DRAIN_S = 2.0


@dataclass(frozen=True)
class BodyLimit:
    """How many bytes a body may have, and how long it may take to come."""

    most_bytes: int
    timeout_s: float

    async def read(self, scope: Scope, receive: Receive) -> Body | Refusal:
        """Read the body, or say why not; never more than ``most_bytes`` are held."""
        declared = header(scope, b"content-length")
        if declared is not None and declared.isdigit() and int(declared) > self.most_bytes:
            return too_large(self.most_bytes)
        try:
            async with asyncio.timeout(self.timeout_s):
                return await self._read(receive)
        except TimeoutError:
            return too_slow(self.timeout_s)

    async def _read(self, receive: Receive) -> Body | Refusal:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return Body(b"".join(parts), receive, gone=True)
            part: bytes = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if size > self.most_bytes:
                return too_large(self.most_bytes)
            if not message.get("more_body", False):
                return Body(b"".join(parts), receive)


class Body:
    """A body that has been read, as the ``receive`` of the application behind.

    ``gone``: the client has disconnected.
    """

    def __init__(self, content: bytes, receive: Receive, *, gone: bool = False) -> None:
        self._content: bytes | None = content
        self._receive = receive
        self.gone = gone

    async def __call__(self) -> Message:
        if self._content is not None and not self.gone:
            content, self._content = self._content, None
            return {"type": "http.request", "body": content, "more_body": False}
        message = {"type": "http.disconnect"} if self.gone else await self._receive()
        self.gone = message["type"] == "http.disconnect"
        return message


async def refuse_unread(refusal: Refusal, receive: Receive, send: Send) -> None:
    """Answer before the body has been read, drop what comes of it, and end the answer."""
    await refusal.send(send, last=False)
    try:
        async with asyncio.timeout(DRAIN_S):
            while (message := await receive())["type"] == "http.request":
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})
