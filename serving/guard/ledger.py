"""Who has asked how much: one count for all replicas of an application."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from serving.guard.answers import Refusal
from serving.guard.keys import Quota

MINUTE_S = 60.0
DAY_S = 86_400.0
# When one of its requests may have ended, nobody can say.
CONCURRENCY_RETRY_S = 1.0


@dataclass(frozen=True)
class Verdict:
    """Whether a request is taken, and OpenAI's rate-limit headers of its answer."""

    refusal: Refusal | None
    headers: Mapping[str, str]


@dataclass
class _Account:
    """Of one key: when its requests came in the last minute, its day's tokens, open leases."""

    requests: deque[float] = field(default_factory=deque)
    day: int = 0
    tokens: int = 0
    leases: dict[str, float] = field(default_factory=dict)

    def forget(self, now: float) -> None:
        """Drop what lies too far back, and leases whose end a lost replica never told."""
        while self.requests and self.requests[0] <= now - MINUTE_S:
            self.requests.popleft()
        if self.day != int(now // DAY_S):
            self.day, self.tokens = int(now // DAY_S), 0
        for lease in [lease for lease, end in self.leases.items() if end <= now]:
            del self.leases[lease]


class Ledger:
    """Counts by key name. In memory: it begins at zero when its process does."""

    def __init__(
        self, quotas: Mapping[str, Quota], lease_s: float, now: Callable[[], float] = time.time
    ) -> None:
        """``lease_s``: a request that has not told its end after so long is not counted as open."""
        self._quotas = quotas
        self._lease_s = lease_s
        self._now = now
        self._accounts = {name: _Account() for name in quotas}

    def admit(self, name: str, lease: str) -> Verdict:
        """Count a request of key ``name``, or refuse it, uncounted.

        ``lease`` names the request until ``finish``.
        """
        quota, account, now = self._quotas[name], self._accounts[name], self._now()
        account.forget(now)
        refusal = _refusal(quota, account, now)
        if refusal is None:
            account.leases[lease] = now + self._lease_s
            if quota.requests_per_minute is not None:
                account.requests.append(now)
        return Verdict(refusal, _headers(quota, account, now))

    def finish(self, name: str, lease: str, tokens: int) -> None:
        """Note that an admitted request has ended and how many tokens it took."""
        account = self._accounts[name]
        account.forget(self._now())
        account.leases.pop(lease, None)
        account.tokens += tokens


class Accounts:
    """The ledger as a Serve deployment: one replica, without a CPU of its own."""

    def __init__(self, quotas: Mapping[str, Quota], lease_s: float) -> None:
        self._ledger = Ledger(quotas, lease_s)

    async def admit(self, name: str, lease: str) -> Verdict:
        return self._ledger.admit(name, lease)

    async def finish(self, name: str, lease: str, tokens: int) -> None:
        self._ledger.finish(name, lease, tokens)


def _refusal(quota: Quota, account: _Account, now: float) -> Refusal | None:
    def refusal(message: str, kind: str, code: str, wait_s: float) -> Refusal:
        return Refusal(429, message, kind, code, retry_after_s=wait_s)

    most = quota.concurrent_requests
    if most is not None and len(account.leases) >= most:
        text = f"this key has {most} requests under way, and may have no more"
        return refusal(text, "requests", "rate_limit_exceeded", CONCURRENCY_RETRY_S)
    most = quota.requests_per_minute
    if most is not None and len(account.requests) >= most:
        text = f"this key has made {most} requests in the last minute, and may make no more"
        return refusal(text, "requests", "rate_limit_exceeded", _minute_wait(account, now))
    most = quota.tokens_per_day
    if most is not None and account.tokens >= most:
        text = f"this key has used its {most} tokens of the day (UTC)"
        return refusal(text, "tokens", "insufficient_quota", _day_wait(now))
    return None


def _headers(quota: Quota, account: _Account, now: float) -> dict[str, str]:
    headers: dict[str, str] = {}
    if quota.requests_per_minute is not None:
        headers |= _limit_and_rest("requests", quota.requests_per_minute, len(account.requests))
        headers["x-ratelimit-reset-requests"] = f"{_minute_wait(account, now):.3f}s"
    if quota.tokens_per_day is not None:
        headers |= _limit_and_rest("tokens", quota.tokens_per_day, account.tokens)
        headers["x-ratelimit-reset-tokens"] = f"{_day_wait(now):.0f}s"
    return headers


def _limit_and_rest(kind: str, most: int, used: int) -> dict[str, str]:
    return {
        f"x-ratelimit-limit-{kind}": str(most),
        f"x-ratelimit-remaining-{kind}": str(max(0, most - used)),
    }


def _minute_wait(account: _Account, now: float) -> float:
    """Seconds until one more request is taken."""
    return account.requests[0] + MINUTE_S - now if account.requests else 0.0


def _day_wait(now: float) -> float:
    return DAY_S - now % DAY_S
