from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.evaluation.statistics import macro_mean, mean

NOTHING = {"value": None, "n": 0, "low": None, "high": None}


def test_nothing_asked_is_nothing_measured() -> None:
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
