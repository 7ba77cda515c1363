from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.evaluation.statistics import mean, proportion

NOTHING = {"value": None, "n": 0, "low": None, "high": None}


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


def test_nothing_asked_is_nothing_measured() -> None:
    assert proportion(0, 0) == NOTHING
    assert mean([]) == NOTHING


VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20)


@settings(max_examples=20)
@given(VALUES)
def test_the_bootstraps_interval_lies_within_the_values(values: list[float]) -> None:
    found = mean(values)
    assert found["n"] == len(values)
    assert found["value"] == pytest.approx(sum(values) / len(values), abs=1e-6)
    slack = 1e-6
    assert min(values) - slack <= found["low"] <= found["high"] <= max(values) + slack


def test_one_value_has_no_spread() -> None:
    assert mean([0.25]) == {"value": 0.25, "n": 1, "low": 0.25, "high": 0.25}
    assert mean([0.5] * 9) == {"value": 0.5, "n": 9, "low": 0.5, "high": 0.5}


def test_the_bootstrap_is_repeatable() -> None:
    values = [1 / n for n in range(1, 30)]
    assert mean(values) == mean(values)
    assert mean(values, seed=1) != mean(values, seed=2)


def test_the_bootstraps_interval_is_that_of_the_normal_for_many_values() -> None:
    values = [(i * 7919 % 1000) / 1000 for i in range(1000)]  # 0, 0.001, ..., 0.999, shuffled
    found = mean(values)
    error = math.sqrt(1 / 12) / math.sqrt(1000)
    half_width = (found["high"] - found["low"]) / 2
    assert half_width == pytest.approx(1.96 * error, rel=0.1)
    assert found["low"] < found["value"] < found["high"]
