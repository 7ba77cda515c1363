"""How a judge is reached: one small seam, which the client of OpenAI-compatible endpoints fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from medray.evaluation.client import Reply

Messages = Sequence[Mapping[str, str]]


class Asker(Protocol):
    """Whatever answers chat messages. Raises EndpointError where it does not."""

    async def chat(self, messages: Messages, settings: Mapping[str, Any]) -> Reply: ...


class OpenAsker(Protocol):
    """Opens an asker for a run: ``partial(Client, address, concurrency, timeout_s)``."""

    def __call__(self) -> AbstractAsyncContextManager[Asker]: ...
