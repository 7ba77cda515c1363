"""Sets of shingles (n words in a row, as hashes) and their exact Jaccard similarity."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from medray.corpus.dedup.words import Hashes, Offsets, hash_words, ngram_hashes


def shingle_sets(texts: pa.StringArray, language: str, size: int) -> tuple[Hashes, Offsets]:
    """Return each text's distinct shingles of ``size`` words, sorted, and where each set begins.

    Shapes as ``hash_words`` gives them. The whole text counts, however long.
    """
    return _sorted_sets(*ngram_hashes(*hash_words(texts, language), size))  # type: ignore[no-any-return]


@njit(cache=True, nogil=True)
def _sorted_sets(shingles, offsets):  # type: ignore[no-untyped-def]
    out, out_offsets, count = np.empty_like(shingles), np.zeros_like(offsets), 0
    for text in range(len(offsets) - 1):
        previous = np.uint64(0)
        first = count
        for value in np.sort(shingles[offsets[text] : offsets[text + 1]]):
            if count == first or value != previous:
                out[count] = previous = value
                count += 1
        out_offsets[text + 1] = count
    return out[:count].copy(), out_offsets


def jaccard_of_pairs(
    sets: Hashes, offsets: Offsets, first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return |A and B| / |A or B| of pairs of sets, given by their numbers; two empty sets: 0."""
    return _jaccard_of_pairs(sets, offsets, first, second)  # type: ignore[no-any-return]


@njit(cache=True, nogil=True)
def _jaccard_of_pairs(sets, offsets, first, second):  # type: ignore[no-untyped-def]
    out = np.zeros(len(first), np.float64)
    for pair in range(len(first)):
        a, a_end = offsets[first[pair]], offsets[first[pair] + 1]
        b, b_end = offsets[second[pair]], offsets[second[pair] + 1]
        total, common = (a_end - a) + (b_end - b), 0
        while a < a_end and b < b_end:
            left, right = sets[a], sets[b]
            common += left == right
            a += left <= right
            b += right <= left
        if total > 0:
            out[pair] = common / (total - common)
    return out
