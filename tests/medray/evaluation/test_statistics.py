from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.evaluation.statistics import macro_mean, mean, proportion

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


SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@settings(max_examples=20)
@given(SHARES)
def test_the_means_interval_holds_the_mean_and_lies_in_0_to_1(values: list[float]) -> None:
    found = mean(values)
    assert found["n"] == len(values)
    assert found["value"] == pytest.approx(sum(values) / len(values))
    assert 0 <= found["low"] <= found["value"] <= found["high"] <= 1
    assert found["low"] < found["high"]


@pytest.mark.parametrize("value", [-0.01, 1.01, 36.6, math.nan, math.inf])
def test_a_value_outside_0_to_1_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"outside 0\.\.1"):
        mean([0.5, value])
    with pytest.raises(ValueError, match=r"outside 0\.\.1"):
        macro_mean([[0.5], [0.25, value]])


def test_equal_values_claim_no_certainty() -> None:
    # Hoeffding's half-width sqrt(ln(2 / 0.05) / (2 n)): 1.358 of 1 value, 0.480 of 8, 0.192 of 50.
    assert mean([0.25]) == {"value": 0.25, "n": 1, "low": 0, "high": 1}
    zeros = mean([0.0] * 8)
    assert (zeros["value"], zeros["n"], zeros["low"]) == (0, 8, 0)
    assert zeros["high"] == pytest.approx(0.48017, abs=1e-5)
    halves = mean([0.5] * 50)
    assert (halves["low"], halves["high"]) == pytest.approx((0.30793, 0.69207), abs=1e-5)


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


def test_the_macro_mean_weighs_languages_alike_and_counts_items() -> None:
    found = macro_mean([[1.0, 0.0, 1.0, 1.0], [0.25], []])
    assert found["value"] == pytest.approx((0.75 + 0.25) / 2)
    assert (found["n"], found["languages"]) == (5, 2)
    assert 0 <= found["low"] < found["value"] < found["high"] <= 1


def test_the_macro_mean_of_nothing_is_nothing() -> None:
    assert macro_mean([]) == macro_mean([[], []]) == NOTHING | {"languages": 0}


def test_the_macro_mean_of_one_language_is_its_mean() -> None:
    for values in ([0.25, 0.5, 1.0], [0.5] * 4):
        assert macro_mean([values, []]) == mean(values) | {"languages": 1}


def test_the_macro_means_interval_comes_from_resampling_within_each_language() -> None:
    # The standard error of (a + b) / 2 with 400 and 100 items of a fair coin:
    # sqrt(0.25 / 400 + 0.25 / 100) / 2 = 0.02795. Resampling all 500 at once would give 0.0224.
    found = macro_mean([[0.0, 1.0] * 200, [0.0, 1.0] * 50])
    half_width = (found["high"] - found["low"]) / 2
    assert half_width == pytest.approx(1.96 * 0.02795, rel=0.08)
    # The languages' own levels add nothing to it: 0.2 and 0.8 differ, their items hardly.
    apart = macro_mean([[0.2] * 49 + [0.21], [0.8] * 49 + [0.81]])
    assert apart["high"] - apart["low"] < 0.001


def test_the_macro_mean_of_equal_values_has_hoeffdings_interval() -> None:
    # sqrt(ln(40) / 2 * (1 / (4 * 25) + 1 / (4 * 100))) = 0.15184.
    found = macro_mean([[0.2] * 25, [0.6] * 100])
    assert (found["value"], found["n"], found["languages"]) == (pytest.approx(0.4), 125, 2)
    assert (found["low"], found["high"]) == pytest.approx((0.24816, 0.55184), abs=1e-5)


def test_the_macro_mean_is_repeatable() -> None:
    groups = [[1 / n for n in range(1, 30)], [0.0, 1.0, 0.5]]
    assert macro_mean(groups) == macro_mean(groups)
    assert macro_mean(groups) != macro_mean(groups, seed=1)


def test_hoeffdings_interval_misses_the_mean_no_more_than_1_time_in_20() -> None:
    """Coins of 1 %: 92 of 100 samples of 8 are all tails, of which the bootstrap would be sure."""
    generator = np.random.default_rng(0)
    missed = 0
    for _ in range(400):
        values = (generator.random(8) < 0.01).astype(float).tolist()
        found = mean(values)
        missed += not found["low"] <= 0.01 <= found["high"]
    assert missed <= 0.05 * 400
