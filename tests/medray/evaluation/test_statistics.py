from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.evaluation.metrics.counts import f1, macro
from medray.evaluation.statistics import (
    macro_mean,
    macro_of_sums,
    mean,
    of_sums,
    ratio,
    resampled_sums,
)

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


COUNTS = st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=1, max_size=20)


@settings(max_examples=20)
@given(COUNTS)
def test_the_interval_of_summed_counts_holds_the_value_and_lies_in_0_to_1(
    counts: list[tuple[int, int, int]],
) -> None:
    found = of_sums(counts, f1)
    assert found["n"] == len(counts)
    assert found["value"] == pytest.approx(float(f1(np.sum(counts, axis=0))))
    assert 0 <= found["low"] <= found["value"] <= found["high"] <= 1
    assert found["low"] < found["high"]
    turned = of_sums(counts[::-1], f1)
    assert turned["value"] == pytest.approx(found["value"])
    assert macro_of_sums([counts, []], f1) == found | {"languages": 1}


def test_the_interval_of_a_ratio_of_ones_is_the_means() -> None:
    values = [1 / n for n in range(1, 400)]
    found, expected = ratio(values, [1.0] * len(values)), mean(values)
    assert found["value"] == pytest.approx(expected["value"])
    assert found["low"] == pytest.approx(expected["low"], rel=0.05)
    assert found["high"] == pytest.approx(expected["high"], rel=0.05)


def test_the_interval_of_micro_f1_is_as_wide_as_repeated_samples_say() -> None:
    """1000 corpora of 200 texts from one source: their F1s spread as wide as one interval."""
    generator = np.random.default_rng(3)

    def corpus() -> np.ndarray:
        sizes = generator.poisson(3, 200)
        hits = generator.binomial(sizes, 0.7)
        return np.column_stack([hits, generator.poisson(1, 200), sizes - hits])

    spread = np.percentile([float(f1(corpus().sum(axis=0))) for _ in range(1000)], [2.5, 97.5])
    found = of_sums(corpus(), f1)
    assert found["high"] - found["low"] == pytest.approx(spread[1] - spread[0], rel=0.15)


def test_equal_items_claim_no_certainty_of_their_f1() -> None:
    # Wilson's interval of 8 of 8 begins at 0.6756, of 1 of 1 at 0.2065.
    assert of_sums([[2, 0, 0]] * 8, f1)["low"] == pytest.approx(0.67559, abs=1e-5)
    one = of_sums([[3, 0, 0]], f1)
    assert (one["value"], one["high"]) == (1, 1)
    assert one["low"] == pytest.approx(0.20654, abs=1e-5)


def test_macro_statistics_weigh_languages_alike_and_are_repeatable() -> None:
    groups = [[[1, 0, 0], [3, 1, 2], [0, 1, 1]] * 5, [[0, 1, 1], [1, 1, 0]] * 3, []]
    found = macro_of_sums(groups, f1)
    expected = (float(f1(np.sum(groups[0], axis=0))) + float(f1(np.sum(groups[1], axis=0)))) / 2
    assert found["value"] == pytest.approx(expected)
    assert (found["n"], found["languages"]) == (21, 2)
    assert found == macro_of_sums(groups, f1)
    assert found != macro_of_sums(groups, f1, seed=1)


def test_statistics_of_no_items_are_nothing() -> None:
    assert of_sums(np.zeros((0, 3)), f1) == ratio([], []) == NOTHING
    assert macro_of_sums([], f1) == NOTHING | {"languages": 0}


def test_label_counts_keep_their_shape_through_resampling() -> None:
    counts = np.random.default_rng(0).integers(0, 2, (60, 4, 3))
    found = of_sums(counts, macro(f1))
    assert found["low"] < found["value"] < found["high"]
    sums = resampled_sums(counts.astype(float), np.random.default_rng(0), samples=7)
    assert sums.shape == (7, 4, 3)


def test_resamples_draw_as_many_items_as_there_are() -> None:
    """More items than one block of numbers holds at a time are drawn row by row."""
    items = np.ones((50, 1))
    sums = resampled_sums(items, np.random.default_rng(0), samples=3)
    assert sums.tolist() == [[50.0]] * 3
    values = np.arange(1000.0)[:, None]
    sums = resampled_sums(values, np.random.default_rng(0))
    assert sums.mean() == pytest.approx(values.sum(), rel=0.01)
    assert sums.std() == pytest.approx(values.std() * np.sqrt(1000), rel=0.1)
