"""What keys may ask for, counted by a clock that the test moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.guard.keys import Quota
from serving.guard.ledger import DAY_S, Ledger, Verdict

NOON = 20_000 * DAY_S + DAY_S / 2


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def ledger_of(clock: Clock, **limits: int) -> Ledger:
    return Ledger({"ward": Quota(**limits)}, lease_s=600, now=clock)


def status(verdict: Verdict) -> int:
    return 200 if verdict.refusal is None else verdict.refusal.status


@given(
    steps=st.lists(st.floats(0, 90), min_size=1, max_size=60),
    most=st.integers(1, 5),
)
def test_no_minute_has_more_requests_than_its_quota(steps: list[float], most: int) -> None:
    clock = Clock()
    ledger = ledger_of(clock, requests_per_minute=most)
    taken: list[float] = []
    for number, step in enumerate(steps):
        clock.now += step
        recent = [time for time in taken if time > clock.now - 60]
        refusal = ledger.admit("ward", str(number)).refusal
        assert (refusal is None) == (len(recent) < most)
        if refusal is None:
            taken.append(clock.now)
        else:
            assert refusal.retry_after_s == pytest.approx(recent[-most] + 60 - clock.now)


def test_headers_tell_what_is_left(clock: Clock) -> None:
    ledger = ledger_of(clock, requests_per_minute=3, tokens_per_day=100)
    ledger.admit("ward", "a")
    ledger.finish("ward", "a", 30)
    clock.now += 10
    headers = ledger.admit("ward", "b").headers
    assert headers["x-ratelimit-limit-requests"] == "3"
    assert headers["x-ratelimit-remaining-requests"] == "1"
    assert headers["x-ratelimit-reset-requests"] == "50.000s"
    assert headers["x-ratelimit-limit-tokens"] == "100"
    assert headers["x-ratelimit-remaining-tokens"] == "70"
    assert headers["x-ratelimit-reset-tokens"] == f"{DAY_S / 2 - 10:.0f}s"


def test_tokens_are_counted_until_midnight(clock: Clock) -> None:
    ledger = ledger_of(clock, tokens_per_day=100)
    ledger.admit("ward", "a")
    ledger.finish("ward", "a", 150)
    verdict = ledger.admit("ward", "b")
    assert verdict.refusal is not None
    assert verdict.refusal.status == 429
    assert verdict.refusal.code == "insufficient_quota"
    assert verdict.refusal.retry_after_s == DAY_S / 2
    clock.now += DAY_S / 2
    assert status(ledger.admit("ward", "c")) == 200


def test_requests_at_once(clock: Clock) -> None:
    ledger = ledger_of(clock, concurrent_requests=2)
    assert [status(ledger.admit("ward", lease)) for lease in "abc"] == [200, 200, 429]
    ledger.finish("ward", "c", 0)  # was never taken
    assert status(ledger.admit("ward", "d")) == 429
    ledger.finish("ward", "a", 0)
    assert status(ledger.admit("ward", "e")) == 200
    # A replica that died with its requests gives nothing back.
    clock.now += 600
    assert status(ledger.admit("ward", "f")) == 200
