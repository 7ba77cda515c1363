"""The compiled loops over lines: measuring one, finding phrases in it, taking it out or not.

They stand in one file, since numba's cache of compiled code looks for changes only in the file of
the function that it is asked for, not in what that calls. What is imported here (how UTF-8 is
decoded, the bits of a character's flags) is inlined too: who changes it must change this file.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from medray.corpus.cleaning.characters import (
    BULLET,
    DIGIT,
    END,
    LETTER,
    SPACE,
    STOP,
    SYMBOL,
    WIDE,
    decode,
)

# Places in a row of counts. Of a line and summed over a text: COLUMNS (a Han or kana character
# takes two, as on a terminal), VISIBLE (characters but blanks) and kinds of them, WORDS (runs
# without a blank), LONG (characters in runs longer than LONG_RUN), MENU (in lines like a menu's).
COLUMNS, VISIBLE, LETTERS, DIGITS, SYMBOLS, WORDS, LONG, MENU = range(8)
LINES, BULLET_LINES, ELLIPSIS_LINES = range(8, 11)  # lines but blank ones; by start; by end
LINE_COUNTS = 11
# Of a text only: lines that were taken out, the visible characters in them, different spam phrases
# in all lines, stop words in those that stay.
REMOVED_LINES, REMOVED, SPAM_PHRASES, STOP_WORDS = range(LINE_COUNTS, LINE_COUNTS + 4)
TEXT_COUNTS = LINE_COUNTS + 4

# Longer than a word of the six languages and than nearly all names of substances; base64 comes in
# lines of 64 or 76. A wide character ends a run, so it holds in zh and ja too.
LONG_RUN = 40
# An entry of a menu is short and has no digit, which laboratory values have, and no stop.
_MENU_COLUMNS, _MENU_WORDS = 40, 5
_ELLIPSIS = 0x2026
COPYRIGHT_SIGN = 0xA9  # a line that begins so is a notice in every language
_HASH_STEP = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio (Knuth)

# Bits of a table's value. MORE: a longer entry begins so; the others: an entry of that section
# ends here. Above them stands the number of the spam phrase.
MORE, LINE, PHRASE, SPAM, STOP_WORD = (1 << bit for bit in range(5))
SPAM_SHIFT = 5
# What a walk along words starts from; any number but 0, which marks a free slot.
START = 0x9E3779B97F4A7C15


@njit(cache=True, nogil=True)
def measure_line(data, start, end, flags, counts):  # type: ignore[no-untyped-def]
    """Fill ``counts`` (LINE_COUNTS) for the line in data[start:end], its line break left out.

    Returns (first visible byte, end of the last one, hash of what lies between, first character).
    """
    counts[:] = 0
    first, last, hashed, walked, run = start, start, np.uint64(0), np.uint64(0), 0
    first_code, last_code, before = 0, 0, np.uint8(0)
    at = start
    while at < end:
        code, after = decode(data, at)
        if code == 0x0A:
            break
        flag = flags[code] if code < END else np.uint8(0)
        counts[COLUMNS] += 2 if flag & WIDE else 1
        if flag & (SPACE | WIDE):
            counts[LONG] += run if run > LONG_RUN else 0
            run = 0
        if not flag & SPACE:
            run += 0 if flag & WIDE else 1
            if counts[VISIBLE] == 0:
                first, first_code = at, code
            if counts[VISIBLE] == 0 or before & SPACE:
                counts[WORDS] += 1
            counts[VISIBLE] += 1
            counts[LETTERS] += (flag & LETTER) != 0
            counts[DIGITS] += (flag & DIGIT) != 0
            counts[SYMBOLS] += (flag & SYMBOL) != 0
        if counts[VISIBLE] > 0:
            walked = (walked ^ np.uint64(code)) * np.uint64(_HASH_STEP)
            walked ^= walked >> np.uint64(32)
        if not flag & SPACE:
            last, last_code, hashed = after, code, walked
        before, at = flag, after
    counts[LONG] += run if run > LONG_RUN else 0
    _measure_ends(data, last, first_code, last_code, flags, counts)
    return first, last, hashed, first_code


@njit(cache=True, nogil=True)
def _measure_ends(data, last, first_code, last_code, flags, counts):  # type: ignore[no-untyped-def]
    """Fill the counts that the line's first and last characters decide."""
    if counts[VISIBLE] == 0:
        return
    counts[LINES] = 1
    if counts[VISIBLE] > 1 and first_code < END and flags[first_code] & BULLET:
        counts[BULLET_LINES] = 1
    dots = counts[VISIBLE] >= 3 and data[last - 1] == data[last - 2] == data[last - 3] == 0x2E
    if dots or last_code == _ELLIPSIS:
        counts[ELLIPSIS_LINES] = 1
    stops = last_code < END and flags[last_code] & STOP
    short = counts[COLUMNS] <= _MENU_COLUMNS and counts[WORDS] <= _MENU_WORDS
    if short and counts[DIGITS] == 0 and not stops:
        counts[MENU] = counts[VISIBLE]


