"""Buckets of documents with an equal hash: which two documents are worth comparing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from medray.corpus.dedup.keys import Keys
from medray.corpus.dedup.words import Hashes


def near_pairs(hashes: Hashes, documents: Keys, representatives: int) -> tuple[Keys, Keys]:
    """Return pairs (first, second), first < second, of documents that share a band's hash.

    Every document of a bucket meets the bucket's ``representatives`` smallest ones, so all meet
    all where these are no more, and a bucket of n gives at most n * representatives pairs, never
    n * n. What that costs in recall: a bucket grows large where a boilerplate text fills all slots
    of a band, which at a share s of boilerplate has probability s^rows; two true copies share
    further bands, whose slots hold their own words, and meet in those small buckets.
    """
    order = np.lexsort((documents, hashes))
    return _star_pairs(hashes[order], documents[order], representatives)  # type: ignore[no-any-return]


@njit(cache=True, nogil=True)
def _star_pairs(hashes, documents, representatives):  # type: ignore[no-untyped-def]
    count, begin = 0, 0
    for at in range(len(hashes)):
        if at > 0 and hashes[at] != hashes[at - 1]:
            begin = at
        count += min(at - begin, representatives)
    first, second = np.empty(count, np.int64), np.empty(count, np.int64)
    count, begin = 0, 0
    for at in range(len(hashes)):
        if at > 0 and hashes[at] != hashes[at - 1]:
            begin = at
        for representative in range(begin, min(at, begin + representatives)):
            if documents[representative] != documents[at]:
                first[count], second[count] = documents[representative], documents[at]
                count += 1
    return first[:count], second[:count]


def equal_pairs(high: Hashes, low: Hashes, documents: Keys) -> tuple[Keys, Keys]:
    """Return (removed, retained): of documents with equal 128 bits, all but the smallest go."""
    order = np.lexsort((documents, low, high))
    high, low, documents = high[order], low[order], documents[order]
    same = np.zeros(len(order), np.bool_)
    same[1:] = (high[1:] == high[:-1]) & (low[1:] == low[:-1])
    starts = np.maximum.accumulate(np.where(same, 0, np.arange(len(order))))
    return documents[same], documents[starts[same]]


def unique_pairs(first: Keys, second: Keys) -> tuple[Keys, Keys]:
    """Return each pair once, sorted."""
    order = np.lexsort((second, first))
    first, second = first[order], second[order]
    new: npt.NDArray[np.bool_] = np.ones(len(first), np.bool_)
    new[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    return first[new], second[new]
