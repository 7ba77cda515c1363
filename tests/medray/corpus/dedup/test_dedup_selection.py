"""Who goes: only documents with a verified, retained counterpart, and never by transitivity."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from medray.corpus.dedup.selection import cluster_sizes, join_removals, select_near

EDGES = st.dictionaries(
    st.tuples(st.integers(0, 12), st.integers(0, 12)).filter(lambda p: p[0] < p[1]),
    st.sampled_from([0.7, 0.8, 0.9]),
    max_size=40,
)


def near(edges: dict[tuple[int, int], float]) -> dict[int, tuple[int, float]]:
    first = np.array([a for a, _ in edges], np.int64)
    second = np.array([b for _, b in edges], np.int64)
    removed, retained, jaccard = select_near(first, second, np.array([*edges.values()], float))
    return {
        r: (s, j)
        for r, s, j in zip(removed.tolist(), retained.tolist(), jaccard.tolist(), strict=True)
    }


def plain(edges: dict[tuple[int, int], float]) -> dict[int, tuple[int, float]]:
    """The definition: documents in order, each against those that stayed."""
    gone: dict[int, tuple[int, float]] = {}
    for document in range(13):
        stays = [(-j, a) for (a, b), j in edges.items() if b == document and a not in gone]
        if stays:
            similarity, retained = min(stays)
            gone[document] = (retained, -similarity)
    return gone


@given(EDGES)
def test_selection_is_greedy_in_order(edges: dict[tuple[int, int], float]) -> None:
    assert near(edges) == plain(edges)


def test_what_is_only_like_a_removed_one_stays() -> None:
    assert near({(0, 1): 0.8, (1, 2): 0.9}) == {1: (0, 0.8)}


def test_a_chain_of_neighbours_is_not_wiped_out() -> None:
    chain = {(i, i + 1): 0.8 for i in range(12)}
    assert sorted(near(chain)) == [1, 3, 5, 7, 9, 11]


def keys(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def test_a_copy_of_a_removed_text_goes_for_the_same_retained_one() -> None:
    # 5 and 9 equal 3, which goes for 1; 8 equals 2, which stays.
    exact = keys(5, 8, 9), keys(3, 2, 3)
    removals = join_removals(exact, (keys(3), keys(1), np.array([0.75])))
    assert removals.removed.tolist() == [3, 5, 8, 9]
    assert removals.retained.tolist() == [1, 1, 2, 1]
    assert removals.jaccard.tolist() == [0.75, 0.75, 1.0, 0.75]
    assert removals.exact.tolist() == [False, False, True, False]
    assert not set(removals.retained.tolist()) & set(removals.removed.tolist())
    assert cluster_sizes(removals) == {2: 1, 4: 1}


def test_nothing_to_remove() -> None:
    none = keys()
    removals = join_removals((none, none), select_near(none, none, np.array([], float)))
    assert len(removals.removed) == 0
    assert cluster_sizes(removals) == {}
