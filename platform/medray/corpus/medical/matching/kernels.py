"""The compiled loops: where a pattern may begin, which patterns stand there, what they add up to.

No occurrence becomes a Python object. Offsets and positions are in bytes of one UTF-8 buffer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import int64, njit, types, uint8, uint32, uint64
from numba.extending import intrinsic

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

# A block is the bits of one number; a chunk's marks and places stay in the first-level cache.
_BLOCK_BYTES = 64
_CHUNK_BYTES = 4096
# To tell whether a word begins, the two bytes before are looked at.
_LOOK_BACK_BYTES = 2
# The filter reads eight bytes from a place on.
_LOOK_AHEAD_BYTES = 7
_EVERY = np.uint8(0xFF)

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


@intrinsic
def _trailing_zeros(_: Any, number: Any) -> Any:
    """Return how many zeros a number of 64 bits ends with, 64 for 0; one instruction."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@intrinsic
def _ones(_: Any, number: Any) -> Any:
    """Return how many bits of a number of 64 bits are set; one instruction."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@njit(cache=True, nogil=True)
def _mark_word_begins(data: Bytes, place: int, size: int, marks: Bytes) -> None:
    """Mark the characters at which a word may begin: with all bits set, the rest with none.

    Only what certainly continues a word is left out: what follows a letter of ASCII, or one of
    U+0400 to U+047F, whose lead bytes are D0 and D1. The rules are asked later.
    """
    for number in range(uint64(size)):
        here = uint64(place) + number
        before = data[here - uint64(1)]
        in_word = (uint8(uint8(before | uint8(0x20)) - uint8(0x61)) < uint8(26)) | (
            uint8(data[here - uint64(2)] & uint8(0xFE)) == uint8(0xD0)
        )
        begins = (uint8(data[here] & uint8(0xC0)) != uint8(0x80)) & (not in_word)
        marks[number] = _EVERY if begins else uint8(0)


@njit(cache=True, nogil=True)
def _marked(marks: Bytes, place: int) -> Any:
    """Return which of 64 marks are set, as the bits of one number."""
    mask = uint64(0)
    for number in range(uint64(_BLOCK_BYTES)):
        mask |= uint64(marks[uint64(place) + number] >= uint8(0x80)) << number
    return mask


@njit(cache=True, nogil=True)
def _character_begins(data: Bytes, place: int) -> Any:
    """Return at which of 64 bytes a character begins, as the bits of one number."""
    mask = uint64(0)
    for number in range(uint64(_BLOCK_BYTES)):
        continues = uint8(data[uint64(place) + number] & uint8(0xC0)) == uint8(0x80)
        mask |= uint64(not continues) << number
    return mask


@njit(cache=True, nogil=True)
def _begins(
    data: Bytes, place: int, stop: int, word_begins: bool, marks: Bytes, places: Integers
) -> int:
    """Write to ``places`` where a pattern may begin in some whole blocks; return how many.

    Eight bits of a mask are written at once, whether they are set or not, and those that were not
    are written over: a loop over the set ones alone is mispredicted at its end, block by block.
    """
    if word_begins:
        _mark_word_begins(data, place, stop - place, marks)
    count = 0
    for block in range(0, stop - place, _BLOCK_BYTES):
        here = place + block
        mask = _marked(marks, block) if word_begins else _character_begins(data, here)
        ones = int64(_ones(mask))
        for first in range(0, ones, 8):
            for number in range(8):
                places[uint64(count + first + number)] = (
                    place + block + int64(_trailing_zeros(mask))
                )
                mask &= mask - uint64(1)
        count += ones
    return count


@njit(cache=True, nogil=True)
def _candidates(data: Bytes, places: Integers, count: int, bits: Bits, factor: Factors) -> int:
    """Leave of ``places`` those whose eight bytes the filter lets through; return how many.

    Indices are unsigned, for numba reads a signed one as counted from the end where it is
    negative, and asks at each byte.
    """
    left = uint64(0)
    for number in range(uint64(count)):
        start = uint64(places[number])
        word = uint64(_four_bytes(data, start))
        word |= uint64(_four_bytes(data, start + uint64(4))) << uint64(32)
        hashed = ((word | _CASE_BITS) * factor[data[start + uint64(1)]]) >> _SHIFT
        places[left] = int64(start)
        left += uint64((bits[hashed >> uint64(5)] >> uint32(hashed & uint64(31))) & uint32(1))
    return int(int64(left))


@njit(cache=True, nogil=True)
def _next_candidates(
    data: Bytes, begin: int, place: int, end: int, word_begins: bool, bits: Bits, factor: Factors,
    marks: Bytes, places: Integers,
) -> tuple[int, int]:  # fmt: skip
    """Write to ``places`` where patterns may begin in a document's next piece, from ``place`` on.

    Returns (how many, where the piece ends). Whole blocks go the fast way; the document's first
    two bytes, what is left of its last block, and the buffer's last bytes do not.
    """
    filtered_end = min(end, len(data) - _LOOK_AHEAD_BYTES)
    size = (min(filtered_end, place + _CHUNK_BYTES) - place) // _BLOCK_BYTES * _BLOCK_BYTES
    if size > 0 and place >= begin + _LOOK_BACK_BYTES:
        stop = place + size
        count = _begins(data, place, stop, word_begins, marks, places)
    else:
        stop = begin + _LOOK_BACK_BYTES if place == begin else place + _BLOCK_BYTES
        stop = min(stop, filtered_end if place < filtered_end else end)
        count = stop - place
        for number in range(count):
            places[number] = place + number
    if stop <= filtered_end:
        count = _candidates(data, places, count, bits, factor)
    return count, stop


@njit(cache=True, nogil=True)
def count_characters(data: Bytes, offsets: Integers, counts: Integers) -> None:
    """Write the number of characters of every document of a buffer: 3 times Arrow's speed."""
    for document in range(len(offsets) - 1):
        place, end = offsets[document], offsets[document + 1]
        count = uint64(0)
        while place + _BLOCK_BYTES <= end:
            count += _ones(_character_begins(data, place))
            place += _BLOCK_BYTES
        counts[document] = int64(count) + _characters(data, place, end)


