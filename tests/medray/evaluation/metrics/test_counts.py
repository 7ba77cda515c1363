from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.evaluation.metrics.counts import (
    ENTITY_STATISTICS,
    LABEL_STATISTICS,
    f1,
    macro,
    micro,
    precision,
    recall,
    share,
)

COUNTS = st.lists(st.tuples(*[st.integers(0, 9)] * 3), min_size=1, max_size=5)


def test_values_worked_out_by_hand() -> None:
    sums = np.array([6, 2, 4])
    assert (precision(sums), recall(sums), f1(sums)) == (6 / 8, 6 / 10, 12 / 18)
    assert share(np.array([3, 4])) == 0.75


def test_nothing_of_nothing_is_nothing() -> None:
    nothing = np.zeros(3)
    assert (precision(nothing), recall(nothing), f1(nothing), share(nothing[:2])) == (0, 0, 0, 0)


def test_labels_weigh_by_their_counts_or_alike() -> None:
    sums = np.array([[6, 2, 4], [0, 0, 1]])
    assert micro(f1)(sums) == 12 / 19
    assert macro(f1)(sums) == pytest.approx((12 / 18 + 0) / 2)


@given(COUNTS)
def test_many_sums_at_once_are_each_sum_alone(rows: list[tuple[int, int, int]]) -> None:
    sums = np.array([rows, rows[::-1]])
    for statistic in ENTITY_STATISTICS.values():
        together = statistic(sums)
        assert together.shape == sums.shape[:-1]
        assert together[1, 0] == statistic(sums[1, 0])
        assert np.all((together >= 0) & (together <= 1))
    for statistic in LABEL_STATISTICS.values():
        together = statistic(sums)
        assert together.shape == (2,)
        assert together[0] == pytest.approx(together[1])


def test_statistics_have_the_fields_names() -> None:
    assert list(ENTITY_STATISTICS) == ["precision", "recall", "f1"]
    assert {"micro_f1", "macro_f1", "macro_precision", "macro_recall"} <= set(LABEL_STATISTICS)
