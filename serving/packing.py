"""Whole sequences laid into one row without padding; what they begin with in common stands once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

Places = NDArray[numpy.int64]


@dataclass(frozen=True)
class Branch:
    """The tokens ``first`` ... ``end - 1`` of a row, which one sequence adds to those before it.

    ``path``: the places in the row, ascending, of the tokens that come before in this sequence.
    """

    first: int
    end: int
    path: Places


@dataclass(frozen=True)
class Row:
    """Sequences as a tree in one row of T tokens, each after what it shares with its forerunner.

    ``tokens``, ``positions`` (in the sequence): int64 [T]. ``places[i]``: where the tokens of
    sequence i lie, int64 [its length]. A token sees those of its path and of its own branch up to
    itself.
    """

    tokens: Places
    positions: Places
    branches: list[Branch]
    places: list[Places]


@dataclass(frozen=True)
class Unit:
    """Branches whose tokens, all of ``first`` ... ``end - 1``, go through attention in one call.

    They see places in ``outside``, before them in the row, and each other; ``seen`` says which:
    bool [tokens, len(outside) + tokens], or None where it is plain causal attention.
    """

    first: int
    end: int
    outside: Places
    seen: NDArray[numpy.bool_] | None


def shared_length(one: Places, other: Places) -> int:
    """Return how many tokens two sequences begin with in common."""
    length = min(len(one), len(other))
    differs = one[:length] != other[:length]
    return int(differs.argmax()) if differs.any() else length


def passes(
    sequences: Sequence[Places], owners: Sequence[int], pass_tokens: int
) -> Iterator[list[int]]:
    """Yield the indices of sequences that share a pass, in the order in which to pack them.

    Sorted by owner and tokens, so that each shares the most with its neighbour. A pass has at most
    ``pass_tokens`` tokens of its row, or one sequence.
    """
    order = sorted(range(len(sequences)), key=lambda i: (owners[i], sequences[i].tolist()))
    chosen: list[int] = []
    tokens = 0
    for index in order:
        added = len(sequences[index])
        if chosen and owners[chosen[-1]] == owners[index]:
            added -= shared_length(sequences[chosen[-1]], sequences[index])
        if chosen and tokens + added > pass_tokens:
            yield chosen
            chosen, tokens, added = [], 0, len(sequences[index])
        chosen.append(index)
        tokens += added
    if chosen:
        yield chosen


def pack(sequences: Sequence[Places], owners: Sequence[int]) -> Row:
    """Lay sequences (>= 1 token each) into a row; neighbours of one owner share their beginning.

    Sequences of different owners share nothing: their tokens go through different weights.
    """
    branches: list[Branch] = []
    places: list[Places] = []
    length = 0
    for index, sequence in enumerate(sequences):
        shared = 0
        if index and owners[index] == owners[index - 1]:
            shared = shared_length(sequences[index - 1], sequence)
        path = places[-1][:shared] if shared else numpy.empty(0, numpy.int64)
        end = length + len(sequence) - shared
        places.append(numpy.concatenate([path, numpy.arange(length, end)]))
        if end > length:
            branches.append(Branch(length, end, path))
        length = end
    tokens = numpy.empty(length, numpy.int64)
    positions = numpy.empty(length, numpy.int64)
    for sequence, where in zip(sequences, places, strict=True):
        tokens[where] = sequence
        positions[where] = numpy.arange(len(sequence))
    return Row(tokens, positions, branches, places)


def units(row: Row, call_pairs: float) -> list[Unit]:
    """Divide a row into calls of attention, neighbours together where that is cheaper.

    A call costs as much as ``call_pairs`` pairs of a token and one it could see. Every token of a
    unit is compared with all that any of them sees, so joining a branch costs pairs that are masked
    away, and saves a call.
    """
    groups: list[list[Branch]] = []
    for branch in row.branches:
        added = branch.end - branch.first
        if groups:
            first, inside = groups[-1][0], branch.first - groups[-1][0].first
            joined = added * (len(first.path) + inside + added) + inside * added
            if joined <= added * (len(branch.path) + added) + call_pairs:
                groups[-1].append(branch)
                continue
        groups.append([branch])
    return [_unit(group) for group in groups]


def _unit(branches: list[Branch]) -> Unit:
    first, end, outside = branches[0].first, branches[-1].end, branches[0].path
    if len(branches) == 1 and not len(outside):
        return Unit(first, end, outside, None)
    before = len(outside)
    seen = numpy.zeros((end - first, before + end - first), numpy.bool_)
    for branch in branches:
        rows = slice(branch.first - first, branch.end - first)
        # A later branch sees of what is outside a beginning of what the first one sees.
        inside = branch.path[branch.path >= first]
        seen[rows, : len(branch.path) - len(inside)] = True
        seen[rows, before + inside - first] = True
        own = branch.end - branch.first
        seen[rows, before + rows.start : before + rows.stop] = numpy.tri(own, dtype=numpy.bool_)
    return Unit(first, end, outside, seen)