@njit(cache=True, nogil=True)
def scan_documents(
    data: Bytes, offsets: Integers, tables: Tables, first: int, counts: Integers, found: Numbers
) -> tuple[int, int]:
    """Count the documents of a buffer from ``first`` on, as far as ``found`` has room for them.

    ``counts`` [n, 3] takes distinct keywords, covered and summed characters; ``found`` takes the
    numbers of the distinct keywords, document by document, and must have room for all keywords.
    Returns (the document to go on with, how many numbers there are).
    """
    # As single arrays: the whole of the tables, given to a function, is copied at every call.
    bits, factor, flags = tables.bits, tables.factor, tables.flags
    step, classes, width = tables.step, tables.classes, int64(tables.width)
    keyword, rule, characters = tables.keyword, tables.rule, tables.characters
    another, apart, word_begins = tables.another, tables.apart, tables.word_begins
    tally = np.zeros(4, np.int64)
    seen = np.full(tables.keywords, -1, np.int64)
    free = np.zeros(tables.keywords, np.int64)
    marks = np.empty(_CHUNK_BYTES, np.uint8)
    places = np.empty(_CHUNK_BYTES + 8, np.int64)
    for document in range(first, len(offsets) - 1):
        if len(found) - tally[_FOUND] < tables.keywords:
            return document, int(tally[_FOUND])
        begin, end = offsets[document], offsets[document + 1]
        tally[_COVERED] = tally[_SUMMED] = 0
        tally[_REACHED] = begin
        found_before = tally[_FOUND]
        stop = begin
        while stop < end:
            count, stop = _next_candidates(
                data, begin, stop, end, word_begins, bits, factor, marks, places
            )
            for number in range(count):
                place = places[number]
                before = _flags_before(data, begin, place, flags)
                if word_begins and before & WORD:
                    continue
                entry = int64(2 * width)  # the root
                after = place
                while after < end and entry:
                    entry = int64(step[uint64((entry >> 1) + classes[data[after]])])
                    after += 1
                    if not entry & 1:
                        continue
                    following = _flags(data, after, end, flags) if after < end else SPACE
                    pattern = step[uint64((entry >> 1) + width - 1)]
                    while pattern >= 0:
                        if _stands(rule[pattern], before, following):
                            _add(
                                data, place, after, keyword[pattern], characters[pattern],
                                document, apart, tally, seen, free, found,
                            )  # fmt: skip
                        pattern = another[pattern]
        counts[document, 0] = tally[_FOUND] - found_before
        counts[document, 1] = tally[_COVERED]
        counts[document, 2] = tally[_SUMMED]
    return len(offsets) - 1, int(tally[_FOUND])
