"""The loops over characters: where words begin and end, and which of them are equal.

Texts are numbers of characters in one array, and where each text begins. One loop a function: a
call for each word would take ten times as long as its characters do.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# What a character is, as bits: part of words; where words are not spaced, a word of its own; a
# sign that is dropped.
IN_WORDS, WORD_OF_ITS_OWN, SIGN = 1, 2, 4
# FNV-1a of 64 bits (Fowler, Noll, Vo).
_OFFSET, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


@njit(cache=True, nogil=True)
def drop_signs(characters, starts, classes):  # type: ignore[no-untyped-def]
    """Return the characters without signs, and where the texts begin then."""
    out, begins, count = np.empty_like(characters), np.zeros_like(starts), 0
    for text in range(len(starts) - 1):
        for place in range(starts[text], starts[text + 1]):
            if not classes[characters[place]] & SIGN:
                out[count] = characters[place]
                count += 1
        begins[text + 1] = count
    return out[:count].copy(), begins


@njit(cache=True, nogil=True)
def find_words(characters, starts, spaced, classes):  # type: ignore[no-untyped-def]
    """Return where words begin and end, and the first word of each text.

    ``spaced``: of each text, whether blanks part its words; else some characters stand alone.
    """
    # As many as there can be; pages that no word reaches cost address space only.
    begins = np.empty(len(characters), np.int64)
    ends = np.empty(len(characters), np.int64)
    firsts, count = np.zeros_like(starts), 0
    for text in range(len(starts) - 1):
        alone = 0 if spaced[text] else WORD_OF_ITS_OWN
        inside = False
        for place in range(starts[text], starts[text + 1]):
            kind = classes[characters[place]]
            single = (kind & alone) != 0
            in_word = (kind & IN_WORDS) != 0 and not single
            if inside and not in_word:
                ends[count] = place
                count += 1
            if single:
                begins[count], ends[count] = place, place + 1
                count += 1
            elif in_word and not inside:
                begins[count] = place
            inside = in_word
        if inside:
            ends[count] = starts[text + 1]
            count += 1
        firsts[text + 1] = count
    return begins[:count].copy(), ends[:count].copy(), firsts


@njit(cache=True, nogil=True)
def number_words(characters, begins, ends, words, items, firsts):  # type: ignore[no-untyped-def]
    """Return every word's number, equal ones of an item the same, and one more than the highest.

    ``words``: the first word of each text. Text i is item i's prediction, and behind the ``items``
    predictions lie the references, item i's from ``firsts[i]`` on.
    """
    longest = 1
    for item in range(items):
        theirs = words[items + firsts[item + 1]] - words[items + firsts[item]]
        longest = max(longest, words[item + 1] - words[item] + theirs)
    size = 2
    while size < 2 * longest:
        size *= 2
    # An open-addressing table: slot -> the item that it is taken by, hash, first such word, number.
    stamps, hashes = np.full(size, -1, np.int64), np.empty(size, np.uint64)
    known, numbers = np.empty(size, np.int64), np.empty(size, np.int32)
    mask = np.uint64(size - 1)
    ids, most = np.empty(len(begins), np.int32), 1
    for item in range(items):
        found = 0
        for part in range(2):
            # First the prediction's words, then those of all its references, which are neighbours.
            first = words[item] if part == 0 else words[items + firsts[item]]
            end = words[item + 1] if part == 0 else words[items + firsts[item + 1]]
            for word in range(first, end):
                begin, length = begins[word], ends[word] - begins[word]
                value = _OFFSET
                for step in range(length):
                    value = (value ^ np.uint64(characters[begin + step])) * _PRIME
                slot = np.int64((value ^ (value >> np.uint64(32))) & mask)
                while stamps[slot] == item:
                    other = known[slot]
                    same = hashes[slot] == value and ends[other] - begins[other] == length
                    step = 0
                    while same and step < length:
                        same = characters[begins[other] + step] == characters[begin + step]
                        step += 1
                    if same:
                        break
                    slot = (slot + 1) & np.int64(mask)
                if stamps[slot] != item:
                    stamps[slot], hashes[slot], known[slot] = item, value, word
                    numbers[slot] = found
                    found += 1
                ids[word] = numbers[slot]
        most = max(most, found)
    return ids, most
