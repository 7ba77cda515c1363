"""Cutting candidate pairs into groups, each of which one task can verify in bounded memory.

Documents that are linked by pairs (a connected component) should be read once, in one place, so
whole components are packed into groups. A component beyond the bound is cut between its pairs,
sorted: its documents are then read in several groups. Grouping decides nothing: every pair is
verified on its own, and a removal needs a verified pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from medray.corpus.dedup.keys import Keys, size_bounds


@dataclass(frozen=True)
class Groups:
    """Pairs sorted by group, and (document, group) sorted by document: who is needed where."""

    first: Keys
    second: Keys
    group: Keys
    member: Keys
    member_group: Keys
    components: int
    largest_component: int


def group_pairs(first: Keys, second: Keys, group_bytes: int) -> Groups:
    """Pack distinct pairs into groups of at most ``group_bytes`` of text, by the keys' sizes.

    A pair whose two texts alone exceed the bound is a group of its own.
    """
    documents = np.unique(np.concatenate((first, second)))
    a, b = np.searchsorted(documents, first), np.searchsorted(documents, second)
    roots = _components(a, b, len(documents))
    order = np.lexsort((b, a, roots[a]))
    a, b = a[order], b[order]
    sizes = size_bounds(documents)
    weights = np.bincount(roots, sizes, len(documents)).astype(np.int64)
    group, member, member_group = _pack(a, b, roots, sizes, weights, group_bytes)
    by_document = np.lexsort((member_group, member))
    populations = np.bincount(roots)
    return Groups(
        documents[a],
        documents[b],
        group,
        documents[member[by_document]],
        member_group[by_document],
        int((populations > 0).sum()),
        int(populations.max(initial=0)),
    )


@njit(cache=True, nogil=True)
def _components(a, b, count):  # type: ignore[no-untyped-def]
    """Return of each document the least one linked to it (union-find with path halving)."""
    parent = np.arange(count)
    for pair in range(len(a)):
        left, right = a[pair], b[pair]
        while parent[left] != left:
            parent[left] = parent[parent[left]]
            left = parent[left]
        while parent[right] != right:
            parent[right] = parent[parent[right]]
            right = parent[right]
        parent[max(left, right)] = min(left, right)
    for node in range(count):  # parents are smaller, so already final
        parent[node] = parent[parent[node]]
    return parent


@njit(cache=True, nogil=True)
def _pack(a, b, roots, sizes, weights, group_bytes):  # type: ignore[no-untyped-def]
    """Give each pair a group: a new one where the next component, or the next pair, is too much."""
    group = np.empty(len(a), np.int64)
    members, member_groups = np.empty(2 * len(a), np.int64), np.empty(2 * len(a), np.int64)
    latest = np.full(len(roots), -1)
    count, current, filled = 0, 0, 0
    for pair in range(len(a)):
        root = roots[a[pair]]
        begins = pair == 0 or roots[a[pair - 1]] != root
        added = 0
        for node in (a[pair], b[pair]):
            added += sizes[node] if latest[node] != current else 0
        whole = weights[root] if begins else added
        if filled > 0 and filled + whole > group_bytes:
            current, filled = current + 1, 0
        for node in (a[pair], b[pair]):
            if latest[node] != current:
                latest[node] = current
                filled += sizes[node]
                members[count], member_groups[count] = node, current
                count += 1
        group[pair] = current
    return group, members[:count], member_groups[:count]
