from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.intervals import proportion


# The score interval without continuity correction of Newcombe (1998), "Two-sided confidence
# intervals for the single proportion", Statistics in Medicine 17, table I, to four places.
@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilsons_interval_has_the_published_ends(
    successes: int, count: int, low: float, high: float
) -> None:
    found = proportion(successes, count)
    assert found["value"] == successes / count
    assert found["n"] == count
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilsons_ends_solve_its_equation(case: tuple[int, int]) -> None:
    successes, count = case
    found = proportion(successes, count)
    assert 0 <= found["low"] <= found["value"] <= found["high"] <= 1
    # Each end p lies z standard errors of p itself from the share: (share - p)^2 = z^2 p(1-p)/n.
    for end in (found["low"], found["high"]):
        distance = (found["value"] - end) ** 2
        assert math.isclose(
            distance, 1.959964**2 * end * (1 - end) / count, rel_tol=1e-5, abs_tol=1e-9
        )


@given(st.integers(1, 1000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_failures_mirror_successes(case: tuple[int, int]) -> None:
    successes, count = case
    right, wrong = proportion(successes, count), proportion(count - successes, count)
    assert right["low"] == pytest.approx(1 - wrong["high"], abs=1e-12)


def test_more_questions_narrow_the_interval() -> None:
    cases = [proportion(count // 4, count) for count in (8, 80, 800)]
    widths = [found["high"] - found["low"] for found in cases]
    assert widths == sorted(widths, reverse=True)
    # None of 8 is no proof of nothing: 8 / (8 + z^2) is not 1.
    assert proportion(0, 8)["high"] == pytest.approx(1.959964**2 / (8 + 1.959964**2))


def test_nothing_counted_is_nothing_measured() -> None:
    assert proportion(0, 0) == {"value": None, "n": 0, "low": None, "high": None}
