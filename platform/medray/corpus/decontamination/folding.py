"""Words of a text as their characters: what a match by hash is checked on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from medray.corpus.dedup.characters import ALONE, END, character_table
from medray.corpus.dedup.words import Offsets, _decode
from medray.languages import language as language_of

Characters = npt.NDArray[np.uint32]


def fold_words(
    data: npt.NDArray[np.uint8], language: str, first: int, last: int
) -> tuple[Characters, Offsets]:
    """Return words ``first`` up to, not with, ``last`` of a text in UTF-8 that has so many.

    As (folded characters of the words in a row, where each begins and the last ends). The words
    are those of ``dedup.words.hash_words``, in the same order, and two of them have the same
    characters here whenever they are the same word there.
    """
    alone = 0 if language_of(language).spaced else ALONE
    return _fold_words(data, character_table(), np.uint32(alone), first, last)  # type: ignore[no-any-return]


@njit(cache=True, nogil=True)
def _fold_words(data, table, alone, first, last):  # type: ignore[no-untyped-def]
    # As large as it can be; pages that no word reaches cost address space only.
    characters = np.empty(len(data), np.uint32)
    starts = np.zeros(last - first + 1, np.int64)
    at, word, filled, inside = 0, -1, 0, False
    while at < len(data):
        code, at = _decode(data, at)
        entry = table[code] if code < END else np.uint32(0)
        single = entry & alone
        if entry and (single or not inside):
            word += 1
            if word == last:
                break
            if word >= first:
                starts[word - first] = filled
        inside = entry != 0 and not single
        if entry and word >= first:
            characters[filled] = entry & np.uint32(ALONE - 1)
            filled += 1
    starts[last - first] = filled
    return characters[:filled].copy(), starts
