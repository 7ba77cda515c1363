from __future__ import annotations

import numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.packing import Row, pack, passes, shared_length, units

# Few tokens, so that sequences begin alike, contain each other and are equal.
SEQUENCES = st.lists(
    st.tuples(st.integers(0, 2), st.lists(st.integers(0, 2), min_size=1, max_size=9)),
    min_size=1,
    max_size=12,
)


def arrays(sequences: list[tuple[int, list[int]]]) -> tuple[list[numpy.ndarray], list[int]]:
    return [numpy.array(tokens) for _, tokens in sequences], [owner for owner, _ in sequences]


def packed(sequences: list[tuple[int, list[int]]]) -> tuple[Row, list[list[int]], list[int]]:
    tokens, owners = arrays(sequences)
    [order] = passes(tokens, owners, 10**9)
    row = pack([tokens[i] for i in order], [owners[i] for i in order])
    return row, [sequences[i][1] for i in order], [owners[i] for i in order]


@settings(deadline=None)
@given(SEQUENCES)
def test_every_sequence_is_found_in_the_row(sequences: list[tuple[int, list[int]]]) -> None:
    row, tokens, _ = packed(sequences)
    for sequence, places in zip(tokens, row.places, strict=True):
        assert row.tokens[places].tolist() == sequence
        assert row.positions[places].tolist() == list(range(len(sequence)))


@settings(deadline=None)
@given(SEQUENCES)
def test_a_beginning_stands_once_for_each_owner(sequences: list[tuple[int, list[int]]]) -> None:
    row, _, _ = packed(sequences)
    beginnings = {
        (owner, *tokens[: end + 1]) for owner, tokens in sequences for end in range(len(tokens))
    }
    assert len(row.tokens) == len(beginnings)


@settings(deadline=None)
@given(SEQUENCES, st.sampled_from([0, 5, 40, 10**6]))
def test_a_token_sees_what_comes_before_it_in_its_sequence(
    sequences: list[tuple[int, list[int]]], call_pairs: float
) -> None:
    row, _, _ = packed(sequences)
    seen: dict[int, set[int]] = {}
    for unit in units(row, call_pairs):
        keys = [*unit.outside, *range(unit.first, unit.end)]
        for number, token in enumerate(range(unit.first, unit.end)):
            mask = numpy.tri(len(keys), dtype=bool) if unit.seen is None else unit.seen
            assert token not in seen
            seen[token] = {int(key) for key, sees in zip(keys, mask[number], strict=True) if sees}
    assert sorted(seen) == list(range(len(row.tokens)))
    for places in row.places:
        for end, place in enumerate(places.tolist()):
            assert seen[place] == set(places[: end + 1].tolist())


def test_a_call_that_costs_nothing_stands_alone_and_a_dear_one_takes_all() -> None:
    sequences = [(0, [1] * 20 + [option]) for option in range(4)] + [(0, [2] * 20)]
    row, _, _ = packed(sequences)
    assert len(units(row, 0)) == len(row.branches) == 5
    assert len(units(row, 10**6)) == 1
    # Options join their question, the other question stays apart.
    assert [unit.end for unit in units(row, 100)] == [24, 44]


@settings(deadline=None)
@given(SEQUENCES, st.integers(1, 30))
def test_passes_hold_every_sequence_once_and_keep_their_size(
    sequences: list[tuple[int, list[int]]], pass_tokens: int
) -> None:
    tokens, owners = arrays(sequences)
    chosen = list(passes(tokens, owners, pass_tokens))
    assert sorted(i for batch in chosen for i in batch) == list(range(len(sequences)))
    for batch in chosen:
        row = pack([tokens[i] for i in batch], [owners[i] for i in batch])
        assert len(row.tokens) <= pass_tokens or len(batch) == 1


@settings(deadline=None)
@given(st.lists(st.integers(0, 1)), st.lists(st.integers(0, 1)))
def test_shared_length_is_the_longest_common_beginning(one: list[int], other: list[int]) -> None:
    length = shared_length(numpy.array(one), numpy.array(other))
    assert one[:length] == other[:length]
    assert length in (len(one), len(other)) or one[length] != other[length]
