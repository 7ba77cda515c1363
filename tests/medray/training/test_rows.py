from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.training.rows import deal, deal_padded, pack, pad

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


def places(lengths: list[int], batch: list[int]) -> int:
    """Return how many tokens and paddings a batch has."""
    return len(batch) * max((lengths[i] for i in batch), default=0)


def partitions(numbers: list[int]) -> Iterator[list[list[int]]]:
    if not numbers:
        yield []
        return
    first, *others = numbers
    for parts in partitions(others):
        yield [[first], *parts]
        for place, part in enumerate(parts):
            yield [*parts[:place], [first, *part], *parts[place + 1 :]]


@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(0, 30))
def test_no_way_of_padding_takes_fewer_batches(lengths: list[int], room: int) -> None:
    capacity = max(lengths) + room
    fewest = min(
        len(parts)
        for parts in partitions(list(range(len(lengths))))
        if all(places(lengths, part) <= capacity for part in parts)
    )
    assert len(pad(lengths, capacity)) == fewest


@given(LENGTHS, st.integers(0, 400), st.integers(1, 8))
def test_workers_have_as_many_padded_batches_each_none_too_large(
    lengths: list[int], room: int, workers: int
) -> None:
    capacity = max(lengths) + room
    shares = deal_padded(lengths, capacity, workers)
    assert shares == deal_padded(lengths, capacity, workers)
    assert len(shares) == workers
    assert len({len(batches) for batches in shares}) == 1
    assert sorted(i for share in shares for batch in share for i in batch) == list(
        range(len(lengths))
    )
    assert all(places(lengths, batch) <= capacity for share in shares for batch in share)
    assert len(shares[0]) * workers < len(pad(lengths, capacity)) + workers
    # A worker has nothing to do in a turn only where there are not lines enough.
    batches = [batch for share in shares for batch in share]
    assert all(batches) or all(len(batch) <= 1 for batch in batches)


def test_a_long_line_does_not_pad_the_short_ones() -> None:
    lengths = [1000] + [40] * 180
    batches = pad(lengths, 8192)
    assert [places(lengths, batch) for batch in batches] == [180 * 40, 1000]


def test_a_line_longer_than_a_batch_is_told() -> None:
    with pytest.raises(ValueError, match="11 tokens does not fit into 10"):
        pad([3, 11], 10)
