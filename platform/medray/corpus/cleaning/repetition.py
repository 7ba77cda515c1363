"""How much of a text repeats itself: words in n-grams that the text had before."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from medray.corpus.dedup.words import Hashes, Offsets, ngram_hashes

Shares = npt.NDArray[np.float32]


def repetition(words: Hashes, offsets: Offsets, n: int) -> tuple[Shares, Shares]:
    """Return of each text (share of the commonest n-gram, share of repeated n-grams), 0 to 1.

    ``words``, ``offsets``: as ``hash_words`` returns them. The first share is how often the
    commonest n-gram stands in the text, if more than once, times n, by all words; the second, the
    words in n-grams that stood in the text before, each word counted once, by all words. Both are
    Gopher's (Rae et al. 2021, table A1) with words in place of characters, so that a word counts
    the same in all six languages.
    """
    grams, gram_offsets = ngram_hashes(words, offsets, n)
    return _shares(grams, gram_offsets, offsets, n)  # type: ignore[no-any-return]


@njit(cache=True, nogil=True)
def _shares(grams, gram_offsets, offsets, n):  # type: ignore[no-untyped-def]
    """Count n-grams in a hash table that is emptied by stamping slots with the text's number."""
    texts = len(gram_offsets) - 1
    most = 1
    for text in range(texts):
        most = max(most, gram_offsets[text + 1] - gram_offsets[text])
    size = _slots(most)
    keys, counts = np.empty(size, np.uint64), np.empty(size, np.int32)
    owners = np.zeros(size, np.int32)
    top, repeated = np.zeros(texts, np.float32), np.zeros(texts, np.float32)
    for text in range(texts):
        first, end = gram_offsets[text], gram_offsets[text + 1]
        last_slot = np.uint64(_slots(end - first) - 1)
        covered = covered_until = commonest = 0
        for at in range(first, end):
            slot = grams[at] & last_slot
            while owners[slot] == text + 1 and keys[slot] != grams[at]:
                slot = (slot + np.uint64(1)) & last_slot
            if owners[slot] != text + 1:
                owners[slot], keys[slot], counts[slot] = text + 1, grams[at], 1
                continue
            counts[slot] += 1
            commonest = max(commonest, counts[slot])
            covered += n - max(0, covered_until - at)
            covered_until = at + n
        words = max(1, offsets[text + 1] - offsets[text])
        top[text] = min(1.0, commonest * n / words)
        repeated[text] = covered / words
    return top, repeated


@njit(cache=True, nogil=True)
def _slots(entries):  # type: ignore[no-untyped-def]
    """Return the power of two that leaves at least half of the slots free."""
    slots = 2
    while slots < 2 * entries:
        slots *= 2
    return slots
