"""How a judge is reached: one small seam, and an OpenAI-compatible chat endpoint behind it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from medray.evaluation.client import Client, EndpointAddress, EndpointError

Messages = Sequence[Mapping[str, str]]
# The request itself is refused (too long, filtered): asking again would not help, others may pass.
_CONTENT_STATUS = re.compile(r": (?:400|413|422): ")


@dataclass(frozen=True)
class Reply:
    """A judge's answer; token counts are None where the endpoint tells none."""

    text: str
    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None


class Asker(Protocol):
    """Whatever answers chat messages. Raises EndpointError where it does not."""

    async def chat(self, messages: Messages, settings: Mapping[str, Any]) -> Reply: ...


class OpenAsker(Protocol):
    """Opens an asker for the time of a run; a test or another client may stand in."""

    def __call__(self) -> AbstractAsyncContextManager[Asker]: ...


class ChatClient(Client):
    """The client of completions, asking /chat/completions."""

    def __init__(self, address: EndpointAddress, concurrency: int, timeout_s: float) -> None:
        base_url = f"{address.base_url.rstrip('/')}/chat"
        super().__init__(replace(address, base_url=base_url), concurrency, timeout_s)

    async def __aenter__(self) -> ChatClient:
        return self

    async def chat(self, messages: Messages, settings: Mapping[str, Any]) -> Reply:
        """Ask once; ``settings`` go into the request as they are."""
        try:
            answer = await self._post({"messages": [dict(m) for m in messages], **settings})
            choice = answer["choices"][0]
            usage = answer.get("usage") or {}
            return Reply(
                choice["message"]["content"] or "",
                str(choice.get("finish_reason") or ""),
                usage.get("prompt_tokens"),
                usage.get("completion_tokens"),
            )
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            told = f"{type(error).__name__}: {error}"
            raise EndpointError(f"{self.address.base_url}: no chat completion ({told})") from error


def refuses_content(error: EndpointError) -> bool:
    """Say whether this one request was refused, where others may be answered."""
    return _CONTENT_STATUS.search(str(error)) is not None
