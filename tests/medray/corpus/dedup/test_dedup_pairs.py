"""From hashes to groups of pairs: nobody is left out, nothing explodes, keys keep their order."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from medray.corpus.dedup.buckets import equal_pairs, near_pairs, unique_pairs
from medray.corpus.dedup.groups import group_pairs
from medray.corpus.dedup.keys import first_key, make_keys, rows_of, shard_numbers, size_bounds
from medray.corpus.dedup.shingles import jaccard_of_pairs, shingle_sets
from medray.corpus.dedup.words import hash_words, ngram_hashes

ENTRIES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), max_size=40, unique=True)


def columns(rows: list[tuple[int, ...]], kinds: tuple[type, ...]) -> list[np.ndarray]:
    return [np.array([row[i] for row in rows], kind) for i, kind in enumerate(kinds)]


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=5), st.integers(0, 2**23 - 1))
def test_a_key_tells_shard_row_and_size(sizes: list[int], number: int) -> None:
    keys = make_keys(number, np.array(sizes))
    assert (shard_numbers(keys) == number).all()
    assert rows_of(keys).tolist() == list(range(len(sizes)))
    assert (keys[:-1] < keys[1:]).all()
    assert keys[0] >= first_key(number)
    bounds = size_bounds(keys)
    assert all(size < bound <= max(1, 2 * size) for size, bound in zip(sizes, bounds, strict=True))


@given(ENTRIES)
def test_small_buckets_give_all_pairs(entries: list[tuple[int, int]]) -> None:
    pairs = unique_pairs(*near_pairs(*columns(entries, (np.uint64, np.int64)), 16))
    expected = {
        tuple(sorted((a, b)))
        for (bucket, a), (other, b) in combinations(entries, 2)
        if bucket == other and a != b
    }
    assert list(zip(*(side.tolist() for side in pairs), strict=True)) == sorted(expected)


def test_a_huge_bucket_gives_pairs_in_proportion_to_its_documents() -> None:
    documents = np.random.default_rng(1).permutation(50_000)
    first, second = near_pairs(np.zeros(50_000, np.uint64), documents, 16)
    assert len(first) == 16 * 50_000 - 16 * 17 // 2
    assert first.max() == 15
    assert len(np.unique(second)) == 49_999


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), max_size=12))
def test_all_but_the_first_of_equal_texts_go(hashes: list[tuple[int, int]]) -> None:
    high, low = columns(hashes, (np.uint64, np.uint64))
    removed, retained = equal_pairs(high, low, np.arange(len(hashes)))
    expected = {i: hashes.index(h) for i, h in enumerate(hashes) if hashes.index(h) < i}
    assert dict(zip(removed.tolist(), retained.tolist(), strict=True)) == expected


PAIRS = st.sets(
    st.tuples(st.integers(0, 30), st.integers(0, 30)).filter(lambda p: p[0] < p[1]), max_size=40
)


@given(PAIRS, st.integers(1, 400))
def test_groups_hold_every_pair_once_with_both_its_documents(
    pairs: set[tuple[int, int]], group_bytes: int
) -> None:
    keys = make_keys(0, np.arange(31) * 3)
    first, second = columns([(keys[a], keys[b]) for a, b in pairs], (np.int64, np.int64))
    groups = group_pairs(first, second, group_bytes)
    assert set(zip(groups.first, groups.second, strict=True)) == {
        (keys[a], keys[b]) for a, b in pairs
    }
    assert len(groups.first) == len(pairs)
    members = set(zip(groups.member, groups.member_group, strict=True))
    assert len(members) == len(groups.member)
    for a, b, group in zip(groups.first, groups.second, groups.group, strict=True):
        assert {(a, group), (b, group)} <= members
    for group in range(int(groups.group.max(initial=-1)) + 1):
        inside = groups.member_group == group
        size = size_bounds(groups.member[inside]).sum()
        assert size <= group_bytes or (groups.group == group).sum() == 1
    assert (np.diff(groups.group) >= 0).all()
    assert (np.diff(groups.member) >= 0).all()


def test_a_component_that_fits_is_never_cut() -> None:
    keys = make_keys(0, np.full(9, 100))
    chains = [(0, 1), (1, 2), (3, 4), (4, 5), (6, 7), (7, 8)]
    first, second = columns([(keys[a], keys[b]) for a, b in chains], (np.int64, np.int64))
    groups = group_pairs(first, second, 4 * 128)
    assert groups.group.tolist() == [0, 0, 1, 1, 2, 2]
    assert (groups.components, groups.largest_component) == (3, 3)


@given(st.lists(st.text("ab ", max_size=60), min_size=2, max_size=5), st.integers(1, 4))
def test_similarity_is_that_of_the_sets(texts: list[str], size: int) -> None:
    sets, offsets = shingle_sets(pa.array(texts), "en", size)
    flat, bounds = ngram_hashes(*hash_words(pa.array(texts), "en"), size)
    plain = [set(flat[a:b].tolist()) for a, b in pairwise(bounds)]
    pairs = list(combinations(range(len(texts)), 2))
    first, second = columns(pairs, (np.int64, np.int64))
    expected = [len(plain[a] & plain[b]) / max(1, len(plain[a] | plain[b])) for a, b in pairs]
    assert jaccard_of_pairs(sets, offsets, first, second).tolist() == expected
