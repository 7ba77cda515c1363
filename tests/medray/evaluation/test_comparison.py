from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from medray.evaluation.comparison import (
    compare_macro_means,
    compare_macro_sums,
    compare_means,
    compare_sums,
    holm,
    with_holm,
)
from medray.evaluation.metrics.counts import f1, macro

Counts = Callable[[int, float], np.ndarray]
NOTHING = {"difference": None, "n": 0, "low": None, "high": None, "p_value": None, "test": None}


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def counts(generator: np.random.Generator) -> Counts:
    """Makes (texts, 3): hits, false ones and missed ones of some three entities a text."""

    def make(texts: int, hit: float) -> np.ndarray:
        sizes = generator.poisson(3, texts)
        hits = generator.binomial(sizes, hit)
        return np.column_stack([hits, generator.poisson(1, texts), sizes - hits])

    return make


def test_right_and_wrong_answers_are_compared_by_mcnemars_exact_test() -> None:
    # The first alone is right on 12 items, the second alone on 3: 2 P(X <= 3 of 15) = 0.0352.
    first = [1.0] * 40 + [1.0] * 12 + [0.0] * 3 + [0.0] * 45
    second = [1.0] * 40 + [0.0] * 12 + [1.0] * 3 + [0.0] * 45
    found = compare_means(first, second)
    assert found["difference"] == pytest.approx(0.09)
    assert (found["n"], found["test"]) == (100, "McNemar, exact")
    assert found["p_value"] == pytest.approx(0.03515625)
    assert 0 < found["low"] < 0.09 < found["high"] < 0.2


def test_the_permutations_of_right_and_wrong_answers_are_mcnemars() -> None:
    """Of n items that differ all 2^n exchanges are tried, and the signs are a fair coin's."""
    first = np.array([1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 0])
    second = np.array([0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0])
    columns = [np.column_stack([each, np.ones(11)]) for each in (first, second)]
    permuted = compare_sums(*columns, lambda sums: sums[..., 0] / sums[..., 1])
    assert permuted["test"] == "permutation of paired items, all 512"
    assert permuted["p_value"] == pytest.approx(
        compare_means(first.tolist(), second.tolist())["p_value"]
    )


def test_few_items_have_scipys_exact_p_value(generator: np.random.Generator) -> None:
    first, second = generator.random(9), generator.random(9)
    found = compare_means(first.tolist(), second.tolist())
    expected = stats.permutation_test(
        (first, second), lambda a, b: a.mean() - b.mean(), permutation_type="samples"
    )
    assert found["p_value"] == pytest.approx(expected.pvalue)
    assert found["difference"] == pytest.approx(expected.statistic)


def test_many_items_have_the_normals_p_value_and_interval(generator: np.random.Generator) -> None:
    first = generator.random(2000)
    second = np.clip(first + generator.normal(-0.008, 0.2, 2000), 0, 1)
    found = compare_means(first.tolist(), second.tolist())
    expected = stats.ttest_rel(first, second)
    assert found["test"] == "permutation of paired items, 10000 random"
    assert found["p_value"] == pytest.approx(expected.pvalue, abs=0.02)
    interval = expected.confidence_interval(0.95)
    assert (found["low"], found["high"]) == pytest.approx((interval.low, interval.high), abs=0.001)


def test_f1_of_two_models_on_the_same_texts(counts: Counts) -> None:
    better, worse = counts(300, 0.8), counts(300, 0.5)
    found = compare_sums(better, worse, f1)
    assert found["difference"] == pytest.approx(float(f1(better.sum(0)) - f1(worse.sum(0))))
    assert 0 < found["low"] < found["difference"] < found["high"]
    assert found["p_value"] == pytest.approx(1 / 10_001)
    turned = compare_sums(worse, better, f1)
    assert turned["difference"] == -found["difference"]
    assert turned["low"] == pytest.approx(-found["high"])
    assert turned["p_value"] == found["p_value"]


def test_a_model_that_is_no_better_is_called_so_1_time_in_20(counts: Counts) -> None:
    """p values of models that are alike are spread evenly: of 200, some 10 lie below 0.05."""
    wins = [compare_sums(counts(40, 0.6), counts(40, 0.6), f1)["p_value"] for _ in range(200)]
    assert 2 <= sum(p < 0.05 for p in wins) <= 21  # 99.9 % of 200 coins of 0.05
    assert stats.kstest(wins, "uniform").pvalue > 0.001