@njit(cache=True, nogil=True)
def extend(walked, word):  # type: ignore[no-untyped-def]
    """Return the hash of the words so far and one more: odd multiplier, high half onto low."""
    walked = (walked + word) * np.uint64(_HASH_STEP)
    return walked ^ walked >> np.uint64(32)


@njit(cache=True, nogil=True, inline="always")
def _value(walked, keys, values):  # type: ignore[no-untyped-def]
    """Return the bits of the words so far, 0 where no entry begins so."""
    last = np.uint64(len(keys) - 1)
    slot = walked & last
    while keys[slot]:
        if keys[slot] == walked:
            return values[slot]
        slot = (slot + np.uint64(1)) & last
    return np.int32(0)


@njit(cache=True, nogil=True)
def all_line_items(words, keys, values):  # type: ignore[no-untyped-def]
    """Say whether words are entries of [line] one after another, each time the longest."""
    at = 0
    while at < len(words):
        walked, length, longest = np.uint64(START), 0, 0
        while at + length < len(words):
            walked = extend(walked, words[at + length])
            length += 1
            value = _value(walked, keys, values)
            if value & LINE:
                longest = length
            if not value & MORE:
                break
        if longest == 0:
            return False
        at += longest
    return len(words) > 0


@njit(cache=True, nogil=True)
def find_phrases(words, keys, values, spam_seen, stamp):  # type: ignore[no-untyped-def]
    """Return (whether a [phrase] is among the words, new [spam] phrases, [stop] words).

    ``spam_seen`` holds by phrase the last ``stamp`` under which it was met, and is updated.
    """
    found, spam, stop_words = False, 0, 0
    for first in range(len(words)):
        walked = np.uint64(START)
        for at in range(first, len(words)):
            walked = extend(walked, words[at])
            value = _value(walked, keys, values)
            found |= (value & PHRASE) != 0
            if value & SPAM and spam_seen[value >> SPAM_SHIFT] != stamp:
                spam_seen[value >> SPAM_SHIFT] = stamp
                spam += 1
            stop_words += (value & STOP_WORD) != 0
            if not value & MORE:
                break
    return found, spam, stop_words


@njit(cache=True, nogil=True)
def split_lines(data, starts):  # type: ignore[no-untyped-def]
    """Return (where lines begin, and the last's end; each text's first line, and all lines)."""
    count = 0
    for at in range(starts[0], starts[-1]):
        count += data[at] == 0x0A
    line_starts = np.empty(count + len(starts), np.int64)
    first_lines = np.zeros(len(starts), np.int64)
    filled = 0
    for text in range(len(starts) - 1):
        first_lines[text] = filled
        line_starts[filled] = starts[text]
        filled += 1
        for at in range(starts[text], starts[text + 1]):
            if data[at] == 0x0A:
                line_starts[filled] = at + 1
                filled += 1
    first_lines[-1] = filled
    line_starts[filled] = starts[-1]
    return line_starts[: filled + 1], first_lines


