from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

from medray.evaluation.judging.rank_tables import Floats, kendall_tau_b, spearman

PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=40)


def table_of(pairs: list[tuple[int, int]]) -> Floats:
    table = np.zeros((5, 4))
    for one, other in pairs:
        table[one, other] += 1
    return table


@given(PAIRS)
def test_tables_give_what_scipy_gives(pairs: list[tuple[int, int]]) -> None:
    one, other = zip(*pairs, strict=True)
    with np.errstate(all="ignore"):
        defined = len(set(one)) > 1 and len(set(other)) > 1
    for ours, theirs in ((kendall_tau_b, kendalltau), (spearman, spearmanr)):
        found = float(ours(table_of(pairs)))
        if defined:
            assert found == pytest.approx(theirs(one, other).statistic, abs=1e-12)
        else:
            assert math.isnan(found)


@given(st.lists(PAIRS, min_size=1, max_size=4))
def test_many_tables_at_once(lists: list[list[tuple[int, int]]]) -> None:
    tables = np.array([table_of(pairs) for pairs in lists])
    for statistic in (kendall_tau_b, spearman):
        one_by_one = [float(statistic(table)) for table in tables]
        assert statistic(tables) == pytest.approx(one_by_one, nan_ok=True)


def test_a_table_of_one_value_has_no_correlation() -> None:
    assert math.isnan(float(kendall_tau_b(np.array([[3.0, 2.0]]))))
    assert math.isnan(float(spearman(np.array([[3.0]]))))
