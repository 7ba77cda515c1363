from __future__ import annotations

import asyncio
import time

import pytest

from medray.evaluation.limits import BudgetSpentError, Limits, Throttle


def seconds_of(limits: Limits, requests: int, tokens: int) -> float:
    async def ask() -> float:
        throttle = Throttle(limits)
        started = time.monotonic()
        for _ in range(requests):
            await throttle.before(tokens)
        return time.monotonic() - started

    return asyncio.run(ask())


def test_without_limits_nothing_waits() -> None:
    assert seconds_of(Limits(), 1000, 10**9) < 1


def test_requests_and_tokens_a_minute_are_kept() -> None:
    # 600 a minute are 10 a second: the first ten at once, the next five in half a second more.
    assert seconds_of(Limits(requests_per_minute=600), 15, 1) >= 0.4
    # 6,000 tokens a minute are 100 a second; 150 more than the first second's take 1.5 s.
    assert seconds_of(Limits(tokens_per_minute=6000), 5, 50) >= 1.4
    # A request larger than a second's worth is let through when the bucket is empty.
    assert seconds_of(Limits(tokens_per_minute=600), 1, 10**6) < 5


def test_a_budget_ends_a_run() -> None:
    async def ask() -> None:
        throttle = Throttle(Limits(maximum_tokens=100))
        await throttle.before(50)
        throttle.after(99)
        await throttle.before(50)
        throttle.after(1)
        await throttle.before(50)

    with pytest.raises(BudgetSpentError, match="100 tokens are used, 100 are allowed"):
        asyncio.run(ask())
