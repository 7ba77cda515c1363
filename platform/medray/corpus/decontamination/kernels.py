"""The loops over words: which n-grams are a benchmark's, and what they cover."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def set_bits(bits, hashes):  # type: ignore[no-untyped-def]
    """Set the bit of every hash in a filter of a power of two of bits (uint64, 64 a number)."""
    mask = np.uint64(len(bits) * 64 - 1)
    for value in hashes:
        bit = value & mask
        bits[bit >> np.uint64(6)] |= np.uint64(1) << (bit & np.uint64(63))


@njit(cache=True, nogil=True)
def probe(ngrams, ngram_offsets, word_offsets, bits, hashes):  # type: ignore[no-untyped-def]
    """Return (word where an n-gram begins, its first place in ``hashes``) of all that are there.

    One look into the filter settles 97 of 100 n-grams that are not; the rest take a binary search.
    """
    # As large as it can be; pages that no hit reaches cost address space only.
    words = np.empty(len(ngrams), np.int64)
    places = np.empty(len(ngrams), np.int64)
    mask = np.uint64(len(bits) * 64 - 1)
    count = 0
    for text in range(len(ngram_offsets) - 1):
        shift = word_offsets[text] - ngram_offsets[text]
        for number in range(ngram_offsets[text], ngram_offsets[text + 1]):
            value = ngrams[number]
            bit = value & mask
            if not (bits[bit >> np.uint64(6)] >> (bit & np.uint64(63))) & np.uint64(1):
                continue
            place = np.searchsorted(hashes, value)
            if place < len(hashes) and hashes[place] == value:
                words[count], places[count] = number + shift, place
                count += 1
    return words[:count].copy(), places[:count].copy()


@njit(cache=True, nogil=True)
def equal_words(mine, my_starts, at, theirs, their_starts, positions, lengths):  # type: ignore[no-untyped-def]
    """Say of each hit whether ``lengths`` words from ``at`` on are the others' from ``positions``.

    ``mine``, ``theirs``: characters of words, one after another; ``*_starts``: where words begin.
    """
    out = np.zeros(len(at), np.bool_)
    for hit in range(len(at)):
        first, end = my_starts[at[hit]], my_starts[at[hit] + lengths[hit]]
        other = their_starts[positions[hit]]
        same = their_starts[positions[hit] + lengths[hit]] - other == end - first
        for word in range(lengths[hit]):
            if not same:
                break
            same = my_starts[at[hit] + word] - first == their_starts[positions[hit] + word] - other
        for place in range(end - first):
            if not same:
                break
            same = mine[first + place] == theirs[other + place]
        out[hit] = same
    return out


@njit(cache=True, nogil=True)
def paint(owners, at, lengths, items):  # type: ignore[no-untyped-def]
    """Give the words under each hit its item; a later hit paints over an earlier one."""
    for hit in range(len(at)):
        owners[at[hit] : at[hit] + lengths[hit]] = items[hit]


@njit(cache=True, nogil=True)
def measure_lines(owners, line_offsets):  # type: ignore[no-untyped-def]
    """Return of each line how many words are owned, and how many of these stand in a row."""
    covered = np.zeros(len(line_offsets) - 1, np.int64)
    longest = np.zeros(len(line_offsets) - 1, np.int64)
    for line in range(len(line_offsets) - 1):
        run = 0
        for word in range(line_offsets[line], line_offsets[line + 1]):
            run = run + 1 if owners[word] >= 0 else 0
            covered[line] += owners[word] >= 0
            longest[line] = max(longest[line], run)
    return covered, longest
