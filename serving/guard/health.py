"""`/health` answered by the proxy, from what Serve's controller says: it waits in no queue.

So a probe learns whether requests can be served, not how long the queue is; it wakes no model that
has been scaled to zero; and a replica whose engine has died shows as soon as Serve's own check of
the replica, every two seconds, has found it.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import Any

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from starlette.types import ASGIApp, Message, Scope, Send

HEALTH = "/health"
# How old what is told may be, and how long the controller may take: while it is restarted, replicas
# go on serving, and the last known state is told.
FRESH_S = 1.0
CONTROLLER_TIMEOUT_S = 2.0
# RECOVERING: a replica that goes on working while a new controller gets to know it.
ANSWERING = ("RUNNING", "RECOVERING", "PENDING_MIGRATION")


class HealthBoard:
    """Knows which applications of the proxy behind can answer."""

    def __init__(self, proxy: ASGIApp) -> None:
        self._proxy = proxy
        self._states: dict[str, bool] = {}
        self._read_at = -FRESH_S
        self._reading = asyncio.Lock()

    async def answer(self, scope: Scope, send: Send) -> bool:
        """Answer a request for the health of an application; say False where it is another."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if scope["method"] not in ("GET", "HEAD") or not path.endswith(HEALTH):
            return False
        routes = await self.routes(scope)
        application = routes.get(path.removesuffix(HEALTH) or "/")
        if application is None:
            return False
        well = await self._well(application)
        body = json.dumps({"status": "ok" if well else "unavailable"}).encode()
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        await send(
            {"type": "http.response.start", "status": 200 if well else 503, "headers": headers}
        )
        await send(
            {"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body}
        )
        return True

    async def routes(self, scope: Scope) -> dict[str, str]:
        """Ask the proxy for its applications by route; none while it is starting or draining."""
        parts: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def keep(message: Message) -> None:
            parts.append(message)

        path = scope.get("root_path", "") + "/-/routes"
        asked = {**scope, "method": "GET", "path": path, "raw_path": path.encode(), "headers": []}
        await self._proxy(asked, receive, keep)
        if not parts or parts[0].get("status") != 200:
            return {}
        routes: dict[str, str] = json.loads(b"".join(part.get("body", b"") for part in parts))
        return routes

    async def _well(self, application: str) -> bool:
        """Say whether ``application`` can answer; one that is not known yet cannot."""
        async with self._reading:
            if time.monotonic() - self._read_at >= FRESH_S:
                with suppress(TimeoutError, RayError, RayServeException):
                    reading = asyncio.to_thread(_states)
                    # Those that are gone have no route.
                    self._states |= await asyncio.wait_for(reading, CONTROLLER_TIMEOUT_S)
                self._read_at = time.monotonic()
        return self._states.get(application, False)


def _states() -> dict[str, bool]:
    states = {name: _serves(state) for name, state in serve.status().applications.items()}
    return {name: serves for name, serves in states.items() if serves is not None}


def _serves(application: Any) -> bool | None:
    """A replica of each deployment answers, or all is as it should be (scaled to zero).

    None: that is not known, for a controller that has just come back lists no replicas.
    """
    if application.status == "RUNNING":
        return True
    replicas = [deployment.replica_states for deployment in application.deployments.values()]
    if not all(any(states.values()) for states in replicas):
        return None
    return all(any(states.get(state, 0) for state in ANSWERING) for states in replicas)
