"""The compiled loops: where a pattern may begin, which patterns stand there, what they add up to.

No occurrence becomes a Python object. Offsets and positions are in bytes of one UTF-8 buffer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import int64, njit, uint32, uint64

from medray.corpus.medical.matching.characters import MARK, SPACE, WORD
from medray.corpus.medical.matching.patterns import Rule
from medray.corpus.medical.matching.protocol import Bytes, Integers
from medray.corpus.medical.matching.trie import CASE_BITS, HASH_BITS, Numbers, Tables

Bits = npt.NDArray[np.uint32]
Factors = npt.NDArray[np.uint64]

# numba takes module constants as they are; an IntFlag's members are no plain integers to it.
_WORD_BEGINS, _WORD_ENDS = int(Rule.WORD_BEGINS), int(Rule.WORD_ENDS)
_LETTER_ENDS, _TOKEN = int(Rule.LETTER_ENDS), int(Rule.TOKEN)
_CASE_BITS, _SHIFT = np.uint64(CASE_BITS), np.uint64(64 - HASH_BITS)

# Places in the tally of one document.
_FOUND, _COVERED, _SUMMED, _REACHED = 0, 1, 2, 3


@njit(cache=True, nogil=True)
def _character_at(data: Bytes, place: int, end: int) -> int:
    """Return the code point that begins at ``place``; what is cut off at ``end`` reads as 0."""
    lead = int64(data[place])
    length = 1 + (lead >= 0xC0) + (lead >= 0xE0) + (lead >= 0xF0)
    code = lead if length == 1 else lead & (0x7F >> length)
    for following in range(place + 1, place + length):
        code = (code << 6) | (int64(data[following]) & 0x3F if following < end else 0)
    return int(code)


@njit(cache=True, nogil=True)
def _flags(data: Bytes, place: int, end: int, flags: Bytes) -> int:
    """Return the flags of the character that begins at ``place``."""
    if data[place] < 0x80:
        return int(flags[data[place]])
    code = _character_at(data, place, end)
    return int(flags[code]) if code < len(flags) else 0


@njit(cache=True, nogil=True)
def _flags_before(data: Bytes, begin: int, place: int, flags: Bytes) -> int:
    """Return the flags of the character that ends before ``place``; a text's begin is a space."""
    if place == begin:
        return SPACE
    before = place - 1
    while before > begin and data[before] & 0xC0 == 0x80:
        before -= 1
    return int(_flags(data, before, place, flags))


@njit(cache=True, nogil=True)
def _stands(rule: int, before: int, after: int) -> bool:
    """Say whether an occurrence between characters of these flags stands where its rule wants."""
    if rule & _WORD_BEGINS and before & WORD:
        return False
    if rule & _WORD_ENDS and after & WORD:
        return False
    if rule & _LETTER_ENDS and after & MARK:
        return False
    return not (rule & _TOKEN) or before & after & SPACE != 0


@njit(cache=True, nogil=True)
def _characters(data: Bytes, start: int, stop: int) -> int:
    """Return how many characters begin in a piece of UTF-8: its bytes that continue none."""
    count = 0
    for place in range(start, stop):
        count += data[place] & 0xC0 != 0x80
    return count


@njit(cache=True, nogil=True)
def _add(
    data: Bytes, start: int, stop: int, keyword: int, characters: int, document: int, apart: bool,
    tally: Integers, seen: Integers, free: Integers, found: Numbers,
) -> None:  # fmt: skip
    """Add an occurrence that counts to the tally. Occurrences come in the order of their starts.

    ``seen``: the last document that each keyword was found in; ``free``: where its last occurrence
    ended, for those that may not overlap.
    """
    if apart:
        if start < free[keyword]:
            return
        free[keyword] = stop
    if seen[keyword] != document:
        seen[keyword] = document
        found[tally[_FOUND]] = keyword
        tally[_FOUND] += 1
    tally[_SUMMED] += characters
    reached = tally[_REACHED]
    if start >= reached:
        tally[_COVERED] += characters
    elif stop > reached:
        tally[_COVERED] += _characters(data, reached, stop)
    tally[_REACHED] = max(stop, reached)


