"""Texts as 64-bit hashes of their words, and of every n words in a row.

The kernels read Arrow's UTF-8 bytes as they lie: no Python object a word or a row. The hashes are
persisted (signatures, indices of benchmark items), so the same words give the same numbers for
ever; a change of any rule or constant here is a new ``WORDS_VERSION``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from medray.corpus.dedup.characters import ALONE, END, character_table
from medray.languages import language as language_of

WORDS_VERSION = 1

Hashes = npt.NDArray[np.uint64]
Offsets = npt.NDArray[np.int64]

# Odd numbers with no pattern in their bits: 2^64 over the golden ratio (Knuth), and the two of
# MurmurHash3's 64-bit finaliser.
_STEP = 0x9E3779B97F4A7C15
_SEED = 0x2545F4914F6CDD1D
_FINAL_1 = 0xFF51AFD7ED558CCD
_FINAL_2 = 0xC4CEB9FE1A85EC53
_NO_LIMIT = np.iinfo(np.int64).max


@njit(cache=True, nogil=True, inline="always")
def mix(value):  # type: ignore[no-untyped-def]
    """Return MurmurHash3's fmix64 of a uint64: one to one, and every bit moves half the others."""
    # Other modules' kernels compile this in, and numba's cache looks at their own files only: with
    # a change here, delete the __pycache__ folders.
    value ^= value >> np.uint64(33)
    value *= np.uint64(_FINAL_1)
    value ^= value >> np.uint64(33)
    value *= np.uint64(_FINAL_2)
    return value ^ (value >> np.uint64(33))


def hash_words(
    texts: pa.StringArray, language: str, maximum_characters: int | None = None
) -> tuple[Hashes, Offsets]:
    """Hash every word: (hashes of all texts in a row, where each text's begin and end).

    A word is a maximal run of word characters (letters, marks, numbers, underscore), folded
    simply; in zh and ja each character of an unspaced script is a word. ``texts`` (string or
    large_string) holds no null; there are len(texts) + 1 offsets. Of a longer text only the first
    ``maximum_characters`` are read. KeyError for an unknown language.
    """
    alone = 0 if language_of(language).spaced else ALONE
    limit = _NO_LIMIT if maximum_characters is None else maximum_characters
    data, starts = utf8_of(texts)
    return _hash_words(data, starts, character_table(), np.uint32(alone), limit)  # type: ignore[no-any-return]


def utf8_of(texts: pa.StringArray) -> tuple[npt.NDArray[np.uint8], Offsets]:
    """Return the bytes that hold the texts and where in them each begins, with the last's end."""
    width = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    _, offsets, data = texts.buffers()
    if data is None or offsets is None:
        return np.empty(0, np.uint8), np.zeros(len(texts) + 1, np.int64)
    first, end = texts.offset, texts.offset + len(texts) + 1
    starts = np.frombuffer(offsets, width)[first:end].astype(np.int64)
    return np.frombuffer(data, np.uint8), starts


@njit(cache=True, nogil=True)
def _hash_words(data, starts, table, alone, limit):  # type: ignore[no-untyped-def]
    """Decode UTF-8 and hash in one go: h = (h ^ folded) * step, h ^= h >> 32 a character; mix(h).

    ``alone`` is the bit that makes a character a word of its own, 0 where none is.
    """
    # A word has a byte at least; pages that no word reaches cost address space only.
    hashes = np.empty(starts[-1] - starts[0], np.uint64)
    offsets = np.zeros(len(starts), np.int64)
    count = 0
    for text in range(len(starts) - 1):
        at, end, left = starts[text], starts[text + 1], limit
        word, inside = np.uint64(_SEED), False
        while at < end and left > 0:
            code, at = _decode(data, at)
            left -= 1
            entry = table[code] if code < END else np.uint32(0)
            single = entry & alone
            if inside and (entry == 0 or single):
                hashes[count] = mix(word)
                count += 1
                word, inside = np.uint64(_SEED), False
            if entry:
                word = (word ^ np.uint64(entry & np.uint32(ALONE - 1))) * np.uint64(_STEP)
                word ^= word >> np.uint64(32)
                inside = True
            if single:
                hashes[count] = mix(word)
                count += 1
                word, inside = np.uint64(_SEED), False
        if inside:
            hashes[count] = mix(word)
            count += 1
        offsets[text + 1] = count
    return hashes[:count], offsets


@njit(cache=True, nogil=True, inline="always")
def _decode(data, at):  # type: ignore[no-untyped-def]
    """Return (code point, where the next begins); Arrow's strings are valid UTF-8."""
    lead = np.uint32(data[at])
    if lead < 0x80:
        return lead, at + 1
    second = np.uint32(data[at + 1] & 0x3F)
    if lead < 0xE0:
        return ((lead & np.uint32(0x1F)) << np.uint32(6)) | second, at + 2
    third = np.uint32(data[at + 2] & 0x3F)
    if lead < 0xF0:
        high = (lead & np.uint32(0x0F)) << np.uint32(12)
        return high | (second << np.uint32(6)) | third, at + 3
    high = ((lead & np.uint32(0x07)) << np.uint32(18)) | (second << np.uint32(12))
    return high | (third << np.uint32(6)) | np.uint32(data[at + 3] & 0x3F), at + 4


def ngram_hashes(hashes: Hashes, offsets: Offsets, n: int) -> tuple[Hashes, Offsets]:
    """Hash every ``n`` words in a row inside each text: (hashes in a row, len(offsets) offsets).

    A text of 1 to n - 1 words gives one hash of all its words, an empty one none. Shape of the
    input: as ``hash_words`` returns it. ValueError where n < 1.
    """
    if n < 1:
        raise ValueError(f"n-grams have one word at least, not {n}")
    return _ngram_hashes(hashes, offsets, n)  # type: ignore[no-any-return]


@njit(cache=True, nogil=True)
def _ngram_hashes(hashes, offsets, n):  # type: ignore[no-untyped-def]
    """Roll a polynomial of the words' hashes, modulo 2^64: sum of word * step^(words after it).

    Then mix it with the number of words, so that a short text is no n-gram of another.
    """
    out = np.empty(offsets[-1] - offsets[0], np.uint64)
    out_offsets = np.zeros(len(offsets), np.int64)
    step, leaving, count = np.uint64(_STEP), np.uint64(1), 0
    for _ in range(n):
        leaving *= step
    for text in range(len(offsets) - 1):
        first, end = offsets[text], offsets[text + 1]
        rolled, length = np.uint64(0), min(n, end - first)
        salt = np.uint64(length) * np.uint64(_SEED)
        for at in range(first, first + length):
            rolled = rolled * step + hashes[at]
        if length > 0:
            out[count] = mix(rolled ^ salt)
            count += 1
        for at in range(first + length, end):
            rolled = rolled * step + hashes[at] - hashes[at - n] * leaving
            out[count] = mix(rolled ^ salt)
            count += 1
        out_offsets[text + 1] = count
    return out[:count], out_offsets
