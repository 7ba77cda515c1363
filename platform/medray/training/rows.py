"""Packing the sequences of one step into rows, or batching them padded, and dealing to workers."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence


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
    return _dealt(rows, workers, lambda row: sum(lengths[i] for i in row))


def pad(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Return the fewest batches whose lines times longest line are no more than ``capacity``.

    Neighbours by length stand together, the shortest first: what is left over then is the
    longest, and pads no others. ValueError for a line longer than a batch.
    """
    batches: list[list[int]] = []
    for number in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        length = lengths[number]
        if length > capacity:
            raise ValueError(f"a line of {length} tokens does not fit into {capacity}")
        # The new line is the longest so far.
        if not batches or (len(batches[-1]) + 1) * length > capacity:
            batches.append([])
        batches[-1].append(number)
    return batches


def deal_padded(lengths: Sequence[int], capacity: int, workers: int) -> list[list[list[int]]]:
    """Return each worker's batches of one step; every worker has as many, some perhaps empty.

    As many as padding needs, rounded up to a multiple of the workers by halving the largest. A
    function of its arguments alone, as ``deal``.
    """

    def places(batch: list[int]) -> int:
        return len(batch) * max((lengths[i] for i in batch), default=0)

    batches = pad(lengths, capacity)
    while len(batches) % workers:
        largest = max(batches, key=lambda batch: (len(batch) > 1, places(batch), batch))
        half = len(largest) // 2  # 0 where each has one line: one more is empty
        batches.remove(largest)
        batches += [largest[:half], largest[half:]]
    return _dealt(batches, workers, places)


def _dealt(
    rows: list[list[int]], workers: int, weight: Callable[[list[int]], int]
) -> list[list[list[int]]]:
    # The heaviest rows come first and meet each other: workers wait for the slowest in each turn.
    rows = sorted(rows, key=lambda row: (-weight(row), row))
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