@njit(cache=True, nogil=True)
def _four_bytes(data: Bytes, place: Any) -> Any:
    """Return four bytes as one number; the compiler makes one load of it."""
    return (
        uint32(data[place])
        | uint32(data[place + uint64(1)]) << uint32(8)
        | uint32(data[place + uint64(2)]) << uint32(16)
        | uint32(data[place + uint64(3)]) << uint32(24)
    )


@njit(cache=True, nogil=True)
def _candidate(data: Bytes, place: int, end: int, bits: Bits, factor: Factors) -> int:
    """Return the first place from ``place`` on where a pattern may begin, or ``end``.

    The buffer goes on for 7 bytes from ``end``. Indices are unsigned, for numba reads a signed
    one as counted from the end where it is negative, and asks at each byte.
    """
    for start in range(uint64(place), uint64(end)):
        word = uint64(_four_bytes(data, start))
        word |= uint64(_four_bytes(data, start + uint64(4))) << uint64(32)
        hashed = ((word | _CASE_BITS) * factor[data[start + uint64(1)]]) >> _SHIFT
        if (bits[hashed >> uint64(5)] >> uint32(hashed & uint64(31))) & uint32(1):
            return int(int64(start))  # numba's int of an unsigned number is unsigned
    return end


@njit(cache=True, nogil=True)
def scan_documents(
    data: Bytes, offsets: Integers, tables: Tables, counts: Integers, found: Numbers
) -> int:
    """Count every document of a buffer.

    ``counts`` [n, 3] takes distinct keywords, covered and summed characters; ``found`` takes the
    numbers of the distinct keywords, document by document. Returns how many there are.
    """
    # As single arrays: the whole of the tables, given to a function, is copied at every call.
    bits, factor, flags = tables.bits, tables.factor, tables.flags
    step, classes, width = tables.step, tables.classes, int64(tables.width)
    keyword, rule, characters = tables.keyword, tables.rule, tables.characters
    another, apart, word_begins = tables.another, tables.apart, tables.word_begins
    tally = np.zeros(4, np.int64)
    seen = np.full(tables.keywords, -1, np.int64)
    free = np.zeros(tables.keywords, np.int64)
    for document in range(len(offsets) - 1):
        begin, end = offsets[document], offsets[document + 1]
        tally[_COVERED] = tally[_SUMMED] = 0
        tally[_REACHED] = begin
        found_before = tally[_FOUND]
        filtered_end = min(end, len(data) - 7)  # the filter looks that far ahead
        place = begin
        while place < end:
            if place < filtered_end:
                place = _candidate(data, place, filtered_end, bits, factor)
                if place == end:
                    break
            if word_begins and _flags_before(data, begin, place, flags) & WORD:
                place += 1
                continue
            entry = int64(2 * width)  # the root
            stop = place
            while stop < end and entry:
                entry = int64(step[uint64((entry >> 1) + classes[data[stop]])])
                stop += 1
                if not entry & 1:
                    continue
                before = _flags_before(data, begin, place, flags)
                after = _flags(data, stop, end, flags) if stop < end else SPACE
                pattern = step[uint64((entry >> 1) + width - 1)]
                while pattern >= 0:
                    if _stands(rule[pattern], before, after):
                        _add(
                            data, place, stop, keyword[pattern], characters[pattern],
                            document, apart, tally, seen, free, found,
                        )  # fmt: skip
                    pattern = another[pattern]
            place += 1
        counts[document, 0] = tally[_FOUND] - found_before
        counts[document, 1] = tally[_COVERED]
        counts[document, 2] = tally[_SUMMED]
    return int(tally[_FOUND])