def test_the_interval_holds_the_true_difference_19_times_in_20(
    generator: np.random.Generator,
) -> None:
    held = 0
    for _ in range(200):
        common = generator.random(80) * 0.6
        first = common + generator.random(80) * 0.4
        second = common + generator.random(80) * 0.3
        found = compare_means(first.tolist(), second.tolist())
        held += found["low"] <= 0.05 <= found["high"]
    assert held >= 176  # 99.9 % of 200 coins of 0.95 are above


def test_languages_weigh_alike_and_are_resampled_apart(counts: Counts) -> None:
    groups = [np.array([0.9, 0.7, 0.8, 0.6] * 10), np.array([0.2, 0.1])]
    others = [group - 0.1 * (place + 1) for place, group in enumerate(groups)]
    others[1] = np.array([0.0, 0.0])
    found = compare_macro_means([g.tolist() for g in groups], [g.tolist() for g in others])
    assert found["difference"] == pytest.approx((0.1 + 0.15) / 2)
    assert found["n"] == 42
    sums = compare_macro_sums([counts(50, 0.9), counts(9, 0.9), np.zeros((0, 3))],
                              [counts(50, 0.3), counts(9, 0.3), np.zeros((0, 3))], f1)  # fmt: skip
    assert sums["p_value"] < 0.001
    assert sums["n"] == 59


def test_label_counts_are_compared_by_macro_f1(generator: np.random.Generator) -> None:
    first = generator.integers(0, 2, (70, 4, 3))
    found = compare_sums(first, first[::-1], macro(f1))
    assert found["difference"] == 0
    assert found["p_value"] == 1
    assert found["low"] < 0 < found["high"]


def test_models_that_answer_alike_claim_no_certainty() -> None:
    # Hoeffding's half-width for 50 differences in -1..1: 2 * sqrt(ln(40) / (2 * 50)) = 0.38413.
    found = compare_means([0.5] * 50, [0.5] * 50)
    assert (found["difference"], found["p_value"]) == (0, 1)
    assert (found["low"], found["high"]) == pytest.approx((-0.38413, 0.38413), abs=1e-5)
    assert compare_means([1.0] * 3, [1.0] * 3)["p_value"] == 1
    one = compare_means([1.0], [0.0])
    assert (one["low"], one["high"], one["p_value"]) == (-1, 1, 1)


SHARES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20)


@settings(max_examples=25)
@given(SHARES)
def test_any_values_give_an_interval_around_the_difference(
    rows: list[tuple[float, float]],
) -> None:
    first, second = [a for a, _ in rows], [b for _, b in rows]
    found = compare_means(first, second)
    assert found == compare_means(first, second)
    assert -1 <= found["low"] <= found["difference"] <= found["high"] <= 1
    assert 0 < found["p_value"] <= 1
    assert found["difference"] == pytest.approx(np.mean(first) - np.mean(second), abs=1e-12)


def test_the_seed_decides(counts: Counts) -> None:
    first, second = counts(60, 0.6), counts(60, 0.5)
    assert compare_sums(first, second, f1) == compare_sums(first, second, f1)
    assert compare_sums(first, second, f1) != compare_sums(first, second, f1, seed=1)


def test_nothing_asked_is_nothing_compared() -> None:
    assert compare_means([], []) == compare_macro_means([], []) == NOTHING
    assert compare_sums(np.zeros((0, 3)), np.zeros((0, 3)), f1) == NOTHING


def test_other_items_and_other_ranges_are_refused() -> None:
    with pytest.raises(ValueError, match="not the same items"):
        compare_means([1.0, 0.0], [1.0])
    for value in (36.6, -0.1, math.nan):
        with pytest.raises(ValueError, match=r"outside 0\.\.1"):
            compare_means([0.5], [value])
        with pytest.raises(ValueError, match=r"outside 0\.\.1"):
            compare_macro_means([[value]], [[0.5]])


def test_holms_correction() -> None:
    # R: p.adjust(c(0.01, 0.02, 0.03, 0.04), "holm") is 0.04 0.06 0.06 0.06.
    assert holm({"a": 0.01, "b": 0.02, "c": 0.03, "d": 0.04}) == pytest.approx(
        {"a": 0.04, "b": 0.06, "c": 0.06, "d": 0.06}
    )
    assert holm({"x": 0.9, "y": None, "z": 0.6}) == {"x": 1.0, "y": None, "z": 1.0}
    assert holm({}) == {}


def test_comparisons_get_their_corrected_p_values() -> None:
    found = with_holm({"bleu_1": {"p_value": 0.02, "n": 3}, "rouge_l": {"p_value": 0.04, "n": 3}})
    assert found["bleu_1"] == {"p_value": 0.02, "n": 3, "p_value_holm": 0.04}
    assert found["rouge_l"]["p_value_holm"] == 0.04
