"""What every request to a replica passes: its record, its key, its body, its key's quota."""

from __future__ import annotations

import asyncio
import contextvars
import time
import uuid
from collections.abc import Awaitable
from typing import Any, Protocol

from ray.exceptions import TaskCancelledError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.guard.answers import Refusal, failed, header, no_key, uncounted
from serving.guard.body import BodyLimit, refuse_unread
from serving.guard.keys import Keys
from serving.guard.ledger import Verdict
from serving.guard.record import CURRENT, AccessLog, RequestRecord, place_of

# What a browser opens before it can send a key, and what a load balancer asks.
OPEN_PATHS = frozenset({"/health", "/", "/docs"})
# Longer than a replica of the accounts takes to come back.
ACCOUNTS_TIMEOUT_S = 10.0


class AccountsClient(Protocol):
    """Where requests of keys with quotas are counted."""

    async def admit(self, name: str, lease: str) -> Verdict:
        """Count a request of a key, or refuse it. ``lease`` names the request."""

    def finish(self, name: str, lease: str, tokens: int) -> None:
        """Tell that it has ended, without waiting."""


class ServeAccounts:
    """The accounts' deployment by its handle."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    async def admit(self, name: str, lease: str) -> Verdict:
        verdict: Verdict = await self._handle.admit.remote(name, lease)
        return verdict

    def finish(self, name: str, lease: str, tokens: int) -> None:
        # In a context of its own: Serve cancels the calls made on behalf of a cancelled request,
        # and the key would keep a request under way that is not.
        contextvars.Context().run(self._handle.finish.remote, name, lease, tokens)


class Watched:
    """``send`` with an eye on what goes through; adds ``headers`` to the answer."""

    def __init__(self, send: Send, record: RequestRecord) -> None:
        self._send = send
        self._record = record
        self._since = time.perf_counter()
        self.headers: dict[str, str] = {}
        self.started = self.complete = self.stream = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self._record.status = message["status"]
            self.stream = (header(message, b"content-type") or "").startswith("text/event-stream")
            added = [(name.encode(), value.encode()) for name, value in self.headers.items()]
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        elif message["type"] == "http.response.body":
            if self._record.first_byte_s is None:
                self._record.first_byte_s = time.perf_counter() - self._since
            self.complete = not message.get("more_body", False)
        await self._send(message)


class Gate:
    """ASGI middleware of one replica."""

    def __init__(
        self,
        app: ASGIApp,
        keys: Keys | None,
        body_limit: BodyLimit,
        accounts: AccountsClient | None,
        log: AccessLog,
    ) -> None:
        self._app = app
        self._keys = keys
        self._counted = frozenset(keys.quotas if keys else ())
        self._body_limit = body_limit
        self._accounts = accounts
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = RequestRecord.begin(scope)
        answer = Watched(send, record)
        token = CURRENT.set(record)
        try:
            await self._pass(scope, _heard(receive), answer, record)
            if not answer.complete:
                record.outcome = "cancelled"
        except asyncio.CancelledError:
            record.outcome = "cancelled"
            raise
        except Exception as error:  # noqa: BLE001 - its message, which may repeat a prompt, ends here
            record.outcome, record.error = "failed", place_of(error)
            if not answer.started:
                await failed().send(answer)
            elif answer.stream:
                await answer({"type": "http.response.body", "body": failed().event})
        finally:
            CURRENT.reset(token)
            record.route = getattr(scope.get("route"), "path", "")
            self._log.write(record)

    async def _pass(
        self, scope: Scope, receive: Receive, answer: Watched, record: RequestRecord
    ) -> None:
        if self._keys is not None and not _open(scope):
            record.key = self._keys.name_of(_sent_key(scope))
            if record.key is None:
                await refuse_unread(no_key(), receive, answer)
                return
        body = await self._body_limit.read(scope, receive)
        if isinstance(body, Refusal):
            await refuse_unread(body, receive, answer)
        elif record.key in self._counted and self._accounts is not None:
            await self._count(record.key or "", self._accounts, scope, body, answer, record)
        else:
            await self._app(scope, body, answer)

    async def _count(
        self,
        name: str,
        accounts: AccountsClient,
        scope: Scope,
        receive: Receive,
        answer: Watched,
        record: RequestRecord,
    ) -> None:
        """Answer within the quota of key ``name``."""
        lease = uuid.uuid4().hex
        refused = False
        try:
            verdict = await _in_time(accounts.admit(name, lease))
            answer.headers |= verdict.headers
            if verdict.refusal is not None:
                refused = True
                await verdict.refusal.send(answer)
            else:
                await self._app(scope, receive, answer)
        finally:
            # Also when cancelled while it was being admitted: it may have been.
            if not refused:
                accounts.finish(name, lease, record.tokens)


async def _in_time(verdict: Awaitable[Verdict]) -> Verdict:
    """Return the verdict; where the accounts do not answer, one that refuses."""
    try:
        return await asyncio.wait_for(verdict, ACCOUNTS_TIMEOUT_S)
    except TimeoutError:
        return Verdict(uncounted(), {})


def _heard(receive: Receive) -> Receive:
    """Return ``receive``, which tells of a client that Serve can no longer reach as of one gone.

    Serve asks the proxy for the client's messages by a call on behalf of the request. When the
    request is cancelled, that call is too, and was seen to end first in 39 of 150 lost clients.
    """

    async def heard() -> Message:
        try:
            return await receive()
        except TaskCancelledError:
            return {"type": "http.disconnect"}

    return heard


def _open(scope: Scope) -> bool:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")) in OPEN_PATHS


def _sent_key(scope: Scope) -> str:
    sent = (header(scope, b"authorization") or "").encode("latin-1").decode(errors="replace")
    scheme, _, key = sent.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""