@njit(cache=True, nogil=True)
def take_lines_out(source, hashed_words, phrases, limits):  # type: ignore[no-untyped-def]
    """Go through all lines; what stays of the words moves to their front.

    ``phrases``: keys, values, and by spam phrase the last text that had it.
    """
    data, line_starts, first_lines, flags = source
    words, word_starts = hashed_words
    _, repeated_columns, blank_lines = limits
    texts, line = len(first_lines) - 1, np.zeros(LINE_COUNTS, np.int64)
    out = np.empty(line_starts[-1] - line_starts[0], np.uint8)
    out_offsets, offsets = np.zeros(texts + 1, np.int64), np.zeros(texts + 1, np.int64)
    counts = np.zeros((texts, TEXT_COUNTS), np.int64)
    seen = _new_seen(line_starts, first_lines, repeated_columns)
    filled = kept_words = 0
    for text in range(texts):
        blanks = 0
        for number in range(first_lines[text], first_lines[text + 1]):
            start, end = line_starts[number], line_starts[number + 1]
            first, last, hashed, code = measure_line(data, start, end, flags, line)
            if line[VISIBLE] == 0:
                blanks += 1
                continue
            here = words[word_starts[number] : word_starts[number + 1]]
            goes, spam, stops = _is_boilerplate(here, code, line[COLUMNS], phrases, limits, text)
            counts[text, SPAM_PHRASES] += spam
            if not goes and 0 < repeated_columns <= line[COLUMNS]:
                goes = _seen_before(data, first, last, hashed, seen, text)
            if goes:
                counts[text, REMOVED_LINES] += 1
                counts[text, REMOVED] += line[VISIBLE]
                continue
            breaks = 1 + min(blanks, blank_lines) if filled > out_offsets[text] else 0
            filled = _write(data, start, end, breaks, out, filled)
            counts[text, :LINE_COUNTS] += line
            counts[text, STOP_WORDS] += stops
            blanks = 0
            for word in here:
                words[kept_words] = word
                kept_words += 1
        out_offsets[text + 1], offsets[text + 1] = filled, kept_words
    return out[:filled], out_offsets, counts, offsets


@njit(cache=True, nogil=True)
def _is_boilerplate(words, code, columns, phrases, limits, text):  # type: ignore[no-untyped-def]
    """Return (whether a line is boilerplate, spam phrases that are new in the text, stop words).

    Spam is counted in every line: were it left out of those that go, what a second cleaning
    finds new could send away a text that the first had kept.
    """
    keys, values, spam_seen = phrases
    found, spam, stop_words = find_phrases(words, keys, values, spam_seen, text)
    if columns > limits[0]:
        return False, spam, stop_words
    goes = found or code == COPYRIGHT_SIGN or all_line_items(words, keys, values)
    return goes, spam, stop_words


@njit(cache=True, nogil=True)
def _new_seen(line_starts, first_lines, repeated_columns):  # type: ignore[no-untyped-def]
    """Return an empty hash table for the long lines of any one text: (text + 1, hash, span).

    A line of so many columns has as many bytes at least, which bounds how many there can be.
    """
    most = 0
    for text in range(len(first_lines) - 1):
        first, end = first_lines[text], first_lines[text + 1]
        size = line_starts[end] - line_starts[first]
        most = max(most, min(end - first, size // max(repeated_columns, 1)))
    slots = 2
    while slots < 2 * most:
        slots *= 2
    return np.zeros(slots, np.int64), np.empty(slots, np.uint64), np.empty((slots, 2), np.int64)


@njit(cache=True, nogil=True)
def _seen_before(data, first, last, hashed, seen, text):  # type: ignore[no-untyped-def]
    """Say whether the text has had a line of the same bytes; note this one if it has not."""
    owners, hashes, spans = seen
    slot = np.int64(hashed & np.uint64(len(owners) - 1))
    while owners[slot] == text + 1:
        start, end = spans[slot]
        if hashes[slot] == hashed and np.array_equal(data[start:end], data[first:last]):
            return True
        slot = (slot + 1) & (len(owners) - 1)
    owners[slot], hashes[slot], spans[slot, 0], spans[slot, 1] = text + 1, hashed, first, last
    return False


@njit(cache=True, nogil=True)
def _write(data, start, end, breaks, out, filled):  # type: ignore[no-untyped-def]
    """Append line breaks and a line without its own; return how much is filled then."""
    out[filled : filled + breaks] = 0x0A
    filled += breaks
    end -= data[end - 1] == 0x0A
    out[filled : filled + end - start] = data[start:end]
    return filled + end - start
