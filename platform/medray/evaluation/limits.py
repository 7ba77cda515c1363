"""How hard an endpoint may be asked: requests and tokens a minute, and tokens in all."""

from __future__ import annotations

from aiolimiter import AsyncLimiter
from pydantic import Field

from medray.recipe import Config

MINUTE_S = 60.0


class BudgetSpentError(Exception):
    """A run has used the tokens that it may use; what was answered before is kept."""


class Limits(Config):
    """What a run keeps to: the first two are an endpoint's demands, the third is one's own."""

    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(
        default=None, ge=1, description="prompt and answer, estimated before a request is sent"
    )
    maximum_tokens: int | None = Field(
        default=None, ge=1, description="prompt and answer of a whole run, by the endpoint's count"
    )


class Throttle:
    """Keeps requests to ``Limits``: waits before one, counts after it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._requests = _limiter(limits.requests_per_minute)
        self._tokens = _limiter(limits.tokens_per_minute)
        self.used_tokens = 0

    async def before(self, estimated_tokens: int) -> None:
        """Wait until a request may be sent; BudgetSpentError where the budget is used up."""
        most = self._limits.maximum_tokens
        if most is not None and self.used_tokens >= most:
            raise BudgetSpentError(f"{self.used_tokens} tokens are used, {most} are allowed")
        if self._requests is not None:
            await self._requests.acquire()
        if self._tokens is not None:
            await self._tokens.acquire(min(estimated_tokens, self._tokens.max_rate))

    def after(self, used_tokens: int) -> None:
        self.used_tokens += used_tokens


def _limiter(per_minute: int | None) -> AsyncLimiter | None:
    """A leaky bucket that lets a second's worth through at once, not a whole minute's."""
    if per_minute is None:
        return None
    return AsyncLimiter(max(1.0, per_minute / MINUTE_S), max(1.0, MINUTE_S / per_minute))
