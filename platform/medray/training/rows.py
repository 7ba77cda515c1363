"""Packing the sequences of one step into rows, and dealing the rows to workers."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence


def pack(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Return rows of numbers of sequences, no row of more than ``capacity`` tokens.

    Best fit, the longest first (Johnson 1974: at most 11/9 of the fewest rows, and 6/9 of one).
    ValueError for a sequence longer than a row.
    """
    rows: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (tokens left, row), sorted
    for number in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        length = lengths[number]
        if length > capacity:
            raise ValueError(f"a sequence of {length} tokens does not fit into {capacity}")
        best = bisect_left(room, (length, -1))
        if best < len(room):
            left, row = room.pop(best)
        else:
            left, row = capacity, len(rows)
            rows.append([])
        rows[row].append(number)
        insort(room, (left - length, row))
    return rows


def deal(lengths: Sequence[int], capacity: int, workers: int) -> list[list[list[int]]]:
    """Return each worker's rows of one step; every worker has as many, some perhaps empty.

    As many rows as packing needs, rounded up to a multiple of the workers; sequences are then
    spread over them evenly (the longest to the emptiest row) where that overfills none. A
    function of its arguments alone, so each worker computes the whole and takes its part.
    """
    packed = pack(lengths, capacity)
    count = -(-len(packed) // workers) * workers
    rows = _spread(lengths, count)
    if any(sum(lengths[i] for i in row) > capacity for row in rows):
        rows = packed + [[] for _ in range(count - len(packed))]
    # The heaviest rows come first and meet each other: workers wait for the slowest in each turn.
    rows.sort(key=lambda row: (-sum(lengths[i] for i in row), row))
    shares: list[list[list[int]]] = [[] for _ in range(workers)]
    for number, row in enumerate(rows):
        turn, place = divmod(number, workers)
        shares[place if turn % 2 == 0 else workers - 1 - place].append(row)
    return shares


def _spread(lengths: Sequence[int], count: int) -> list[list[int]]:
    rows: list[list[int]] = [[] for _ in range(count)]
    loads = [(0, row) for row in range(count)]
    for number in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        load, row = loads.pop(0)
        rows[row].append(number)
        insort(loads, (load + lengths[number], row))
    return rows
