from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.training.rows import deal, pack

LENGTHS = st.lists(st.integers(1, 100), min_size=1, max_size=60)


@given(LENGTHS, st.integers(0, 100))
def test_packing_puts_every_sequence_into_one_row_that_holds_it(
    lengths: list[int], room: int
) -> None:
    capacity = max(lengths) + room
    rows = pack(lengths, capacity)
    assert sorted(i for row in rows for i in row) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in row) <= capacity for row in rows)
    # No two of its rows fit into one, so fewer than twice the floor.
    loads = sorted(sum(lengths[i] for i in row) for row in rows)
    assert len(rows) == 1 or loads[0] + loads[1] > capacity
    assert len(rows) <= max(1, 2 * math.ceil(sum(lengths) / capacity))


def test_packing_fills_rows_that_can_be_filled() -> None:
    rows = pack([7, 3, 6, 4, 5, 5], 10)
    assert len(rows) == 3


def test_a_sequence_longer_than_a_row_is_told() -> None:
    with pytest.raises(ValueError, match="11 tokens does not fit into 10"):
        pack([3, 11], 10)


@given(LENGTHS, st.integers(0, 100), st.integers(1, 8))
def test_workers_have_as_many_rows_each_and_all_sequences_together(
    lengths: list[int], room: int, workers: int
) -> None:
    capacity = max(lengths) + room
    shares = deal(lengths, capacity, workers)
    assert len(shares) == workers
    assert len({len(rows) for rows in shares}) == 1
    assert sorted(i for rows in shares for row in rows for i in row) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in row) <= capacity for rows in shares for row in rows)
    assert len(shares[0]) * workers < len(pack(lengths, capacity)) + workers


def test_work_is_spread_evenly() -> None:
    lengths = [100] * 3 + [50] * 7 + [10] * 11
    loads = [sum(lengths[i] for row in rows for i in row) for rows in deal(lengths, 128, 4)]
    assert max(loads) <= 1.1 * sum(lengths) / 4
